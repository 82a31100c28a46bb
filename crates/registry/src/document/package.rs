//! A package's two documents: tagged versions, and branches (`~dev`).

use std::collections::{BTreeMap, BTreeSet};

use kapelle_composer::metadata::{self, Dist, Source, VersionObject};
use kapelle_composer::{Abandoned, Manifest, PackageName, Stability};
use kapelle_storage::db::packages::{self, Package};
use kapelle_storage::db::versions::{self, Version};
use kapelle_storage::db::{changes, dists, documents, organizations};
use kapelle_storage::{StorageError, Transaction};
use serde_json::{Map, Value};

use super::compress::{Compressed, compress};
use super::root;
use crate::jobs::{JobContext, JobError};
use crate::registry::Registry;

/// How often a publication is tried again when another one of the same package came in between.
pub(crate) const ATTEMPTS: usize = 10;

/// Everything that a package's documents are made of.
#[derive(Debug)]
pub struct Material {
    /// The package as it will be.
    pub package: Package,
    /// Its live versions.
    pub versions: Vec<Version>,
    /// Checksums of the dists that are built, by reference.
    pub shasums: BTreeMap<String, String>,
}

/// A package's rendered documents, ready to be written.
#[derive(Debug)]
pub struct PackageDocuments {
    organization_id: i64,
    name: String,
    base_url: String,
    tagged: Compressed,
    branches: Compressed,
    has_versions: bool,
}

impl PackageDocuments {
    /// Renders and compresses off the asynchronous threads.
    pub async fn render(registry: &Registry, material: Material) -> Result<Self, JobError> {
        let mut connection = registry.database().read().await?;
        let organization =
            organizations::find_by_id(&mut connection, material.package.organization_id).await?;
        drop(connection);
        let slug = organization
            .map(|organization| organization.slug)
            .unwrap_or_default();
        let base_url = registry.public_url().to_string();
        let repository = registry.repository_url(&slug);
        let rendered =
            tokio::task::spawn_blocking(move || render(&material, &repository, base_url));
        rendered
            .await
            .map_err(|error| JobError::Retry(error.to_string()))?
            .map_err(JobError::Fail)
    }

    /// Writes what differs from what is stored, advances the change sequence for it, and has the root made anew
    /// when the package appears or disappears.
    pub async fn write(
        &self,
        registry: &Registry,
        transaction: &mut Transaction,
    ) -> Result<(), StorageError> {
        let tagged = self
            .put(registry, transaction, &self.name, &self.tagged)
            .await?;
        self.put(
            registry,
            transaction,
            &format!("{}~dev", self.name),
            &self.branches,
        )
        .await?;
        if tagged == Put::Appeared || tagged == Put::Disappeared {
            root::invalidate(registry, transaction, self.organization_id).await?;
        }
        Ok(())
    }

