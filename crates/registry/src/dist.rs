//! Dists: the archive of a published commit, built once, the same bytes for ever.

use std::io::{BufWriter, Seek};
use std::ops::Range;

use bytes::Bytes;
use futures::stream::BoxStream;
use kapelle_archive::{DistOptions, DistReport, Limits as ArchiveLimits, write_dist};
use kapelle_composer::{ArchiveExclude, Manifest, PackageName};
use kapelle_storage::StorageError;
use kapelle_storage::blobs::BlobError;
use kapelle_storage::db::dists::{self as rows, Dist};
use kapelle_storage::db::package_references;
use kapelle_storage::db::packages::{self, Package};
use kapelle_vcs::{FileContent, Mirror, TarReader, VcsError};

use crate::access::{self, Denied};
use crate::actor::Actor;
use crate::blob;
use crate::flights::Flights;
use crate::organization::{self, VisibleError};
use crate::registry::Registry;

/// Builds that are under way in this process.
pub(crate) type Builds = Flights<(i64, String)>;

/// Digits of the commit in the name of a dist's top directory.
const SHORT: usize = 12;

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
    },
    /// The database failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
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
    let mut connection = registry.database().read().await?;
    let candidates =
        packages::find_any_by_name(&mut connection, organization.id, name.as_str()).await?;
    let mut removed = false;
    for package in candidates {
        let published = package_references::find(&mut connection, package.id, reference).await?;
        let Some(published) = published else { continue };
        if published.purged_at.is_some() {
            return Err(DistError::Purged(name.to_string()));
        }
        if package.removed_at.is_some() {
            removed = true;
            continue;
        }
        if let Some(dist) = rows::find(&mut connection, package.id, reference).await? {
            return Ok(dist);
        }
        drop(connection);
        return build(registry, &package, reference).await;
    }
    if removed {
        Err(DistError::Removed(name.to_string()))
    } else {
        Err(DistError::Unknown)
    }
}

/// A dist's bytes in `range`.
pub async fn read(
    registry: &Registry,
    dist: &Dist,
    range: Range<u64>,
) -> Result<BoxStream<'static, Result<Bytes, BlobError>>, BlobError> {
    let blob = registry.parts.blobs.get(&dist.sha256, Some(range)).await?;
    Ok(blob.stream)
}

/// Builds a dist unless it is there; of all who want the same one at once, one builds it.
pub(crate) async fn build(
    registry: &Registry,
    package: &Package,
    reference: &str,
) -> Result<Dist, DistError> {
    let _turn = registry
        .builds
        .turn((package.id, reference.to_owned()))
        .await;
    if let Some(dist) = rows::find(
        &mut registry.database().read().await?,
        package.id,
        reference,
    )
    .await?
    {
        return Ok(dist);
    }
    let unavailable = |reason: String| unavailable(package, reference, reason);
    let mirror = registry.parts.git.mirror(package.id);
    if !mirror
        .has(reference)
        .await
        .map_err(|error| unavailable(error.to_string()))?
    {
        return Err(unavailable(
            "no copy of the repository here has this commit any more; synchronize the package"
                .to_owned(),
        ));
    }
    let source = Source::read(registry, &mirror, package, reference).await;
    let source = source.map_err(|error| unavailable(error.to_string()))?;
    let tar = mirror
        .archive(reference, None)
        .await
        .map_err(|error| unavailable(error.to_string()))?;
    let (file, report) = archive(registry, tar, source).await.map_err(unavailable)?;
    store(registry, package, reference, &file, &report).await
}

fn unavailable(package: &Package, reference: &str, reason: String) -> DistError {
    DistError::Unavailable {
        package: package.name.clone().unwrap_or_default(),
        reference: reference.to_owned(),
        reason,
    }
}

/// What decides a dist's bytes besides the tree.
struct Source {
    top_directory: String,
    exclude: ArchiveExclude,
    submodules: bool,
}

impl Source {
    async fn read(
        registry: &Registry,
        mirror: &Mirror,
        package: &Package,
        reference: &str,
    ) -> Result<Self, VcsError> {
        let wanted = [(reference.to_owned(), "composer.json".to_owned())];
        let files = mirror
            .read_files(&wanted, registry.limits().manifest)
            .await?;
        let patterns = match files.into_iter().next().map(|file| file.content) {
            Some(FileContent::Found(bytes)) => Manifest::parse(&bytes)
                .map(|manifest| manifest.archive_excludes())
                .unwrap_or_default(),
            _ => Vec::new(),
        };
        let tree = mirror.tree(reference).await?;
        let name = package
            .name
            .as_deref()
            .unwrap_or("package")
            .replace('/', "-");
        Ok(Self {
            top_directory: format!("{name}-{}", &reference[..SHORT.min(reference.len())]),
            exclude: ArchiveExclude::new(&patterns),
            submodules: tree.submodules > 0,
        })
    }
}

async fn archive(
    registry: &Registry,
    mut tar: TarReader,
    source: Source,
) -> Result<(tempfile::NamedTempFile, DistReport), String> {
    let limits = ArchiveLimits {
        entries: registry.limits().entries,
        unpacked: registry.limits().unpacked,
        packed: registry.limits().packed,
        ..ArchiveLimits::default()
    };
    let temporary = registry.parts.temporary.clone();
    let work = move || -> Result<_, String> {
        let mut file =
            tempfile::NamedTempFile::new_in(&temporary).map_err(|error| error.to_string())?;
        let options = DistOptions {
            top_directory: &source.top_directory,
            exclude: &|path: &str| source.exclude.excludes(path),
            submodules: source.submodules,
            limits: &limits,
            spool: &temporary,
        };
        let report = write_dist(&mut tar, &options, BufWriter::new(file.as_file_mut()))
            .map_err(|error| error.to_string())?;
        tar.finish().map_err(|error| error.to_string())?;
        file.as_file_mut()
            .rewind()
            .map_err(|error| error.to_string())?;
        Ok((file, report))
    };
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| error.to_string())?
}

/// The blob's row first, so that the collector leaves it alone; then the bytes; then the dist's row. No byte is
/// sent to anybody before that row is committed.
async fn store(
    registry: &Registry,
    package: &Package,
    reference: &str,
    file: &tempfile::NamedTempFile,
    report: &DistReport,
) -> Result<Dist, DistError> {
    let failed = |error: &dyn std::error::Error| unavailable(package, reference, error.to_string());
    let size = i64::try_from(report.size).unwrap_or(i64::MAX);
    blob::announce(registry, &report.sha256, size)
        .await
        .map_err(|error| failed(&error))?;
    registry
        .parts
        .blobs
        .put_file(&report.sha256, file.path())
        .await
        .map_err(|error| failed(&error))?;
    let dist = Dist {
        package_id: package.id,
        reference: reference.to_owned(),
        sha256: report.sha256.to_vec(),
        sha1: hex::encode(report.sha1),
        size,
        has_submodules: report.has_submodules,
        has_lfs: report.has_lfs,
        created_at: registry.now(),
    };
    let mut transaction = registry.database().write().await?;
    let published = package_references::find(&mut transaction, package.id, reference).await?;
    if published.is_some_and(|published| published.purged_at.is_some()) {
        return Err(DistError::Purged(package.name.clone().unwrap_or_default()));
    }
    rows::insert_if_absent(&mut transaction, &dist).await?;
    let kept = rows::find(&mut transaction, package.id, reference).await?;
    transaction.commit().await?;
    metrics::counter!("kapelle_dists_built_total").increment(1);
    kept.ok_or(DistError::Unknown)
}
