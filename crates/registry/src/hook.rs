//! Change hooks: somebody says that a repository has changed; its packages are synchronized.

use std::collections::BTreeMap;

use kapelle_storage::StorageError;
use kapelle_storage::db::packages;
use kapelle_vcs::{Protocols, RepositoryUrl};
use secrecy::SecretString;

use crate::access::{self, Denied};
use crate::actor::Actor;
use crate::jobs::{self, SyncPackage};
use crate::organization;
use crate::registry::Registry;
use crate::secrets::SecretsError;

/// URLs of one payload that are looked at.
const URLS: usize = 16;

/// Why a hook changed nothing.
#[derive(Debug, thiserror::Error)]
pub enum HookError {
    /// Not allowed.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// No package has that repository.
    #[error(
        "no package of this organization has the repository {0}: add it with `kapelle package add {0}`"
    )]
    Unknown(String),
    /// The payload names no repository.
    #[error("the payload names no repository URL")]
    NoRepository,
    /// The organization's secret could not be read.
    #[error(transparent)]
    Secrets(#[from] SecretsError),
    /// The database failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// The organization of that slug and the secret that signs its hooks.
pub async fn secret(
    registry: &Registry,
    slug: &str,
) -> Result<Option<(i64, SecretString)>, HookError> {
    let Some(organization) = organization::find(registry, slug).await? else {
        return Ok(None);
    };
    Ok(Some((
        organization.id,
        organization::hook_secret(registry, &organization)?,
    )))
}

/// Queues a synchronization of every package of the organization whose repository is one of `urls` (the forms of
/// one repository: https, ssh, web page); gives the jobs.
pub async fn received(
    registry: &Registry,
    actor: &Actor,
    organization_id: i64,
    urls: &[String],
) -> Result<Vec<i64>, HookError> {
    access::synchronize(actor, organization_id)?;
    let urls: BTreeMap<String, RepositoryUrl> = urls
        .iter()
        .take(URLS)
        .filter_map(|url| parse(url))
        .map(|url| (url.key(), url))
        .collect();
    let Some(first) = urls.values().next() else {
        return Err(HookError::NoRepository);
    };
    let mut named = Vec::new();
    let mut connection = registry.database().read().await?;
    for key in urls.keys() {
        let found =
            packages::find_by_repository_key(&mut connection, Some(organization_id), key).await?;
        let live = found
            .into_iter()
            .filter(|package| package.removed_at.is_none());
        named.extend(live.map(|package| SyncPackage {
            organization_id,
            package_id: package.id,
        }));
    }
    drop(connection);
    if named.is_empty() {
        return Err(HookError::Unknown(first.to_string()));
    }
    // In one order everywhere: on PostgreSQL two who queue the same jobs would wait for each other.
    named.sort_unstable_by_key(|job| job.package_id);
    // A package that is removed meanwhile has nothing to synchronize, which its job finds out.
    let mut ids = Vec::with_capacity(named.len());
    let mut transaction = registry.database().write().await?;
    for job in &named {
        ids.push(jobs::enqueue(registry, &mut transaction, job).await?);
    }
    transaction.commit().await?;
    registry.wake_workers();
    Ok(ids)
}

/// A payload's URL is only compared, never opened, so every protocol may occur in it.
fn parse(url: &str) -> Option<RepositoryUrl> {
    RepositoryUrl::parse(url, &Protocols::all()).ok()
}
