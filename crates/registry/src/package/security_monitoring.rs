//! What of a package is to be looked at for security advisories. It is kept; looking comes with the advisories.

use kapelle_storage::db::packages::Package;
use kapelle_storage::db::security_monitoring::{self as rows, Monitoring};

use super::{PackageError, display_name, record};
use crate::access;
use crate::actor::Actor;
use crate::registry::Registry;

/// Branches of one package at most.
const BRANCHES: usize = 100;
/// Longest branch, in bytes.
const BRANCH: usize = 255;

/// What is asked for: every branch, or the default one and those named.
pub async fn monitoring(
    registry: &Registry,
    actor: &Actor,
    package: &Package,
) -> Result<(bool, Vec<String>), PackageError> {
    access::inspect(actor, package.organization_id)?;
    let found = rows::find(&mut registry.database().read().await?, package.id).await?;
    let Some(found) = found else {
        return Ok((false, Vec::new()));
    };
    let branches = serde_json::from_str(&found.branches);
    let branches = branches.map_err(|error| PackageError::Monitoring(error.to_string()))?;
    Ok((found.all_branches, branches))
}

/// Changes what is asked for. Branches are written as versions: `dev-main`.
pub async fn monitor(
    registry: &Registry,
    actor: &Actor,
    package: &Package,
    all_branches: bool,
    branches: &[String],
) -> Result<(), PackageError> {
    access::administer(actor, package.organization_id)?;
    let branches = if all_branches { &[] } else { branches };
    if branches.len() > BRANCHES {
        return Err(PackageError::Monitoring(format!(
            "monitoredBranches names at most {BRANCHES} branches; monitorAllBranches looks at all"
        )));
    }
    let is_usable = |branch: &&String| {
        !branch.is_empty() && branch.len() <= BRANCH && !branch.chars().any(char::is_control)
    };
    if let Some(wrong) = branches.iter().find(|branch| !is_usable(branch)) {
        return Err(PackageError::Monitoring(format!(
            "{wrong:?} in monitoredBranches is no branch: write it as its version, such as dev-main"
        )));
    }
    let monitoring = Monitoring {
        all_branches,
        branches: serde_json::json!(branches).to_string(),
    };
    let mut transaction = registry.database().write().await?;
    rows::put(&mut transaction, package.id, &monitoring).await?;
    record(
        registry,
        &mut transaction,
        actor,
        package.organization_id,
        "package.monitor",
        &display_name(package),
    )
    .await?;
    Ok(transaction.commit().await?)
}
