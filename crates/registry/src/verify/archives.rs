//! Archives, read from the first byte to the last: the bytes that were stored, and the files that were published.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::path::Path;
use std::sync::Arc;

use futures::{TryStreamExt, stream};
use kapelle_archive::{ArchiveError, Limits, read_root_file};
use kapelle_storage::blobs::BlobError;
use kapelle_storage::db::dists::{self, Dist};
use kapelle_storage::db::packages::Package;
use kapelle_storage::db::versions;
use serde_json::Value;
use sha1::Sha1;
use sha2::{Digest, Sha256};
use tempfile::NamedTempFile;
use tokio::io::AsyncWriteExt;

use super::walk::{Look, PAGE, PARALLEL, Suspects, Walk};
use super::{About, Checked, Finding, Kind, VerifyError, blobs};

const CHUNK: usize = 256 * 1024;

/// The archives are our own, and their checksums are right before they are opened: what they may hold was decided when
/// they were built, perhaps under other settings.
const LIMITS: Limits = Limits {
    entries: u64::MAX,
    unpacked: u64::MAX,
    packed: u64::MAX,
    ratio: u64::MAX,
    depth: usize::MAX,
    root_file: 64 << 20,
};

/// What was read of an archive.
enum Archive {
    /// There are no bytes.
    Missing,
    /// The store says why not.
    Unreadable(String),
    Read {
        size: u64,
        sha256: [u8; 32],
        sha1: [u8; 20],
        /// Nothing where the bytes are the wrong ones already.
        content: Option<Content>,
    },
}

enum Content {
    Manifest(Vec<u8>),
    WithoutManifest,
    /// It opens, and has names that a strict reader refuses: repositories may have them.
    Odd,
    Damaged(String),
}

/// Reads every archive of a package, removed or not.
pub(super) async fn check(walk: &Walk<'_>, package: &Package) -> Result<(), VerifyError> {
    if walk.options.quick {
        return Ok(());
    }
    let database = walk.registry.database();
    let live = versions::list_live(&mut database.read().await?, package.id).await?;
    // What somebody wrote down need not be what the archive says of itself.
    let live = live.into_iter().filter(|_| package.kind != "custom");
    let manifests: HashMap<String, Arc<str>> = live
        .map(|version| (version.reference, version.manifest))
        .collect();
    let mut after = String::new();
    loop {
        let mut connection = database.read().await?;
        let page = dists::list_page(&mut connection, package.id, &after, PAGE).await?;
        drop(connection);
        let Some(last) = page.last() else {
            return Ok(());
        };
        after.clone_from(&last.reference);
        stream::iter(page.into_iter().map(Ok::<_, VerifyError>))
            .try_for_each_concurrent(PARALLEL, async |dist| {
                let manifest = manifests.get(&dist.reference).map(|manifest| &**manifest);
                let about = walk.about(package).reference(&dist.reference);
                walk.confirm(about, async || look(walk, &dist, manifest).await)
                    .await
            })
            .await?;
    }
}

async fn look(
    walk: &Walk<'_>,
    dist: &Dist,
    manifest: Option<&str>,
) -> Result<Look<Option<Dist>>, VerifyError> {
    let mut connection = walk.registry.database().read().await?;
    let row = dists::find(&mut connection, dist.package_id, &dist.reference).await?;
    drop(connection);
    let mut look = Look::default();
    if let Some(dist) = &row {
        let permit = walk.reading.acquire().await;
        let archive = read(walk, dist).await?;
        drop(permit);
        if let Archive::Read { size, .. } = &archive {
            look.checked = Checked {
                archives: 1,
                archive_bytes: *size,
                ..Checked::default()
            };
        }
        judge(walk, dist, manifest, archive, &mut look.suspects).await?;
    }
    look.state = row;
    Ok(look)
}

async fn judge(
    walk: &Walk<'_>,
    dist: &Dist,
    manifest: Option<&str>,
    archive: Archive,
    suspects: &mut Suspects,
) -> Result<(), VerifyError> {
    let (size, sha256, sha1, content) = match archive {
        // Said of the blob.
        Archive::Missing => return Ok(()),
        Archive::Unreadable(error) => {
            let about = walk.about_dist(dist).await?.blob(&dist.sha256);
            let advice = "see to the store, and verify again";
            suspects.broken(Finding::new(Kind::BlobUnreadable, about, error, advice));
            return Ok(());
        }
        Archive::Read {
            size,
            sha256,
            sha1,
            content,
        } => (size, sha256, sha1, content),
    };
    if sha256.as_slice() != dist.sha256 {
        // A wrong length is said of the blob.
        if i64::try_from(size) == Ok(dist.size) {
            suspects.broken(blobs::damaged(walk, dist, "other bytes than were stored").await?);
        }
        return Ok(());
    }
    let sha1 = hex::encode(sha1);
    if sha1 != dist.sha1 || i64::try_from(size) != Ok(dist.size) {
        let about = walk.about_dist(dist).await?.blob(&dist.sha256);
        let finding = format!(
            "its row has {} bytes with the checksum {}, and its archive has {size} with {sha1}",
            dist.size, dist.sha1
        );
        let advice = "restore the database from your backup";
        suspects.broken(Finding::new(Kind::DistChecksum, about, finding, advice));
    }
    if let Some(content) = content {
        let about = walk.about_dist(dist).await?.blob(&dist.sha256);
        judge_content(about, manifest, &content, suspects);
    }
    Ok(())
}

