//! Packages: added by the URL of their repository, named by their composer.json.

use kapelle_storage::db::blobs::{self, Blob};
use kapelle_storage::db::packages::{self as rows, Package};
use kapelle_storage::db::versions::{self, Version};
use kapelle_storage::db::{
    changes, credentials, dists, install_statistics, package_references, package_refs,
};
use kapelle_storage::{StorageError, Transaction};
use kapelle_vcs::{InvalidUrl, RepositoryUrl};
use serde_json::json;

use crate::access::{self, Denied};
use crate::actor::Actor;
use crate::audit;
use crate::blob;
use crate::clock::Millis;
use crate::document;
use crate::jobs::{self, SyncPackage};
use crate::registry::Registry;

/// Why a package could not be added, shown or changed.
#[derive(Debug, thiserror::Error)]
pub enum PackageError {
    /// Not allowed.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// There is none of that name.
    #[error("there is no package {0:?} in this organization: `kapelle package list` shows them")]
    Unknown(String),
    /// The URL is refused.
    #[error(transparent)]
    Url(#[from] InvalidUrl),
    /// The repository is there already.
    #[error(
        "{url} is in this organization already, as {name}: synchronize it with `kapelle package sync {name}`"
    )]
    Duplicate {
        /// The URL that was given.
        url: String,
        /// The package that has it.
        name: String,
    },
    /// There is no such credential here.
    #[error(
        "there is no credential {0} in this organization: `kapelle credential list` shows them"
    )]
    UnknownCredential(i64),
    /// It was removed too long ago, or never.
    #[error("there is no removed package {0:?} that could be restored")]
    NothingToUndo(String),
    /// The name is in use again.
    #[error("{0} exists again: remove the new package before restoring the old one")]
    NameTaken(String),
    /// Its documents could not be made.
    #[error("{0}")]
    Document(String),
    /// Its rows are gone, and some of its bytes are not.
    #[error("{0} can no longer be installed, but not all of its bytes were destroyed: {1}")]
    Destroy(String, String),
    /// The database failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// A package with what its last synchronization found.
#[derive(Debug)]
pub struct Details {
    /// The package.
    pub package: Package,
    /// Its live versions.
    pub versions: Vec<Version>,
    /// Refs that give no version, with the reason.
    pub faults: Vec<(String, String)>,
    /// Installs in all.
    pub installs: i64,
}

/// Adds the repository at `url` as a package and queues its first synchronization; gives the package and the job.
pub async fn add(
    registry: &Registry,
    actor: &Actor,
    organization_id: i64,
    url: &str,
    credential_id: Option<i64>,
) -> Result<(Package, i64), PackageError> {
    access::administer(actor, organization_id)?;
    let url = RepositoryUrl::parse(url, registry.protocols())?;
    let mut transaction = registry.database().write().await?;
    if let Some(id) = credential_id {
        let credential = credentials::find(&mut transaction, organization_id, id).await?;
        credential.ok_or(PackageError::UnknownCredential(id))?;
    }
    let key = url.key();
    if let Some(existing) = live_of_repository(&mut transaction, organization_id, &key).await? {
        return Err(PackageError::Duplicate {
            url: url.to_string(),
            name: display_name(&existing),
        });
    }
    let new = rows::NewPackage {
        organization_id,
        kind: "vcs",
        origin: "private",
        repository_url: &url.to_string(),
        repository_key: &key,
        credential_id,
        created_at: registry.now(),
    };
    let id = rows::insert(&mut transaction, new).await?;
    record(
        registry,
        &mut transaction,
        actor,
        organization_id,
        "package.add",
        &url.to_string(),
    )
    .await?;
    let job = jobs::enqueue(
        registry,
        &mut transaction,
        &SyncPackage {
            organization_id,
            package_id: id,
        },
    )
    .await?;
    let package = rows::find(&mut transaction, organization_id, id).await?;
    transaction.commit().await?;
    registry.wake_workers();
    let package = package.ok_or_else(|| PackageError::Unknown(id.to_string()))?;
    Ok((package, job))
}

async fn live_of_repository(
    transaction: &mut Transaction,
    organization_id: i64,
    key: &str,
) -> Result<Option<Package>, StorageError> {
    let found = rows::find_by_repository_key(transaction, Some(organization_id), key).await?;
    Ok(found
        .into_iter()
        .find(|package| package.removed_at.is_none()))
}

/// A package's name, or its repository as long as it has none.
pub fn display_name(package: &Package) -> String {
    package
        .name
        .clone()
        .unwrap_or_else(|| package.repository_url.clone())
}

