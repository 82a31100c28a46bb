//! A package's two documents: tagged versions, and branches (`~dev`).

use kapelle_storage::db::changes::{self, Change};
use kapelle_storage::db::linked_names::{self, Relation};
use kapelle_storage::db::packages::{self, Package};
use kapelle_storage::db::{dists, documents, organizations, versions};
use kapelle_storage::{Handle, StorageError, Transaction};

use super::compress::{Compressed, Press, Turn, seal};
use super::render::{self, Bodies, Links, Material};
use super::{Rendering, root};
use crate::jobs::{JobContext, JobError};
use crate::registry::Registry;

/// How often a publication is tried again when another one of the same package came in between.
pub(crate) const ATTEMPTS: usize = 10;

/// A package's rendered documents, ready to be written.
#[derive(Debug)]
pub struct PackageDocuments {
    organization_id: i64,
    base_url: String,
    /// Of the tagged versions, and of the branches.
    documents: [Rendered; 2],
    has_versions: bool,
    /// Names that the versions are linked to.
    pub links: Links,
}

/// One of them.
#[derive(Debug)]
struct Rendered {
    /// As changes say it: with `~dev` for branches.
    name: String,
    /// The date of what was stored when this was rendered, deleted or not.
    seen: Option<i64>,
    /// `None`: what is stored says the same already, or nothing is to be there.
    fresh: Option<Fresh>,
}

#[derive(Debug)]
struct Fresh {
    compressed: Compressed,
    seal: [u8; 32],
}

impl PackageDocuments {
    /// Renders off the asynchronous threads, and compresses what says something else than what is stored.
    pub async fn render(registry: &Registry, material: Material) -> Result<Self, JobError> {
        let turn = registry.presses.turn().await;
        Self::render_in(registry, turn, material).await
    }

    /// The same for whoever has a turn: before the material was read, so that memory does not hold many packages.
    async fn render_in(
        registry: &Registry,
        turn: Turn,
        material: Material,
    ) -> Result<Self, JobError> {
        let Package {
            organization_id,
            name,
            ..
        } = &material.package;
        let (organization_id, name) = (*organization_id, name.clone().unwrap_or_default());
        let mut connection = registry.database().read().await?;
        let organization = organizations::find_by_id(&mut connection, organization_id).await?;
        // Links to nowhere would be cached by clients: rather none.
        let Some(slug) = organization.map(|organization| organization.slug) else {
            return Err(JobError::Fail(
                "the package's organization is gone".to_owned(),
            ));
        };
        let tagged = Place::find(&mut connection, organization_id, name.clone()).await?;
        let branches = Place::find(&mut connection, organization_id, format!("{name}~dev")).await?;
        drop(connection);
        let base_url = registry.public_url().to_string();
        let repository = registry.repository_url(&slug);
        let render = move |press: &mut Press| {
            let Bodies {
                documents: [first, second],
                links,
            } = render::bodies(&material, &repository).map_err(JobError::Fail)?;
            let has_versions = !material.versions.is_empty();
            drop(material);
            let body = |body| has_versions.then_some(body);
            let documents = [
                tagged.render(body(first), &base_url, press)?,
                branches.render(body(second), &base_url, press)?,
            ];
            Ok(Self {
                organization_id,
                base_url,
                documents,
                has_versions,
                links,
            })
        };
        let rendered = registry.presses.work(turn, render).await;
        rendered.map_err(|error| JobError::Retry(error.to_string()))?
    }

    /// Writes which names the package's versions are linked to.
    pub async fn write_links(
        &self,
        transaction: &mut Transaction,
        package_id: i64,
    ) -> Result<(), StorageError> {
        let Links { provides, requires } = &self.links;
        linked_names::replace(transaction, package_id, Relation::Provides, provides).await?;
        linked_names::replace(transaction, package_id, Relation::Requires, requires).await
    }

    /// Writes what differs from what is stored, advances the change sequence for it, and has the root made anew
    /// when the package appears or disappears. `false`: what is stored is another than when this was rendered.
    pub async fn write(
        &self,
        registry: &Registry,
        transaction: &mut Transaction,
    ) -> Result<bool, StorageError> {
        Self::write_all(registry, transaction, std::slice::from_ref(self)).await
    }

