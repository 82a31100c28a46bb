//! Making a dist: git's tar of a commit becomes a deterministic zip, or an archive is fetched; its bytes become a blob, its row
//! comes last.

use std::io::{BufWriter, Seek};

use kapelle_archive::{ArchiveError, DistOptions, Limits as ArchiveLimits, write_dist};
use kapelle_composer::ArchiveExclude;
use kapelle_failpoint::reach;
use kapelle_storage::StorageError;
use kapelle_storage::db::dists::{self as rows, Dist};
use kapelle_storage::db::package_references;
use kapelle_storage::db::packages::{self, Package};
use kapelle_vcs::{FileContent, Mirror, TarReader, VcsError};
use tempfile::NamedTempFile;

use super::workshop::{Made, Workshop};
use super::{Cause, DistError, remote};
use crate::blob;
use crate::flights::Flights;
use crate::limits;
use crate::registry::Registry;

/// Builds that are under way in this process.
pub(crate) type Builds = Flights<(i64, String)>;

/// How often bytes are stored anew that a collector took from under us.
const STORES: usize = 3;
/// Digits of the commit in the name of a dist's top directory.
const SHORT: usize = 12;

/// Several processes may have mirrors of their own.
const NO_COPY: &str = "this machine's copy of the repository does not have that commit; a worker was asked to build the \
     dist: try again in a moment";

/// Builds a dist unless it is there; of all who want the same one at once, one builds it.
pub(crate) async fn build(
    registry: &Registry,
    package: &Package,
    reference: &str,
) -> Result<Dist, DistError> {
    build_in(
        registry,
        package,
        reference,
        &Workshop::of(registry, package),
    )
    .await
}

/// The same in a workshop of the package, where many are built.
pub(crate) async fn build_in(
    registry: &Registry,
    package: &Package,
    reference: &str,
    workshop: &Workshop,
) -> Result<Dist, DistError> {
    let work = async || make(registry, package, reference, workshop).await;
    once(registry, package, reference, work).await
}

/// The dist that is there, or the one that `work` makes; of all who want the same one at once, one makes it.
pub(super) async fn once(
    registry: &Registry,
    package: &Package,
    reference: &str,
    work: impl AsyncFnOnce() -> Result<Made, Failure>,
) -> Result<Dist, DistError> {
    let _turn = registry
        .builds
        .turn((package.id, reference.to_owned()))
        .await;
    let mut connection = registry.database().read().await?;
    if let Some(dist) = rows::find(&mut connection, package.id, reference).await? {
        return Ok(dist);
    }
    drop(connection);
    registry.writable()?;
    let made = work().await;
    let made = made.map_err(|failure| failure.about(package, reference))?;
    reach("before a dist is stored");
    store(registry, package, reference, &made).await
}

/// Makes a dist's lost bytes anew. Only the very same bytes are accepted: their checksum is in lock files.
pub(super) async fn restore(registry: &Registry, dist: &Dist) -> Result<(), DistError> {
    registry.writable()?;
    let reference = dist.reference.as_str();
    let _turn = registry
        .builds
        .turn((dist.package_id, reference.to_owned()))
        .await;
    let mut connection = registry.database().read().await?;
    let package = packages::find_by_id(&mut connection, dist.package_id).await?;
    drop(connection);
    let package = package.ok_or(DistError::Unknown)?;
    tracing::warn!(
        package = package.name,
        reference,
        "the bytes of a dist are lost: making them anew"
    );
    let restored = async {
        let file = remake(registry, &package, dist).await?;
        let stored = registry
            .parts
            .blobs
            .put_file(&dist.sha256, file.path())
            .await;
        stored.map_err(Failure::machine)
    };
    restored
        .await
        .map_err(|failure| failure.about(&package, reference))
}

/// Whether a dist's bytes could be made anew if they were lost. They are made, and stored nowhere.
pub(crate) async fn rehearse(registry: &Registry, dist: &Dist) -> Result<(), DistError> {
    let mut connection = registry.database().read().await?;
    let package = packages::find_by_id(&mut connection, dist.package_id).await?;
    drop(connection);
    let package = package.ok_or(DistError::Unknown)?;
    let made = remake(registry, &package, dist).await;
    made.map(drop)
        .map_err(|failure| failure.about(&package, &dist.reference))
}

/// The bytes of a dist once more.
async fn remake(
    registry: &Registry,
    package: &Package,
    dist: &Dist,
) -> Result<NamedTempFile, Failure> {
    let workshop = Workshop::of(registry, package);
    let Made { file, report, .. } = make(registry, package, &dist.reference, &workshop).await?;
    if report.sha256.as_slice() != dist.sha256 {
        return Err(Failure::machine(
            "its bytes are lost and come out differently now: restore the blobs from your backup"
                .to_owned(),
        ));
    }
    Ok(file)
}

