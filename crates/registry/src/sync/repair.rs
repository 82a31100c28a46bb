//! What to do about a damaged mirror: save what can be saved, then begin anew.

use kapelle_storage::db::package_references;
use kapelle_storage::db::packages::Package;
use kapelle_vcs::Mirror;

use crate::dist;
use crate::jobs::{JobContext, JobError};

/// Removes a damaged mirror, so that the next fetch makes it anew. Upstream may no longer have some of the commits
/// that were published, so their dists are built first from what is left.
pub(super) async fn repair(
    context: &JobContext,
    package: &Package,
    mirror: &Mirror,
    damage: &str,
) -> Result<(), JobError> {
    let registry = &context.registry;
    let missing = package_references::list_without_dist(
        &mut registry.database().read().await?,
        package.id,
        i64::MAX,
    )
    .await?;
    context
        .log(&[format!(
            "{damage}. It is made anew after the dists of {} commits were saved from it",
            missing.len()
        )])
        .await?;
    for reference in &missing {
        context.check()?;
        if let Err(error) = dist::build(registry, package, reference).await {
            if error.may_come() {
                // What is left of the mirror may be the only copy there is.
                return Err(error.into());
            }
            context
                .log(&[format!("no dist of {reference} was saved: {error}")])
                .await?;
        }
    }
    Ok(mirror.reset().await?)
}