    /// The same for packages of one organization.
    pub async fn write_all(
        registry: &Registry,
        transaction: &mut Transaction,
        all: &[Self],
    ) -> Result<bool, StorageError> {
        let now = registry.now();
        let mut changes = Vec::new();
        let mut root = None;
        for package in all {
            for (index, rendered) in package.documents.iter().enumerate() {
                let Some(put) = package.put(transaction, rendered, now).await? else {
                    return Ok(false);
                };
                if put == Put::Same {
                    continue;
                }
                // The document of tagged versions is there exactly while the package has versions.
                if index == 0 && put != Put::Changed {
                    root = Some(package.organization_id);
                }
                let action = match put {
                    Put::Disappeared => "delete",
                    _ => "update",
                };
                changes.push(Change::new(
                    package.organization_id,
                    "package",
                    action,
                    &rendered.name,
                ));
            }
        }
        if let Some(organization_id) = root {
            changes.push(root::clear(registry, transaction, organization_id).await?);
        }
        changes::append_all(transaction, now, &changes).await?;
        Ok(true)
    }

    async fn put(
        &self,
        transaction: &mut Transaction,
        rendered: &Rendered,
        now: i64,
    ) -> Result<Option<Put>, StorageError> {
        let Rendered { name, seen, fresh } = rendered;
        let path = path(name);
        let seconds = now.div_euclid(1_000);
        let stored = documents::summary(transaction, self.organization_id, &path).await?;
        if stored.as_ref().map(|stored| stored.last_modified) != *seen {
            return Ok(None);
        }
        let is_there = stored.is_some_and(|stored| !stored.deleted);
        Ok(Some(match fresh {
            Some(fresh) => {
                let body = documents::Body {
                    base_url: &self.base_url,
                    gzip: &fresh.compressed.gzip,
                    zstd: &fresh.compressed.zstd,
                    seal: &fresh.seal,
                };
                documents::put(transaction, self.organization_id, &path, body, seconds).await?;
                if is_there {
                    Put::Changed
                } else {
                    Put::Appeared
                }
            }
            None if is_there && !self.has_versions => {
                documents::clear(transaction, self.organization_id, &path, seconds).await?;
                Put::Disappeared
            }
            None => Put::Same,
        }))
    }
}

/// Where a document is, and what is there before it is rendered.
struct Place {
    name: String,
    stored: Option<documents::Document>,
}

impl Place {
    async fn find(
        on: &mut impl Handle,
        organization_id: i64,
        name: String,
    ) -> Result<Self, StorageError> {
        let stored = documents::find(on, organization_id, &path(&name)).await?;
        Ok(Self { name, stored })
    }

    /// Compresses a body unless the very same is stored, unharmed.
    fn render(
        self,
        body: Option<Vec<u8>>,
        base_url: &str,
        press: &mut Press,
    ) -> Result<Rendered, JobError> {
        let Self { name, stored } = self;
        let seen = stored.as_ref().map(|stored| stored.last_modified);
        let is_same = |body: &Vec<u8>| stored.is_some_and(|stored| says(&stored, body, base_url));
        let body = body.filter(|body| !is_same(body));
        let fresh = body.map(|body| Fresh::of(&body, press)).transpose();
        let fresh = fresh.map_err(|error| JobError::Retry(error.to_string()))?;
        Ok(Rendered { name, seen, fresh })
    }
}

impl Fresh {
    fn of(body: &[u8], press: &mut Press) -> std::io::Result<Self> {
        let compressed = press.compress(body)?;
        let seal = compressed.seal(body);
        Ok(Self { compressed, seal })
    }
}

/// Whether what is stored was made of this body for this public URL, and is as it was made.
fn says(stored: &documents::Document, body: &[u8], base_url: &str) -> bool {
    let (Some(gzip), Some(zstd), Some(known)) = (&stored.gzip, &stored.zstd, &stored.seal) else {
        return false;
    };
    stored.base_url == base_url && seal(body, gzip, zstd).as_slice() == known
}

fn path(name: &str) -> String {
    format!("p2/{name}.json")
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
        drop(connection);
        let turn = registry.presses.turn().await;
        let mut connection = registry.database().read().await?;
        let versions = versions::list_live(&mut connection, package_id).await?;
        let dists = dists::shown(&mut connection, package_id).await?;
        drop(connection);
        let material = Material {
            package,
            versions,
            dists,
        };
        let documents = PackageDocuments::render_in(registry, turn, material).await?;

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
        documents.write_links(&mut transaction, package_id).await?;
        if !documents.write(registry, &mut transaction).await? {
            continue;
        }
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
    let mut changes = Vec::new();
    for name in [name.clone(), format!("{name}~dev")] {
        documents::clear(
            transaction,
            organization_id,
            &path(&name),
            now.div_euclid(1_000),
        )
        .await?;
        changes.push(Change::new(organization_id, "package", action, &name));
    }
    changes.push(root::clear(registry, transaction, organization_id).await?);
    changes::append_all(transaction, now, &changes).await?;
    Ok(())
}