/// That a dist cannot be had now, with the name of its package.
pub(super) async fn unavailable(
    registry: &Registry,
    dist: &Dist,
    reason: String,
) -> Result<DistError, DistError> {
    let mut connection = registry.database().read().await?;
    let package = packages::find_by_id(&mut connection, dist.package_id).await?;
    let package = package.ok_or(DistError::Unknown)?;
    Ok(Failure::machine(reason).about(&package, &dist.reference))
}

/// Why no archive came about.
pub(super) enum Failure {
    /// It may come about later.
    Unavailable(Cause, String),
    /// The commit itself is in the way.
    Unbuildable(String),
}

impl Failure {
    pub(super) fn no_copy() -> Self {
        Self::Unavailable(Cause::Absent, NO_COPY.to_owned())
    }

    #[expect(clippy::needless_pass_by_value, reason = "given to `map_err`")]
    pub(super) fn machine(reason: impl ToString) -> Self {
        Self::Unavailable(Cause::Machine, reason.to_string())
    }

    fn about(self, package: &Package, reference: &str) -> DistError {
        let package = package.name.clone().unwrap_or_default();
        let reference = reference.to_owned();
        match self {
            Self::Unavailable(cause, reason) => DistError::Unavailable {
                package,
                reference,
                reason,
                cause,
            },
            Self::Unbuildable(reason) => DistError::Unbuildable {
                package,
                reference,
                reason,
            },
        }
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::machine(format!("a temporary file failed: {error}"))
    }
}

impl From<VcsError> for Failure {
    fn from(error: VcsError) -> Self {
        match error {
            VcsError::TooManyEntries { .. }
            | VcsError::TooLarge { .. }
            | VcsError::TooDeep { .. }
            | VcsError::DangerousTree { .. } => Self::Unbuildable(error.to_string()),
            VcsError::CommitMissing { .. } => Self::no_copy(),
            VcsError::Corrupt { .. } | VcsError::GitFailed { .. } => {
                Self::Unavailable(Cause::Mirror, error.to_string())
            }
            VcsError::TimedOut { .. } => Self::Unavailable(Cause::Limit, error.to_string()),
            other => Self::machine(other),
        }
    }
}

impl From<ArchiveError> for Failure {
    fn from(error: ArchiveError) -> Self {
        match error {
            // Git's own verdict travels inside the stream's error.
            ArchiveError::Read(source) => match source.downcast::<VcsError>() {
                Ok(verdict) => verdict.into(),
                Err(source) => Self::machine(source),
            },
            ArchiveError::Write(source) => source.into(),
            other => Self::Unbuildable(other.to_string()),
        }
    }
}

async fn make(
    registry: &Registry,
    package: &Package,
    reference: &str,
    workshop: &Workshop,
) -> Result<Made, Failure> {
    match package.kind.as_str() {
        "custom" => return remote::fetch_again(registry, package, reference).await,
        "artifact" => return Err(remote::lost_artifact(registry, package, reference).await?),
        _ => {}
    }
    if let Some(made) = workshop.make(registry, package, reference).await? {
        return Ok(made);
    }
    let mirror = &workshop.mirror;
    if !mirror.has(reference).await? {
        return Err(Failure::no_copy());
    }
    let source = Source::read(registry, mirror, package, reference).await?;
    let tar = mirror.archive(reference, None).await?;
    archive(registry, tar, source).await
}

/// What decides a dist's bytes besides the tree.
struct Source {
    top_directory: String,
    exclude: ArchiveExclude,
    submodules: bool,
    committed_at: i64,
}

impl Source {
    async fn read(
        registry: &Registry,
        mirror: &Mirror,
        package: &Package,
        reference: &str,
    ) -> Result<Self, Failure> {
        let wanted = [(reference.to_owned(), "composer.json".to_owned())];
        let files = mirror
            .read_files(&wanted, registry.limits().manifest)
            .await?;
        let content = files.into_iter().next().map(|file| file.content);
        let patterns = excluded(content.unwrap_or(FileContent::NoCommit))?;
        let tree = mirror.tree(reference).await?;
        let times = mirror.commit_times(&[reference.to_owned()]).await?;
        Ok(Self {
            top_directory: top_directory(package, reference),
            exclude: ArchiveExclude::new(&patterns),
            submodules: tree.submodules > 0,
            committed_at: times
                .get(reference)
                .map_or(0, |time| time.committed / 1_000),
        })
    }
}

/// What everything in a dist lies in.
pub(super) fn top_directory(package: &Package, reference: &str) -> String {
    let name = package.name.as_deref().unwrap_or("package");
    let commit = &reference[..SHORT.min(reference.len())];
    format!("{}-{commit}", name.replace('/', "-"))
}

