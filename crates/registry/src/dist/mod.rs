//! Dists: the archive of a published version, made once, the same bytes for ever.

mod build;
pub(crate) mod inspect;
mod order;
mod remote;
mod workshop;

pub(crate) use build::{Builds, archive_limits, build, build_in, rehearse};
pub(crate) use remote::{definition_of, of_artifact, of_version};
pub(crate) use workshop::{Kept, Workshop};

use std::ops::Range;

use bytes::Bytes;
use futures::stream::BoxStream;
use kapelle_composer::PackageName;
use kapelle_storage::StorageError;
use kapelle_storage::blobs::BlobError;
use kapelle_storage::db::dists::{self as rows, Dist};
use kapelle_storage::db::package_references;
use kapelle_storage::db::packages;

use crate::access::{self, Denied};
use crate::actor::Actor;
use crate::organization::{self, VisibleError};
use crate::registry::Registry;

/// Why there is no dist to give.
#[derive(Debug, thiserror::Error)]
pub enum DistError {
    /// Not allowed.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// This package never published that commit.
    #[error("not found")]
    Unknown,
    /// The package was removed.
    #[error("{0} was removed from this repository; its administrator can undo that for a while")]
    Removed(String),
    /// The bytes were destroyed on purpose.
    #[error("this version of {0} was withdrawn for ever: require another one")]
    Purged(String),
    /// It was published, and cannot be had now.
    #[error("the dist of {package} at {reference} is unavailable: {reason}")]
    Unavailable {
        /// The package.
        package: String,
        /// The commit.
        reference: String,
        /// Why.
        reason: String,
        /// What that is about.
        cause: Cause,
    },
    /// It was published, and nobody has the commit any more.
    #[error(
        "{package} at {reference} is lost: its repository no longer has that commit, and neither has any copy of it; \
         require another version, or have the commit pushed again"
    )]
    Lost {
        /// The package.
        package: String,
        /// The commit.
        reference: String,
    },
    /// It was published, and no dist can ever be made of it: it breaks a limit.
    #[error("no dist can be made of {package} at {reference}: {reason}")]
    Unbuildable {
        /// The package.
        package: String,
        /// The commit.
        reference: String,
        /// Why.
        reason: String,
    },
    /// The database failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// What keeps a dist from being had now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The copy of the repository here does not have the commit; another process's may.
    Absent,
    /// The copy of the repository does not give it.
    Mirror,
    /// A limit that is set here, of time or of size: with another one it could be had.
    Limit,
    /// A disk or the store of blobs fails us: nothing is wrong with the commit.
    Machine,
}

impl DistError {
    /// Whether it can be built as soon as our own disks, store and database work again.
    pub(crate) fn is_ours(&self) -> bool {
        matches!(
            self,
            Self::Storage(_)
                | Self::Unavailable {
                    cause: Cause::Machine,
                    ..
                }
        )
    }

    /// Whether the copy of the repository did not give the commit, or not in time.
    pub(crate) fn is_the_mirrors(&self) -> bool {
        matches!(
            self,
            Self::Unavailable {
                cause: Cause::Mirror | Cause::Limit,
                ..
            }
        )
    }

    /// Whether this machine does not have the commit.
    pub(crate) fn is_absent(&self) -> bool {
        matches!(
            self,
            Self::Unavailable {
                cause: Cause::Absent,
                ..
            }
        )
    }

    /// Whether the copy of the repository may well have the commit, although no dist came of it this time.
    pub(crate) fn may_come(&self) -> bool {
        self.is_ours()
            || matches!(
                self,
                Self::Unavailable {
                    cause: Cause::Limit,
                    ..
                }
            )
    }
}

impl From<VisibleError> for DistError {
    fn from(error: VisibleError) -> Self {
        match error {
            VisibleError::Denied(denied) => Self::Denied(denied),
            VisibleError::Storage(error) => Self::Storage(error),
        }
    }
}

/// The dist of `name` at `reference` in the organization's repository, built now if it has to be.
pub async fn find(
    registry: &Registry,
    actor: &Actor,
    slug: &str,
    name: &PackageName,
    reference: &str,
) -> Result<Dist, DistError> {
    let organization = organization::visible(registry, actor, slug).await?;
    access::read(actor, organization.id)?;
    if !is_reference(reference) {
        return Err(DistError::Unknown);
    }
    let mut connection = registry.database().read().await?;
    let candidates =
        packages::find_any_by_name(&mut connection, organization.id, name.as_str()).await?;
    let mut publishers = Vec::new();
    for package in candidates {
        let published = package_references::find(&mut connection, package.id, reference).await?;
        let Some(published) = published else { continue };
        // Whichever package of that name it was purged from: nothing brings it back.
        if published.purged_at.is_some() {
            return Err(DistError::Purged(name.to_string()));
        }
        publishers.push(package);
    }
    let was_published = !publishers.is_empty();
    let live = publishers
        .into_iter()
        .find(|package| package.removed_at.is_none());
    let Some(package) = live else {
        return Err(if was_published {
            DistError::Removed(name.to_string())
        } else {
            DistError::Unknown
        });
    };
    if let Some(dist) = rows::find(&mut connection, package.id, reference).await? {
        return Ok(dist);
    }
    drop(connection);
    match build(registry, &package, reference).await {
        Err(error) if error.is_absent() => order::order(registry, &package, reference, error).await,
        outcome => outcome,
    }
}

/// What else somebody may ask for was never published, and is not worth a query.
fn is_reference(text: &str) -> bool {
    !text.is_empty() && text.len() <= 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// A dist's bytes in `range`. Bytes that were lost are made anew, if they come out the same.
pub async fn read(
    registry: &Registry,
    dist: &Dist,
    range: Range<u64>,
) -> Result<BoxStream<'static, Result<Bytes, BlobError>>, DistError> {
    let open = || registry.parts.blobs.get(&dist.sha256, Some(range.clone()));
    let opened = match open().await {
        Err(BlobError::Missing { .. }) => {
            build::restore(registry, dist).await?;
            open().await
        }
        opened => opened,
    };
    match opened {
        Ok(blob) => Ok(blob.stream),
        Err(error) => Err(build::unavailable(registry, dist, error.to_string()).await?),
    }
}