/// The organization's packages, live or `removed`, oldest first: up to `limit` after id `after`.
pub async fn list(
    registry: &Registry,
    actor: &Actor,
    organization_id: i64,
    removed: bool,
    after: i64,
    limit: i64,
) -> Result<Vec<Package>, PackageError> {
    access::administer(actor, organization_id)?;
    Ok(rows::list(
        &mut registry.database().read().await?,
        organization_id,
        removed,
        after,
        limit,
    )
    .await?)
}

/// One live package by its name, its repository's URL, or its id.
pub async fn find(
    registry: &Registry,
    actor: &Actor,
    organization_id: i64,
    named: &str,
) -> Result<Package, PackageError> {
    access::administer(actor, organization_id)?;
    let mut connection = registry.database().read().await?;
    let found =
        match rows::find_by_name(&mut connection, organization_id, &named.to_lowercase()).await? {
            Some(package) => Some(package),
            None => match (
                named.parse::<i64>(),
                RepositoryUrl::parse(named, registry.protocols()),
            ) {
                (Ok(id), _) => rows::find(&mut connection, organization_id, id).await?,
                (_, Ok(url)) => {
                    let found = rows::find_by_repository_key(
                        &mut connection,
                        Some(organization_id),
                        &url.key(),
                    )
                    .await?;
                    found
                        .into_iter()
                        .find(|package| package.removed_at.is_none())
                }
                _ => None,
            },
        };
    found
        .filter(|package| package.removed_at.is_none())
        .ok_or_else(|| PackageError::Unknown(named.to_owned()))
}

/// A package with its versions and what is wrong with its refs.
pub async fn show(
    registry: &Registry,
    actor: &Actor,
    organization_id: i64,
    named: &str,
) -> Result<Details, PackageError> {
    let package = find(registry, actor, organization_id, named).await?;
    let mut connection = registry.database().read().await?;
    let versions = versions::list_live(&mut connection, package.id).await?;
    let refs = package_refs::list(&mut connection, package.id).await?;
    let faults = refs
        .into_iter()
        .filter_map(|known| Some((known.name, known.error?)))
        .collect();
    let installs = install_statistics::total(&mut connection, package.id).await?;
    Ok(Details {
        package,
        versions,
        faults,
        installs,
    })
}

/// Queues a synchronization; gives the job, which may have been queued already.
pub async fn sync(
    registry: &Registry,
    actor: &Actor,
    package: &Package,
) -> Result<i64, PackageError> {
    access::synchronize(actor, package.organization_id)?;
    let mut transaction = registry.database().write().await?;
    let job = SyncPackage {
        organization_id: package.organization_id,
        package_id: package.id,
    };
    let id = jobs::enqueue(registry, &mut transaction, &job).await?;
    transaction.commit().await?;
    registry.wake_workers();
    Ok(id)
}

/// Hides a package: it can be restored until the undo time has passed.
pub async fn remove(
    registry: &Registry,
    actor: &Actor,
    package: &Package,
) -> Result<(), PackageError> {
    access::administer(actor, package.organization_id)?;
    let now = registry.now();
    let mut transaction = registry.database().write().await?;
    rows::remove(&mut transaction, package.id, now).await?;
    let name = display_name(package);
    record(
        registry,
        &mut transaction,
        actor,
        package.organization_id,
        "package.remove",
        &name,
    )
    .await?;
    document::withdraw(registry, &mut transaction, package).await?;
    transaction.commit().await?;
    registry.catch_up().await?;
    Ok(())
}

/// Brings a removed package back, and looks at its repository again.
pub async fn undo(
    registry: &Registry,
    actor: &Actor,
    organization_id: i64,
    name: &str,
) -> Result<Package, PackageError> {
    access::administer(actor, organization_id)?;
    let name = name.to_lowercase();
    let undo = Millis::try_from(registry.limits().undo.as_millis()).unwrap_or(Millis::MAX);
    let oldest = registry.now().saturating_sub(undo);
    let mut transaction = registry.database().write().await?;
    let candidates = rows::find_any_by_name(&mut transaction, organization_id, &name).await?;
    if candidates
        .iter()
        .any(|package| package.removed_at.is_none())
    {
        return Err(PackageError::NameTaken(name));
    }
    let package = candidates
        .into_iter()
        .filter(|package| {
            package
                .removed_at
                .is_some_and(|removed_at| removed_at >= oldest)
        })
        .max_by_key(|package| package.removed_at)
        .ok_or_else(|| PackageError::NothingToUndo(name.clone()))?;
    if package_references::is_purged(&mut transaction, package.id).await? {
        return Err(PackageError::NothingToUndo(name));
    }
    if let Some(other) =
        live_of_repository(&mut transaction, organization_id, &package.repository_key).await?
    {
        return Err(PackageError::NameTaken(display_name(&other)));
    }
    rows::restore(&mut transaction, package.id).await?;
    record(
        registry,
        &mut transaction,
        actor,
        organization_id,
        "package.undo",
        &name,
    )
    .await?;
    let job = SyncPackage {
        organization_id,
        package_id: package.id,
    };
    jobs::enqueue(registry, &mut transaction, &job).await?;
    transaction.commit().await?;
    document::refresh_package(registry, package.id, None)
        .await
        .map_err(|error| PackageError::Document(error.to_string()))?;
    registry.wake_workers();
    Ok(package)
}