    async fn put(
        &self,
        registry: &Registry,
        transaction: &mut Transaction,
        name: &str,
        body: &Compressed,
    ) -> Result<Put, StorageError> {
        let path = format!("p2/{name}.json");
        let stored = documents::find(transaction, self.organization_id, &path).await?;
        let stored = stored.filter(|stored| stored.gzip.is_some());
        let now = registry.now();
        let seconds = now.div_euclid(1_000);
        let outcome = match stored {
            None if !self.has_versions => return Ok(Put::Same),
            Some(_) if !self.has_versions => {
                documents::clear(transaction, self.organization_id, &path, seconds).await?;
                Put::Disappeared
            }
            Some(stored)
                if stored.gzip.as_ref() == Some(&body.gzip) && stored.base_url == self.base_url =>
            {
                return Ok(Put::Same);
            }
            stored => {
                documents::put(
                    transaction,
                    self.organization_id,
                    &path,
                    &self.base_url,
                    &body.gzip,
                    &body.zstd,
                    seconds,
                )
                .await?;
                if stored.is_some() {
                    Put::Changed
                } else {
                    Put::Appeared
                }
            }
        };
        let action = if outcome == Put::Disappeared {
            "delete"
        } else {
            "update"
        };
        changes::append(
            transaction,
            now,
            self.organization_id,
            "package",
            action,
            name,
        )
        .await?;
        Ok(outcome)
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Put {
    Same,
    Changed,
    Appeared,
    Disappeared,
}

/// Renders and stores a package's documents from what is in the database now. A job passes its context, so that
/// the write is fenced.
pub async fn refresh_package(
    registry: &Registry,
    package_id: i64,
    context: Option<&JobContext>,
) -> Result<(), JobError> {
    for _ in 0..ATTEMPTS {
        let mut connection = registry.database().read().await?;
        let Some(package) = packages::find_by_id(&mut connection, package_id).await? else {
            return Ok(());
        };
        if package.removed_at.is_some() || package.name.is_none() {
            return Ok(());
        }
        let revision = package.revision;
        let versions = versions::list_live(&mut connection, package_id).await?;
        let shasums = dists::shasums(&mut connection, package_id).await?;
        drop(connection);
        let documents = PackageDocuments::render(
            registry,
            Material {
                package,
                versions,
                shasums,
            },
        )
        .await?;

        let mut transaction = registry.database().write().await?;
        if !packages::advance_revision(&mut transaction, package_id, revision).await? {
            continue;
        }
        if let Some(context) = context {
            context.fence(&mut transaction).await?;
        }
        documents.write(registry, &mut transaction).await?;
        transaction.commit().await?;
        registry.catch_up().await?;
        return Ok(());
    }
    Err(JobError::Retry(
        "the package kept changing while its documents were made".to_owned(),
    ))
}

/// Takes a removed package's documents away.
pub(crate) async fn withdraw(
    registry: &Registry,
    transaction: &mut Transaction,
    package: &Package,
) -> Result<(), StorageError> {
    packages::bump_revision(transaction, package.id).await?;
    let Some(name) = &package.name else {
        return Ok(());
    };
    let now = registry.now();
    for name in [name.clone(), format!("{name}~dev")] {
        let path = format!("p2/{name}.json");
        documents::clear(
            transaction,
            package.organization_id,
            &path,
            now.div_euclid(1_000),
        )
        .await?;
        changes::append(
            transaction,
            now,
            package.organization_id,
            "package",
            "delete",
            &name,
        )
        .await?;
    }
    root::invalidate(registry, transaction, package.organization_id).await
}

fn render(
    material: &Material,
    repository: &str,
    base_url: String,
) -> Result<PackageDocuments, String> {
    let package = &material.package;
    let name = package.name.clone().unwrap_or_default();
    let parsed = PackageName::parse(&name).map_err(|error| error.to_string())?;
    let mut tagged = Vec::new();
    let mut branches = Vec::new();
    for version in &material.versions {
        let object = object(material, &parsed, version, repository)?;
        if version.stability == Stability::Dev.as_str() {
            branches.push(object);
        } else {
            tagged.push(object);
        }
    }
    let [tagged, branches] = [tagged, branches].map(|mut objects| {
        metadata::sort_newest_first(&mut objects);
        compress(&metadata::document(&parsed, &objects)).map_err(|error| error.to_string())
    });
    Ok(PackageDocuments {
        organization_id: package.organization_id,
        name,
        base_url,
        tagged: tagged?,
        branches: branches?,
        has_versions: !material.versions.is_empty(),
    })
}

fn object(
    material: &Material,
    name: &PackageName,
    version: &Version,
    repository: &str,
) -> Result<Map<String, Value>, String> {
    let manifest =
        Manifest::parse(version.manifest.as_bytes()).map_err(|error| error.to_string())?;
    let reference = &version.reference;
    let url = format!("{repository}/dists/{name}/{reference}.zip");
    let shasum = material
        .shasums
        .get(reference)
        .map(String::as_str)
        .unwrap_or_default();
    let abandoned = material.package.abandoned.as_deref().map(read_abandoned);
    let object = VersionObject {
        manifest: &manifest,
        name,
        version: &version.version,
        normalized: &version.version_normalized,
        source: Some(Source {
            kind: "git",
            url: &material.package.repository_url,
            reference,
        }),
        dist: Some(Dist {
            kind: "zip",
            url: &url,
            reference,
            shasum,
        }),
        time: Some(version.released_at),
        default_branch: version.default_branch,
        abandoned: abandoned.as_ref(),
        notification_url: None,
    };
    Ok(object.build())
}

/// How a package's row says that it is abandoned: empty, or the replacement.
pub(crate) fn stored_abandoned(abandoned: Abandoned) -> String {
    match abandoned {
        Abandoned::WithoutReplacement => String::new(),
        Abandoned::ReplacedBy(replacement) => replacement,
    }
}

fn read_abandoned(stored: &str) -> Abandoned {
    match stored {
        "" => Abandoned::WithoutReplacement,
        replacement => Abandoned::ReplacedBy(replacement.to_owned()),
    }
}

/// Names that any of the versions provides or replaces.
pub(crate) fn provided_names(versions: &[Version]) -> Vec<String> {
    let names: BTreeSet<String> = versions
        .iter()
        .filter_map(|version| Manifest::parse(version.manifest.as_bytes()).ok())
        .flat_map(|manifest| manifest.provided_names())
        .collect();
    names.into_iter().collect()
}
