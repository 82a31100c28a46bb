//! Everything that is in the store, in the order of the names, a little at a time.

use std::fs::{self, DirEntry};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use futures::stream::{self, BoxStream};
use futures::{StreamExt, TryStreamExt};
use object_store::{ObjectMeta, ObjectStore};
use tokio::sync::mpsc::{self, Sender};

use super::{BlobError, Blobs};

/// Files that are found ahead of their reader.
const AHEAD: usize = 256;

/// A file in the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredFile {
    /// The blob that it is by its name; `None`: one that was never finished, or is not ours.
    pub sha256: Option<Vec<u8>>,
    /// Where it is in the store.
    pub path: String,
    /// Bytes.
    pub size: u64,
    /// When it was written, in milliseconds since 1970.
    pub modified_at: i64,
}

impl Blobs {
    /// Every file in the store by name, unfinished ones of a folder included. What comes and goes meanwhile may be
    /// given or not; memory does not grow with their number.
    pub fn walk(&self) -> BoxStream<'static, Result<StoredFile, BlobError>> {
        match &self.folder {
            Some(folder) => walk_folder(folder.clone()),
            None => self.walk_objects(),
        }
    }

    fn walk_objects(&self) -> BoxStream<'static, Result<StoredFile, BlobError>> {
        let (blobs, name) = (self.clone(), self.name.clone());
        let failed = move |source| BlobError::Unusable {
            store: name.clone(),
            source: Box::new(source),
        };
        let found = self.store.list(Some(&self.prefix)).map_err(failed);
        found
            .map_ok(move |object| blobs.stored(&object))
            .try_filter(|file| std::future::ready(!file.path.ends_with("/check")))
            .boxed()
    }

    fn stored(&self, object: &ObjectMeta) -> StoredFile {
        let name = object.location.filename().and_then(parse);
        let sha256 = name.filter(|name| self.key(name).is_ok_and(|key| key == object.location));
        StoredFile {
            sha256,
            path: format!("/{}", object.location),
            size: object.size,
            modified_at: object.last_modified.timestamp_millis(),
        }
    }
}

fn parse(name: &str) -> Option<Vec<u8>> {
    let is_lower = name.bytes().all(|byte| !byte.is_ascii_uppercase());
    let sha256 = hex::decode(name).ok()?;
    (is_lower && sha256.len() == 32).then_some(sha256)
}

/// A thread looks into one folder after the other as fast as what it finds is taken.
fn walk_folder(folder: PathBuf) -> BoxStream<'static, Result<StoredFile, BlobError>> {
    let (sender, mut receiver) = mpsc::channel(AHEAD);
    tokio::task::spawn_blocking(move || {
        if let Err(Stop::Failed(error)) = walk_prefixes(&folder, &sender) {
            // Whoever no longer listens wants no error either.
            let _ = sender.blocking_send(Err(error));
        }
    });
    stream::poll_fn(move |context| receiver.poll_recv(context)).boxed()
}

enum Stop {
    Failed(BlobError),
    Unwanted,
}

type Found = Sender<Result<StoredFile, BlobError>>;

/// `ab/cd/abcd…`, as [`Blobs::key`] makes them.
fn walk_prefixes(folder: &Path, found: &Found) -> Result<(), Stop> {
    for first in entries(folder)? {
        if !is_prefix(&first) {
            continue;
        }
        for second in entries(&first.path())? {
            if !is_prefix(&second) {
                continue;
            }
            for file in entries(&second.path())? {
                if let Some(file) = stored(&file)? {
                    found.blocking_send(Ok(file)).map_err(|_| Stop::Unwanted)?;
                }
            }
        }
    }
    Ok(())
}

fn is_prefix(entry: &DirEntry) -> bool {
    let name = entry.file_name();
    let is_hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    name.len() == 2
        && name.as_encoded_bytes().iter().copied().all(is_hex)
        && entry.file_type().is_ok_and(|kind| kind.is_dir())
}

/// What is in a folder, by name; nothing where the folder is gone.
fn entries(folder: &Path) -> Result<Vec<DirEntry>, Stop> {
    let read = fs::read_dir(folder).and_then(Iterator::collect::<io::Result<Vec<_>>>);
    let mut entries = match read {
        Err(error) if error.kind() == ErrorKind::NotFound => Vec::new(),
        read => read.map_err(|error| failed(folder, error))?,
    };
    entries.sort_unstable_by_key(DirEntry::file_name);
    Ok(entries)
}

fn stored(entry: &DirEntry) -> Result<Option<StoredFile>, Stop> {
    let path = entry.path();
    let about = match entry.metadata() {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        about => about.map_err(|error| failed(&path, error))?,
    };
    if !about.is_file() {
        return Ok(None);
    }
    let modified = about.modified().map_err(|error| failed(&path, error))?;
    let since = modified.duration_since(UNIX_EPOCH).unwrap_or_default();
    Ok(Some(StoredFile {
        sha256: entry.file_name().to_str().and_then(parse),
        path: path.display().to_string(),
        size: about.len(),
        modified_at: i64::try_from(since.as_millis()).unwrap_or(i64::MAX),
    }))
}

fn failed(path: &Path, source: io::Error) -> Stop {
    Stop::Failed(BlobError::File {
        path: path.to_owned(),
        source,
    })
}
