//! New packages, of every kind.

use kapelle_storage::db::packages::{self as rows, Package};
use kapelle_storage::db::{artifacts, definitions};
use kapelle_storage::{StorageError, Transaction};
use kapelle_vcs::RepositoryUrl;
use serde_json::Value;

use super::definition::Definition;
use super::{PackageError, display_name, edit, live_of_repository, record};
use crate::access;
use crate::actor::Actor;
use crate::artifact;
use crate::jobs::{self, SyncPackage};
use crate::registry::Registry;

/// Words for a git repository, as Private Packagist's clients write them.
pub const REPOSITORY_TYPES: [&str; 5] = ["vcs", "git", "github", "gitlab", "bitbucket"];

/// Where a package comes from.
#[derive(Clone, Debug)]
pub enum Source {
    /// A repository.
    Repository {
        /// One of [`REPOSITORY_TYPES`].
        kind: String,
        /// Its URL.
        url: String,
    },
    /// What somebody wrote down: one version of a Composer package, or a list of them.
    Custom(Value),
    /// Archives that were uploaded, by their ids.
    Artifacts(Vec<i64>),
}

/// What a new package is made of.
#[derive(Clone, Debug)]
pub struct New {
    /// Where it comes from.
    pub source: Source,
    /// The credential that is used for it.
    pub credential_id: Option<i64>,
    /// What new suborganizations may do with it; empty: nothing was said.
    pub suborganization_access: String,
}

/// Adds the repository at `url` as a package and queues its first synchronization; gives the package and the job.
pub async fn add(
    registry: &Registry,
    actor: &Actor,
    organization_id: i64,
    url: &str,
    credential_id: Option<i64>,
) -> Result<(Package, i64), PackageError> {
    let source = Source::Repository {
        kind: "vcs".to_owned(),
        url: url.to_owned(),
    };
    let new = New {
        source,
        credential_id,
        suborganization_access: String::new(),
    };
    create(registry, actor, organization_id, &new).await
}

/// Adds a package of any kind and queues the job that publishes its versions; gives both.
pub async fn create(
    registry: &Registry,
    actor: &Actor,
    organization_id: i64,
    new: &New,
) -> Result<(Package, i64), PackageError> {
    access::administer(actor, organization_id)?;
    check_suborganization_access(&new.suborganization_access)?;
    let definition = match &new.source {
        Source::Custom(json) => Some(read_definition(registry, json)?),
        _ => None,
    };
    let mut transaction = registry.database().write().await?;
    let id = match &new.source {
        Source::Repository { kind, url } => {
            let url = RepositoryUrl::parse(url, registry.protocols())?;
            check_repository_type(kind)?;
            edit::check_credential(
                &mut transaction,
                organization_id,
                new.credential_id,
                Some(&url),
            )
            .await?;
            insert_repository(registry, &mut transaction, organization_id, new, kind, &url).await?
        }
        Source::Custom(json) => {
            edit::check_credential(&mut transaction, organization_id, new.credential_id, None)
                .await?;
            let name = definition.as_ref().map_or("", |it| it.name.as_str());
            let id = insert_named(
                registry,
                &mut transaction,
                organization_id,
                new,
                "custom",
                name,
            )
            .await?;
            definitions::put(&mut transaction, id, &json.to_string()).await?;
            id
        }
        Source::Artifacts(ids) => {
            edit::check_credential(&mut transaction, organization_id, new.credential_id, None)
                .await?;
            let chosen = artifact::choose(&mut transaction, organization_id, ids, None).await?;
            let name = chosen.name.as_str();
            let id = insert_named(
                registry,
                &mut transaction,
                organization_id,
                new,
                "artifact",
                name,
            )
            .await?;
            for artifact in &chosen.artifacts {
                artifacts::give(&mut transaction, artifact.id, id).await?;
            }
            id
        }
    };
    let package = rows::find(&mut transaction, organization_id, id).await?;
    let package = package.ok_or_else(|| PackageError::Unknown(id.to_string()))?;
    let named = display_name(&package);
    record(
        registry,
        &mut transaction,
        actor,
        organization_id,
        "package.add",
        &named,
    )
    .await?;
    let job = SyncPackage {
        organization_id,
        package_id: id,
    };
    let job = jobs::enqueue(registry, &mut transaction, &job).await?;
    transaction.commit().await?;
    registry.wake_workers();
    Ok((package, job))
}

async fn insert_repository(
    registry: &Registry,
    transaction: &mut Transaction,
    organization_id: i64,
    new: &New,
    kind: &str,
    url: &RepositoryUrl,
) -> Result<i64, PackageError> {
    let key = url.key();
    if let Some(existing) = live_of_repository(transaction, organization_id, &key).await? {
        return Err(PackageError::Duplicate {
            url: url.to_string(),
            name: display_name(&existing),
        });
    }
    let row = rows::NewPackage {
        organization_id,
        name: None,
        kind: "vcs",
        origin: "private",
        repository_url: &url.to_string(),
        repository_key: &key,
        repository_type: kind,
        suborganization_access: &new.suborganization_access,
        credential_id: new.credential_id,
        created_at: registry.now(),
    };
    match rows::insert(transaction, row).await {
        // Somebody else was faster by a moment.
        Err(StorageError::Duplicate { .. }) => Err(PackageError::Duplicate {
            url: url.to_string(),
            name: url.to_string(),
        }),
        inserted => Ok(inserted?),
    }
}

async fn insert_named(
    registry: &Registry,
    transaction: &mut Transaction,
    organization_id: i64,
    new: &New,
    kind: &str,
    name: &str,
) -> Result<i64, PackageError> {
    let holder = rows::find_by_name(transaction, organization_id, name).await?;
    if holder.is_some() {
        return Err(PackageError::NameExists(name.to_owned()));
    }
    let row = rows::NewPackage {
        organization_id,
        name: Some(name),
        kind,
        origin: "private",
        repository_url: "",
        repository_key: "",
        repository_type: "",
        suborganization_access: &new.suborganization_access,
        credential_id: new.credential_id,
        created_at: registry.now(),
    };
    match rows::insert(transaction, row).await {
        // Somebody else was faster by a moment.
        Err(StorageError::Duplicate { .. }) => Err(PackageError::NameExists(name.to_owned())),
        inserted => Ok(inserted?),
    }
}

/// Judges a custom package's definition.
pub(super) fn read_definition(
    registry: &Registry,
    json: &Value,
) -> Result<Definition, PackageError> {
    Definition::parse(json, registry.protocols(), registry.limits().manifest)
        .map_err(PackageError::Definition)
}

/// Whether that is a kind of repository that can be read here.
pub(super) fn check_repository_type(kind: &str) -> Result<(), PackageError> {
    if REPOSITORY_TYPES.contains(&kind) {
        return Ok(());
    }
    Err(PackageError::RepositoryType(kind.to_owned()))
}

/// Whether that is something which suborganizations may be allowed.
pub(super) fn check_suborganization_access(access: &str) -> Result<(), PackageError> {
    if matches!(access, "" | "no-access" | "read") {
        return Ok(());
    }
    Err(PackageError::SuborganizationAccess(access.to_owned()))
}
