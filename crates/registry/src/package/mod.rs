//! Packages: a repository, uploaded archives, or what somebody wrote down.

mod changes;
mod create;
pub(crate) mod definition;
mod edit;
mod lookup;
mod removal;
mod security_monitoring;

pub use changes::{ChangesFeed, changes_since};
pub use create::{New, REPOSITORY_TYPES, Source, add, create};
pub use edit::{Edit, edit};
pub use lookup::find;
pub use removal::{purge, remove, undo};
pub use security_monitoring::{monitor, monitoring};

use std::collections::BTreeMap;

use kapelle_storage::db::artifacts::{self, Artifact};
use kapelle_storage::db::dists::Dist;
use kapelle_storage::db::install_statistics::{self, Totals};
use kapelle_storage::db::linked_names::Relation;
use kapelle_storage::db::package_references::{self, PackageReference};
use kapelle_storage::db::packages::{self as rows, Package};
use kapelle_storage::db::versions::{self, Outline, Version};
use kapelle_storage::db::{definitions, dists, package_refs};
use kapelle_storage::{StorageError, Transaction};
use kapelle_vcs::InvalidUrl;
use serde_json::json;

use crate::access::{self, Denied};
use crate::actor::Actor;
use crate::artifact::ArtifactError;
use crate::audit;
use crate::clock::DAY;
use crate::jobs::{self, SyncPackage};
use crate::registry::Registry;

/// Characters of definitions that one page of a list has at most.
const DEFINITIONS: i64 = 64 << 20;

/// Why a package could not be added, shown or changed.
#[derive(Debug, thiserror::Error)]
pub enum PackageError {
    /// Not allowed.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// There is none of that name.
    #[error("there is no package {0:?} in this organization: `kapelle package list` shows them")]
    Unknown(String),
    /// It was removed, and can be restored.
    #[error("{name} was removed on {date}: `kapelle package undo {name}` restores it")]
    Removed {
        /// Its name or repository.
        name: String,
        /// The day in UTC.
        date: String,
    },
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
    /// Another package has the name.
    #[error("{0} is the name of another package of this organization already")]
    NameExists(String),
    /// No such kind of repository.
    #[error(
        "{0:?} is no type of repository that can be read here: use vcs, git, github, gitlab or bitbucket, \
         or package or artifact"
    )]
    RepositoryType(String),
    /// What is to be monitored is no list of branches.
    #[error("{0}")]
    Monitoring(String),
    /// Packages do not become something else.
    #[error(
        "{name} is a package of the kind {kind} and stays one: remove it first, and add it anew"
    )]
    Kind {
        /// Its name.
        name: String,
        /// Its kind.
        kind: String,
    },
    /// A custom package's definition is wrong.
    #[error("{0}")]
    Definition(String),
    /// Artifacts do not make a package.
    #[error(transparent)]
    Artifact(#[from] ArtifactError),
    /// No such access.
    #[error("{0:?} is no access of suborganizations: use no-access or read")]
    SuborganizationAccess(String),
    /// There is no such credential here.
    #[error(
        "there is no credential {0} in this organization: `kapelle credential list` shows them"
    )]
    UnknownCredential(i64),
    /// The credential would be sent to a host that it is not for.
    #[error("credential {id} is for {host}, and {url} is another host: choose another credential")]
    CredentialHost {
        /// The credential.
        id: i64,
        /// The host it is for.
        host: String,
        /// The repository's URL.
        url: String,
    },
    /// It was removed too long ago, or never.
    #[error(
        "there is no removed package {0:?} that could be restored: `kapelle package list --removed` shows them"
    )]
    NothingToUndo(String),
    /// Only what was removed can be destroyed.
    #[error("there is no removed package {0:?}: remove it before purging it")]
    NothingToPurge(String),
    /// The name is in use again.
    #[error("{0} exists again: remove the new package before restoring the old one")]
    NameTaken(String),
    /// A page of a list has too much in it.
    #[error(
        "the definitions of these packages have more than {0} characters: ask for a smaller page, with limit=100"
    )]
    TooMuch(i64),
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
    /// The dists that are built, of these and of older versions.
    pub dists: Vec<Dist>,
    /// Refs that give no version, with the reason.
    pub faults: Vec<(String, String)>,
    /// Published commits that nobody has any more and that have no dist.
    pub lost: Vec<PackageReference>,
    /// Installs in all.
    pub installs: i64,
}

async fn live_of_repository(
    transaction: &mut Transaction,
    organization_id: i64,
    key: &str,
) -> Result<Option<Package>, StorageError> {
    if key.is_empty() {
        return Ok(None);
    }
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
    access::inspect(actor, organization_id)?;
    Ok(rows::list(
        &mut registry.database().read().await?,
        organization_id,
        removed,
        after,
        limit,
    )
    .await?)
}