/// The patterns of `archive.exclude`. Where they cannot be read there is no dist: it would have files that its author
/// keeps out, and other bytes than one that was made while they could be read.
pub(super) fn excluded(content: FileContent) -> Result<Vec<String>, Failure> {
    match content {
        FileContent::Found(bytes) => limits::manifest(&bytes)
            .map(|manifest| manifest.archive_excludes())
            .map_err(|error| Failure::Unbuildable(error.to_string())),
        FileContent::Missing | FileContent::Folder => Ok(Vec::new()),
        FileContent::TooLarge(size) => Err(Failure::Unavailable(
            Cause::Limit,
            format!(
                "its composer.json has {size} bytes, more than the limits.manifest that is set now"
            ),
        )),
        FileContent::NoCommit => Err(Failure::no_copy()),
    }
}

/// How large a dist may be.
pub(crate) fn archive_limits(registry: &Registry) -> ArchiveLimits {
    let limits = registry.limits();
    ArchiveLimits {
        entries: limits.entries,
        unpacked: limits.unpacked,
        packed: limits.packed,
        ..ArchiveLimits::default()
    }
}

async fn archive(registry: &Registry, mut tar: TarReader, source: Source) -> Result<Made, Failure> {
    let limits = archive_limits(registry);
    let spool = registry.parts.temporary.clone();
    let work = move || -> Result<_, Failure> {
        let mut file = NamedTempFile::new_in(&spool)?;
        let options = DistOptions {
            top_directory: &source.top_directory,
            exclude: &|path: &str| source.exclude.excludes(path),
            submodules: source.submodules,
            modified_at: source.committed_at,
            limits: &limits,
            spool: &spool,
        };
        let written = write_dist(&mut tar, &options, BufWriter::new(file.as_file_mut()));
        if let Ok(_) | Err(ArchiveError::Read(_)) = written {
            // What git says of a broken stream tells more than what the stream's reader says.
            tar.finish()?;
        }
        let report = written?;
        file.as_file_mut().rewind()?;
        Ok(Made::zip(file, report))
    };
    tokio::task::spawn_blocking(work)
        .await
        .map_err(Failure::machine)?
}

/// The blob's row first, so that the collector leaves it alone; then the bytes; then the dist's row. No byte is
/// sent to anybody before that row is committed.
async fn store(
    registry: &Registry,
    package: &Package,
    reference: &str,
    made: &Made,
) -> Result<Dist, DistError> {
    for _ in 0..STORES {
        match try_store(registry, package, reference, made).await {
            Err(DistError::Storage(StorageError::BlobGone { .. })) => {}
            outcome => return outcome,
        }
    }
    let reason = "the same bytes are being deleted again and again".to_owned();
    Err(Failure::machine(reason).about(package, reference))
}

async fn try_store(
    registry: &Registry,
    package: &Package,
    reference: &str,
    made: &Made,
) -> Result<Dist, DistError> {
    let failed = |error: &dyn std::error::Error| Failure::machine(error).about(package, reference);
    let Made {
        file,
        report,
        extension,
    } = made;
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
        extension: (*extension).to_owned(),
    };
    let mut transaction = registry.database().write().await?;
    if package.kind != "vcs"
        && packages::hold(&mut transaction, package.id)
            .await?
            .is_none()
    {
        // There is no row of its reference yet that would tell of a purge.
        blob::discard(registry, transaction, &report.sha256)
            .await
            .map_err(|error| failed(&error))?;
        return Err(DistError::Removed(package.name.clone().unwrap_or_default()));
    }
    // A purge that comes at the same time waits and then finds this dist, or is waited for.
    let published = package_references::lock(&mut transaction, package.id, reference).await?;
    if published.is_some_and(|published| published.purged_at.is_some()) {
        blob::discard(registry, transaction, &report.sha256)
            .await
            .map_err(|error| failed(&error))?;
        return Err(DistError::Purged(package.name.clone().unwrap_or_default()));
    }
    rows::insert_if_absent(&mut transaction, &dist).await?;
    package_references::mark_found(&mut transaction, package.id, reference).await?;
    let kept = rows::find(&mut transaction, package.id, reference).await?;
    transaction.commit().await?;
    let kept = kept.ok_or(DistError::Unknown)?;
    // Since we stored them, a collector may have deleted the bytes, and somebody else announced the same ones anew. Now
    // that they are referred to, nobody deletes them any more.
    if kept.sha256 == report.sha256 {
        let there = registry.blobs().size(&report.sha256).await;
        if there.map_err(|error| failed(&error))? != Some(report.size) {
            let stored = registry.blobs().put_file(&report.sha256, file.path());
            stored.await.map_err(|error| failed(&error))?;
        }
    }
    metrics::counter!("kapelle_dists_built_total").increment(1);
    Ok(kept)
}