/// Destroys a removed package's bytes for ever; its references are refused from now on.
pub async fn purge(
    registry: &Registry,
    actor: &Actor,
    organization_id: i64,
    name: &str,
) -> Result<(), PackageError> {
    access::administer(actor, organization_id)?;
    let name = name.to_lowercase();
    let now = registry.now();
    let mut connection = registry.database().read().await?;
    let candidates = rows::find_any_by_name(&mut connection, organization_id, &name).await?;
    drop(connection);
    let removed: Vec<Package> = candidates
        .into_iter()
        .filter(|package| package.removed_at.is_some())
        .collect();
    if removed.is_empty() {
        return Err(PackageError::NothingToUndo(name));
    }
    for package in removed {
        let mut transaction = registry.database().write().await?;
        package_references::mark_all_purged(&mut transaction, package.id, now).await?;
        let dists = dists::list(&mut transaction, package.id).await?;
        dists::delete_all(&mut transaction, package.id).await?;
        versions::purge(&mut transaction, package.id, i64::MAX).await?;
        let mut orphans = Vec::new();
        for dist in dists {
            orphans.extend(blobs::claim(&mut transaction, &dist.sha256, now).await?);
        }
        record(
            registry,
            &mut transaction,
            actor,
            organization_id,
            "package.purge",
            &name,
        )
        .await?;
        transaction.commit().await?;
        destroy(registry, &package, orphans).await?;
    }
    Ok(())
}

async fn destroy(
    registry: &Registry,
    package: &Package,
    orphans: Vec<Blob>,
) -> Result<(), PackageError> {
    let failed = |error: &dyn std::error::Error| {
        PackageError::Destroy(display_name(package), error.to_string())
    };
    for claimed in orphans {
        blob::collect(registry, &claimed)
            .await
            .map_err(|error| failed(&error))?;
    }
    let mirror = registry.parts.git.mirror(package.id);
    mirror.reset().await.map_err(|error| failed(&error))
}

async fn record(
    registry: &Registry,
    transaction: &mut Transaction,
    actor: &Actor,
    organization_id: i64,
    action: &str,
    subject: &str,
) -> Result<(), StorageError> {
    let entry = audit::Entry {
        organization_id: Some(organization_id),
        action,
        subject,
        detail: json!({}),
    };
    audit::record(registry, transaction, actor, entry).await
}

/// A package's changes since `since` for mirrors, as packagist.org's `metadata/changes.json` gives them.
#[derive(Debug, PartialEq, Eq)]
pub enum ChangesFeed {
    /// What changed after `since`, up to and with `until`.
    Actions {
        /// `(action, name, ticks)`; a name may end in `~dev`.
        actions: Vec<(String, String, i64)>,
        /// Where to go on, in ticks of 0.1 ms.
        until: i64,
    },
    /// `since` is too old or too much has changed: read everything again.
    Resync {
        /// Where to go on, in ticks of 0.1 ms.
        until: i64,
    },
}

/// Most actions that one answer lists.
const FEED: i64 = 100_000;

/// The changes of an organization's packages since `since` (ticks of 0.1 ms since 1970).
pub async fn changes_since(
    registry: &Registry,
    actor: &Actor,
    organization_id: i64,
    since: i64,
) -> Result<ChangesFeed, PackageError> {
    access::read(actor, organization_id)?;
    let mut connection = registry.database().read().await?;
    // Never from the clock: a change that is being written may still get an earlier number than "now".
    let until = changes::latest(&mut connection).await?;
    let oldest = changes::oldest(&mut connection).await?;
    let page =
        changes::since_for_organization(&mut connection, organization_id, since, Some(until), FEED)
            .await?;
    if since < oldest || i64::try_from(page.len()).unwrap_or(FEED) >= FEED {
        return Ok(ChangesFeed::Resync { until });
    }
    let actions = page
        .into_iter()
        .filter(|change| change.subject == "package")
        .map(|change| (change.action, change.name, change.seq))
        .collect();
    Ok(ChangesFeed::Actions { actions, until })
}