/// A part of the organization's live packages, oldest first, all or those of one origin; and how many there are.
pub async fn page(
    registry: &Registry,
    actor: &Actor,
    organization_id: i64,
    origin: Option<&str>,
    limit: i64,
    offset: i64,
) -> Result<(Vec<Package>, i64), PackageError> {
    access::inspect(actor, organization_id)?;
    let mut connection = registry.database().read().await?;
    let total = rows::count_of(&mut connection, organization_id, origin).await?;
    let page = rows::page(&mut connection, organization_id, origin, limit, offset).await?;
    Ok((page, total))
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
    let dists = dists::list(&mut connection, package.id).await?;
    let refs = package_refs::list(&mut connection, package.id).await?;
    let faults = refs
        .into_iter()
        .filter_map(|known| Some((known.name, known.error?)))
        .collect();
    let lost = package_references::list_lost(&mut connection, package.id).await?;
    let installs = install_statistics::total(&mut connection, package.id).await?;
    Ok(Details {
        package,
        versions,
        dists,
        faults,
        lost,
        installs,
    })
}

/// A package with what its versions are called, however many there are.
#[derive(Debug)]
pub struct PackageOutline {
    /// The package.
    pub package: Package,
    /// Its live versions.
    pub versions: Vec<Outline>,
    /// How often it was installed: in all, in the last 30 days, since yesterday's beginning.
    pub installs: Totals,
    /// What it was defined by, if it is a custom one.
    pub definition: Option<String>,
    /// Its artifacts, if it is made of them.
    pub artifacts: Vec<Artifact>,
}

/// A package with what its versions are called.
pub async fn outline(
    registry: &Registry,
    actor: &Actor,
    package: Package,
) -> Result<PackageOutline, PackageError> {
    access::inspect(actor, package.organization_id)?;
    let today = registry.now().div_euclid(DAY);
    let mut connection = registry.database().read().await?;
    Ok(PackageOutline {
        versions: versions::outlines(&mut connection, package.id).await?,
        installs: install_statistics::totals(&mut connection, package.id, today - 29, today - 1)
            .await?,
        definition: definitions::find(&mut connection, package.id).await?,
        artifacts: artifacts::list(&mut connection, package.id).await?,
        package,
    })
}

/// The definitions of the custom packages of a page, by package. There is a limit to how much that may be.
pub async fn definitions_of(
    registry: &Registry,
    actor: &Actor,
    organization_id: i64,
    page: &[Package],
) -> Result<BTreeMap<i64, String>, PackageError> {
    access::inspect(actor, organization_id)?;
    let custom = || page.iter().filter(|package| package.kind == "custom");
    let (Some(first), Some(last)) = (custom().next(), custom().next_back()) else {
        return Ok(BTreeMap::new());
    };
    let mut connection = registry.database().read().await?;
    let weight = definitions::weigh(&mut connection, organization_id, first.id, last.id).await?;
    if weight > DEFINITIONS {
        return Err(PackageError::TooMuch(DEFINITIONS));
    }
    let found = definitions::list(&mut connection, organization_id, first.id, last.id).await?;
    Ok(found
        .into_iter()
        .map(|definition| (definition.package_id, definition.json))
        .collect())
}

/// The id and name of a package of the organization, removed or not.
pub async fn named(
    registry: &Registry,
    actor: &Actor,
    organization_id: i64,
    id: i64,
) -> Result<Option<(i64, String)>, PackageError> {
    access::inspect(actor, organization_id)?;
    let found = rows::find(&mut registry.database().read().await?, organization_id, id).await?;
    Ok(found.map(|package| (package.id, display_name(&package))))
}

/// The organization's packages of which a version requires `package`, by name.
pub async fn dependents(
    registry: &Registry,
    actor: &Actor,
    package: &Package,
) -> Result<Vec<Package>, PackageError> {
    let organization_id = package.organization_id;
    access::inspect(actor, organization_id)?;
    let Some(name) = &package.name else {
        return Ok(Vec::new());
    };
    let mut connection = registry.database().read().await?;
    Ok(rows::linked(&mut connection, organization_id, Relation::Requires, name).await?)
}

/// Queues a synchronization; gives the job, which may have been queued already.
pub async fn sync(
    registry: &Registry,
    actor: &Actor,
    package: &Package,
) -> Result<i64, PackageError> {
    let jobs = sync_page(registry, actor, std::slice::from_ref(package)).await?;
    Ok(jobs[0])
}

/// Queues synchronizations of a page of packages, in the order of their keys, in one transaction; gives their jobs.
pub async fn sync_page(
    registry: &Registry,
    actor: &Actor,
    packages: &[Package],
) -> Result<Vec<i64>, PackageError> {
    for package in packages {
        access::synchronize(actor, package.organization_id)?;
    }
    let mut transaction = registry.database().write().await?;
    let mut queued = Vec::with_capacity(packages.len());
    for package in packages {
        let job = SyncPackage {
            organization_id: package.organization_id,
            package_id: package.id,
        };
        queued.push(jobs::enqueue(registry, &mut transaction, &job).await?);
    }
    transaction.commit().await?;
    registry.wake_workers();
    Ok(queued)
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
