//! Changing where a package comes from: its repository has moved, or needs another credential.

use kapelle_storage::Transaction;
use kapelle_storage::db::credentials;
use kapelle_storage::db::packages::{self as rows, Package};
use kapelle_vcs::{Protocols, RepositoryUrl};
use serde_json::json;

use super::{PackageError, display_name, live_of_repository};
use crate::access;
use crate::actor::Actor;
use crate::audit;
use crate::credential;
use crate::document;
use crate::jobs::{self, SyncPackage};
use crate::registry::Registry;

/// What is changed; the rest stays.
#[derive(Clone, Debug, Default)]
pub struct Edit {
    /// The repository's new URL.
    pub url: Option<String>,
    /// The credential's id; `Some(None)` for whichever fits the host.
    pub credential_id: Option<Option<i64>>,
}

/// Changes a package's repository or credential and queues a look at it; gives the package and the job. Everything
/// that was published stays, also what only the old repository had.
pub async fn edit(
    registry: &Registry,
    actor: &Actor,
    package: &Package,
    edit: &Edit,
) -> Result<(Package, i64), PackageError> {
    let organization_id = package.organization_id;
    access::administer(actor, organization_id)?;
    let url = match &edit.url {
        Some(url) => RepositoryUrl::parse(url, registry.protocols())?,
        // What may be added was decided then.
        None => RepositoryUrl::parse(&package.repository_url, &Protocols::all())?,
    };
    let credential_id = edit.credential_id.unwrap_or(package.credential_id);
    let mut transaction = registry.database().write().await?;
    let stored = rows::find(&mut transaction, organization_id, package.id).await?;
    if stored.is_none_or(|stored| stored.removed_at.is_some()) {
        return Err(PackageError::Unknown(display_name(package)));
    }
    let key = url.key();
    let holder = live_of_repository(&mut transaction, organization_id, &key).await?;
    if let Some(holder) = holder.filter(|holder| holder.id != package.id) {
        return Err(PackageError::Duplicate {
            url: url.to_string(),
            name: display_name(&holder),
        });
    }
    check_credential(&mut transaction, organization_id, credential_id, &url).await?;
    let shown = url.to_string();
    rows::set_repository(&mut transaction, package.id, &shown, &key).await?;
    rows::set_credential(&mut transaction, package.id, credential_id).await?;
    let entry = audit::Entry {
        organization_id: Some(organization_id),
        action: "package.edit",
        subject: &display_name(package),
        detail: json!({
            "url": { "from": package.repository_url, "to": shown },
            "credential": { "from": package.credential_id, "to": credential_id },
        }),
    };
    audit::record(registry, &mut transaction, actor, entry).await?;
    let job = SyncPackage {
        organization_id,
        package_id: package.id,
    };
    let job = jobs::enqueue(registry, &mut transaction, &job).await?;
    // The metadata names the repository.
    document::bring_back(registry, &mut transaction, package).await?;
    let edited = rows::find(&mut transaction, organization_id, package.id).await?;
    transaction.commit().await?;
    registry.catch_up().await?;
    registry.wake_workers();
    let edited = edited.ok_or_else(|| PackageError::Unknown(display_name(package)))?;
    Ok((edited, job))
}

/// A credential that is named must be there, and is sent to its own host only.
pub(super) async fn check_credential(
    transaction: &mut Transaction,
    organization_id: i64,
    credential_id: Option<i64>,
    url: &RepositoryUrl,
) -> Result<(), PackageError> {
    let Some(id) = credential_id else {
        return Ok(());
    };
    let found = credentials::find(transaction, organization_id, id).await?;
    let found = found.ok_or(PackageError::UnknownCredential(id))?;
    if credential::is_for(&found, url) {
        return Ok(());
    }
    Err(PackageError::CredentialHost {
        id,
        host: found.host,
        url: url.to_string(),
    })
}
