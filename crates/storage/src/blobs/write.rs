//! Storing a blob: under a temporary name, synced, then renamed; in S3 in parts.

use std::path::Path;
use std::sync::Arc;

use bytes::BytesMut;
use kapelle_failpoint::reach;
use object_store::buffered::BufWriter;
use tokio::fs::File;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{BlobError, Blobs, hash};

/// A file up to this size is stored in one request; of a larger one, parts of this size are under way at once.
const PART: usize = 8 * 1024 * 1024;
const PARTS_AT_ONCE: usize = 3;
const CHUNK: usize = 1024 * 1024;

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
        let mut writer = BufWriter::with_capacity(Arc::clone(&self.store), self.key(sha256)?, PART)
            .with_max_concurrency(PARTS_AT_ONCE);
        match copy(&mut file, &mut writer).await {
            Ok(()) => {
                reach("after a blob is renamed");
                Ok(())
            }
            Err(failure) => {
                // What was uploaded is of no use; should this fail too, the bucket's own rules clean up.
                if let Err(error) = writer.abort().await {
                    tracing::warn!(%error, store = %self, "an unfinished upload was left behind");
                }
                Err(match failure {
                    Failure::Read(source) => unreadable(source),
                    Failure::Write(source) => self.failed("stored", sha256, source),
                })
            }
        }
    }
}

enum Failure {
    Read(std::io::Error),
    Write(object_store::Error),
}

async fn copy(file: &mut File, writer: &mut BufWriter) -> Result<(), Failure> {
    loop {
        let mut chunk = BytesMut::with_capacity(CHUNK);
        if file.read_buf(&mut chunk).await.map_err(Failure::Read)? == 0 {
            break;
        }
        writer.put(chunk.freeze()).await.map_err(Failure::Write)?;
        reach("while a blob is written");
    }
    reach("before a blob is renamed");
    writer.shutdown().await.map_err(|error| {
        Failure::Write(object_store::Error::Generic {
            store: "blob",
            source: error.into(),
        })
    })
}
