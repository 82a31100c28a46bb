//! A package's two documents: tagged versions, and branches (`~dev`).

use kapelle_storage::db::packages::{self, Package};
use kapelle_storage::db::{changes, dists, documents, organizations, versions};
use kapelle_storage::{StorageError, Transaction};

use super::compress::Compressed;
use super::render::{Material, render};
use super::{Rendering, root};
use crate::jobs::{JobContext, JobError};
use crate::registry::Registry;

/// How often a publication is tried again when another one of the same package came in between.
pub(crate) const ATTEMPTS: usize = 10;

/// A package's rendered documents, ready to be written.
#[derive(Debug)]
pub struct PackageDocuments {
    pub(super) organization_id: i64,
    pub(super) name: String,
    pub(super) base_url: String,
    pub(super) tagged: Compressed,
    pub(super) branches: Compressed,
    pub(super) has_versions: bool,
    /// Names that any of the versions provides or replaces.
    pub provided: Vec<String>,
}

impl PackageDocuments {
    /// Renders and compresses off the asynchronous threads.
    pub async fn render(registry: &Registry, material: Material) -> Result<Self, JobError> {
        let mut connection = registry.database().read().await?;
        let organization =
            organizations::find_by_id(&mut connection, material.package.organization_id).await?;
        drop(connection);
        // Links to nowhere would be cached by clients: rather none.
        let Some(slug) = organization.map(|organization| organization.slug) else {
            return Err(JobError::Fail(
                "the package's organization is gone".to_owned(),
            ));
        };
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
    let _turn = registry
        .renderings
        .turn(Rendering::Package(package_id))
        .await;
    refresh_in_turn(registry, package_id, context).await
}

/// The same for whoever has the package's turn.
pub(super) async fn refresh_in_turn(
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

        // A reader has to get what is published, also while nothing is changed.
        let database = registry.database();
        let mut transaction = match context {
            Some(_) => database.write().await?,
            None => database.write_reserved().await?,
        };
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

/// Takes a removed package's documents away. Call it last before the commit.
pub(crate) async fn withdraw(
    registry: &Registry,
    transaction: &mut Transaction,
    package: &Package,
) -> Result<(), StorageError> {
    announce(registry, transaction, package, "delete").await
}

/// Says that a package is back: whoever remembers that it is not there looks again. Call it last before the commit.
pub(crate) async fn bring_back(
    registry: &Registry,
    transaction: &mut Transaction,
    package: &Package,
) -> Result<(), StorageError> {
    announce(registry, transaction, package, "update").await
}

/// Clears a package's documents, which are made anew when they are read if the package is there, and the root.
async fn announce(
    registry: &Registry,
    transaction: &mut Transaction,
    package: &Package,
    action: &str,
) -> Result<(), StorageError> {
    packages::bump_revision(transaction, package.id).await?;
    let Some(name) = &package.name else {
        return Ok(());
    };
    let now = registry.now();
    let organization_id = package.organization_id;
    for name in [name.clone(), format!("{name}~dev")] {
        let path = format!("p2/{name}.json");
        documents::clear(transaction, organization_id, &path, now.div_euclid(1_000)).await?;
        changes::append(transaction, now, organization_id, "package", action, &name).await?;
    }
    root::invalidate(registry, transaction, organization_id).await
}