fn judge_content(about: About, manifest: Option<&str>, content: &Content, suspects: &mut Suspects) {
    match (content, manifest) {
        (Content::Damaged(error), _) => suspects.broken(Finding::new(
            Kind::ArchiveUnreadable,
            about,
            format!("its archive cannot be opened: {error}"),
            "release the version again at another commit, and report this as a fault of Kapelle",
        )),
        (Content::WithoutManifest, Some(_)) => suspects.note(Finding::new(
            Kind::ArchiveWithoutManifest,
            about,
            "its archive has no composer.json: .gitattributes or archive.exclude keeps it out",
            "let it in, so that tools find it in installed packages",
        )),
        (Content::Manifest(archived), Some(manifest)) if differs(archived, manifest) => {
            suspects.broken(Finding::new(
                Kind::ArchiveDiffers,
                about,
                "composer.json in its archive is another one than was published",
                "release the version again at another commit, and report this as a fault of Kapelle",
            ));
        }
        _ => {}
    }
}

/// Whether two manifests say different things. Line ends may have been converted, and git fills in placeholders.
fn differs(archived: &[u8], published: &str) -> bool {
    let is_filled_in = ["$Format:", "$Id"]
        .iter()
        .any(|placeholder| published.contains(placeholder));
    if is_filled_in || archived == published.as_bytes() {
        return false;
    }
    let archived = serde_json::from_slice::<Value>(archived).ok();
    archived.is_none() || archived != serde_json::from_str(published).ok()
}

async fn read(walk: &Walk<'_>, dist: &Dist) -> Result<Archive, VerifyError> {
    let (path, spooled) = match walk.registry.blobs().local_path(&dist.sha256) {
        Some(path) => (path, None),
        None => match spool(walk, dist).await? {
            Ok(file) => (file.path().to_owned(), Some(file)),
            Err(BlobError::Missing { .. }) => return Ok(Archive::Missing),
            Err(error) => return Ok(Archive::Unreadable(error.to_string())),
        },
    };
    let expected = dist.sha256.clone();
    let reading = tokio::task::spawn_blocking(move || {
        let archive = inspect(&path, &expected);
        drop(spooled);
        archive
    });
    Ok(reading.await?.unwrap_or_else(|error| match error.kind() {
        ErrorKind::NotFound => Archive::Missing,
        _ => Archive::Unreadable(error.to_string()),
    }))
}

/// Brings an archive out of a store that is no folder into a file. The outer error is that of the file.
async fn spool(
    walk: &Walk<'_>,
    dist: &Dist,
) -> Result<Result<NamedTempFile, BlobError>, VerifyError> {
    let mut blob = match walk.registry.blobs().get(&dist.sha256, None).await {
        Ok(blob) => blob.stream,
        Err(error) => return Ok(Err(error)),
    };
    let file = NamedTempFile::new_in(&walk.registry.parts.temporary)?;
    let mut copy = tokio::fs::File::from_std(file.reopen()?);
    loop {
        match blob.try_next().await {
            Ok(Some(bytes)) => copy.write_all(&bytes).await?,
            Ok(None) => break,
            Err(error) => return Ok(Err(error)),
        }
    }
    copy.flush().await?;
    Ok(Ok(file))
}

fn inspect(path: &Path, expected: &[u8]) -> io::Result<Archive> {
    let mut file = File::open(path)?;
    let (mut sha256, mut sha1) = (Sha256::new(), Sha1::new());
    let mut chunk = vec![0; CHUNK];
    let mut size = 0;
    loop {
        let length = file.read(&mut chunk)?;
        if length == 0 {
            break;
        }
        sha256.update(&chunk[..length]);
        sha1.update(&chunk[..length]);
        size += length as u64;
    }
    let sha256: [u8; 32] = sha256.finalize().into();
    let content = (sha256 == expected).then(|| open(path));
    Ok(Archive::Read {
        size,
        sha256,
        sha1: sha1.finalize().into(),
        content,
    })
}

fn open(path: &Path) -> Content {
    match read_root_file(path, "composer.json", &LIMITS) {
        Ok(found) => Content::Manifest(found.content),
        Err(ArchiveError::NoRootFile { .. }) => Content::WithoutManifest,
        Err(
            error @ (ArchiveError::Read(_)
            | ArchiveError::UnknownFormat
            | ArchiveError::Damaged { .. }),
        ) => Content::Damaged(error.to_string()),
        Err(_) => Content::Odd,
    }
}
