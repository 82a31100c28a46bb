//! Reading a blob, whole or a part, and checking it.

use std::fmt;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use object_store::{GetOptions, GetRange, ObjectStore};
use sha2::{Digest, Sha256};

use super::{BlobError, Blobs, hash, local};

/// A blob that is being read.
pub struct BlobReader {
    /// How many bytes the whole blob has.
    pub size: u64,
    /// Which of them the stream gives.
    pub range: Range<u64>,
    /// The bytes. Closing it early is fine.
    pub stream: BoxStream<'static, Result<Bytes, BlobError>>,
}

impl fmt::Debug for BlobReader {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "BlobReader({:?} of {} bytes)", self.range, self.size)
    }
}

impl Blobs {
    /// Begins to read a blob, or a range of it that begins before its end; [`BlobError::Missing`] when it is not there.
    pub async fn get(
        &self,
        sha256: &[u8],
        range: Option<Range<u64>>,
    ) -> Result<BlobReader, BlobError> {
        if let Some(path) = self.local_path(sha256) {
            return self.get_local(sha256, path, range).await;
        }
        let options = GetOptions {
            range: range.map(GetRange::Bounded),
            ..GetOptions::default()
        };
        let found = self.store.get_opts(&self.key(sha256)?, options).await;
        let found = found.map_err(|source| self.failed("read", sha256, source))?;
        let (size, range) = (found.meta.size, found.range.clone());
        let (blobs, sha256) = (self.clone(), sha256.to_vec());
        let stream = found
            .into_stream()
            .map_err(move |source| blobs.failed("read", &sha256, source));
        Ok(BlobReader {
            size,
            range,
            stream: stream.boxed(),
        })
    }

    async fn get_local(
        &self,
        sha256: &[u8],
        path: PathBuf,
        range: Option<Range<u64>>,
    ) -> Result<BlobReader, BlobError> {
        let opened = local::open(path.clone()).await;
        let (file, size) =
            opened.map_err(|error| self.failed("read", sha256, unreadable(&path, error)))?;
        let range = range.map_or(0..size, |range| range.start..range.end.min(size));
        let (blobs, sha256) = (self.clone(), sha256.to_vec());
        let stream = local::stream(file, range.clone())
            .map_err(move |error| blobs.failed("read", &sha256, unreadable(&path, error)));
        Ok(BlobReader {
            size,
            range,
            stream: stream.boxed(),
        })
    }

    /// Where the blob is on this machine when the store is a folder, whether or not it is there: for reading it without
    /// a stream.
    pub fn local_path(&self, sha256: &[u8]) -> Option<PathBuf> {
        let key = self.key(sha256).ok()?;
        self.folder.as_ref().map(|folder| folder.join(key.as_ref()))
    }

    /// Reads a whole blob and compares it with its name: [`BlobError::Missing`] or [`BlobError::Mismatch`] when it is
    /// not as it should be.
    pub async fn verify(&self, sha256: &[u8]) -> Result<(), BlobError> {
        let actual = match self.local_path(sha256) {
            Some(path) if self.exists(sha256).await? => {
                let hashed = hash::of_file(&path).await;
                hashed.map_err(|source| BlobError::File { path, source })?.1
            }
            _ => self.hash(sha256).await?,
        };
        if actual == *sha256 {
            return Ok(());
        }
        Err(BlobError::Mismatch {
            blob: hex::encode(sha256),
            actual: hex::encode(actual),
        })
    }

    async fn hash(&self, sha256: &[u8]) -> Result<[u8; 32], BlobError> {
        let mut stream = self.get(sha256, None).await?.stream;
        let mut digest = Sha256::new();
        while let Some(bytes) = stream.try_next().await? {
            digest.update(&bytes);
        }
        Ok(digest.finalize().into())
    }
}

/// What the store would have said of its file.
fn unreadable(path: &Path, error: io::Error) -> object_store::Error {
    let (path, kind) = (path.display().to_string(), error.kind());
    let source = error.into();
    match kind {
        io::ErrorKind::NotFound => object_store::Error::NotFound { path, source },
        _ => object_store::Error::Generic {
            store: "file",
            source,
        },
    }
}
