//! Storing a blob: under a temporary name, synced, then renamed; in S3 in parts.

use std::path::Path;

use bytes::{Bytes, BytesMut};
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use kapelle_failpoint::reach;
use object_store::path::Path as Key;
use object_store::{MultipartUpload, ObjectStoreExt};
use tokio::fs::File;
use tokio::io::AsyncReadExt;

use super::{BlobError, Blobs, hash};

/// A file up to this size is stored in one request; of a larger one, parts of this size are under way at once.
const PART: usize = 8 * 1024 * 1024;
const PARTS_AT_ONCE: usize = 3;

impl Blobs {
    /// Stores a local file, whose bytes must have this SHA-256. When this returns, the blob outlives a crash; before,
    /// nobody sees it. A blob that is there with the same size is left as it is.
    pub async fn put_file(&self, sha256: &[u8], path: &Path) -> Result<(), BlobError> {
        let unreadable = |source| BlobError::File {
            path: path.to_owned(),
            source,
        };
        let (size, actual) = hash::of_file(path).await.map_err(unreadable)?;
        if actual != *sha256 {
            return Err(BlobError::Mismatch {
                blob: hex::encode(sha256),
                actual: hex::encode(actual),
            });
        }
        if self.size(sha256).await? == Some(size) {
            return Ok(());
        }
        reach("before a blob is written");
        let mut file = File::open(path).await.map_err(unreadable)?;
        let key = self.key(sha256)?;
        let stored = match usize::try_from(size) {
            Ok(size @ 0..=PART) => self.put_at_once(&key, &mut file, size).await,
            _ => self.put_in_parts(&key, &mut file).await,
        };
        match stored {
            Ok(()) => {
                reach("after a blob is renamed");
                Ok(())
            }
            Err(Failure::Read(source)) => Err(unreadable(source)),
            Err(Failure::Write(source)) => Err(self.failed("stored", sha256, source)),
        }
    }

    async fn put_at_once(&self, key: &Key, file: &mut File, size: usize) -> Result<(), Failure> {
        let bytes = next_part(file, size).await?;
        reach("while a blob is written");
        reach("before a blob is renamed");
        self.store.put(key, bytes.into()).await?;
        Ok(())
    }

    async fn put_in_parts(&self, key: &Key, file: &mut File) -> Result<(), Failure> {
        let mut upload = self.store.put_multipart(key).await?;
        let stored = match send_parts(file, &mut *upload).await {
            Ok(()) => upload.complete().await.map(|_| ()).map_err(Failure::Write),
            Err(failure) => Err(failure),
        };
        if stored.is_err()
            && let Err(error) = upload.abort().await
        {
            // What was uploaded is of no use; the bucket's own rules clean up.
            tracing::warn!(%error, store = %self, "an unfinished upload was left behind");
        }
        stored
    }
}

enum Failure {
    Read(std::io::Error),
    Write(object_store::Error),
}

impl From<object_store::Error> for Failure {
    fn from(error: object_store::Error) -> Self {
        Self::Write(error)
    }
}

/// Sends a file in parts, a few at once, and waits until all have arrived.
async fn send_parts(file: &mut File, upload: &mut dyn MultipartUpload) -> Result<(), Failure> {
    let mut under_way = FuturesUnordered::new();
    loop {
        let part = next_part(file, PART).await?;
        if part.is_empty() {
            break;
        }
        if under_way.len() == PARTS_AT_ONCE {
            under_way.next().await.transpose()?;
        }
        under_way.push(upload.put_part(part.into()));
        reach("while a blob is written");
    }
    while let Some(arrived) = under_way.next().await {
        arrived?;
    }
    reach("before a blob is renamed");
    Ok(())
}

/// The next `size` bytes of a file, or what is left of it.
async fn next_part(file: &mut File, size: usize) -> Result<Bytes, Failure> {
    let mut part = BytesMut::with_capacity(size);
    let mut rest = file.take(size as u64);
    while rest.read_buf(&mut part).await.map_err(Failure::Read)? > 0 {}
    Ok(part.freeze())
}
