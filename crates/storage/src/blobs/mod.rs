//! Content-addressed files, named by their SHA-256, in a folder, in S3 or in memory.

mod config;
mod error;
mod hash;
mod local;
mod read;
mod unfinished;
mod walk;
mod write;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use kapelle_failpoint::reach;
use object_store::path::Path as Key;
use object_store::{ObjectStore, ObjectStoreExt};

pub use config::BlobsConfig;
pub use error::BlobError;
pub use read::BlobReader;
pub use walk::StoredFile;

/// A store of blobs; clones share it.
///
/// It knows bytes, not who refers to them: [`crate::db::blobs`] says when one may be deleted. Every `sha256` is the 32
/// bytes of the digest.
#[derive(Clone)]
pub struct Blobs {
    store: Arc<dyn ObjectStore>,
    /// Where the folder is, if it is one.
    folder: Option<PathBuf>,
    /// What stands before every key in a bucket.
    prefix: Key,
    /// What to call the store in messages.
    name: String,
}

impl Blobs {
    /// Opens a store; see [`BlobsConfig::url`]. A folder is created for its owner only.
    pub fn open(config: &BlobsConfig) -> Result<Self, BlobError> {
        config::open(config)
    }

    /// Whether the blob is there.
    pub async fn exists(&self, sha256: &[u8]) -> Result<bool, BlobError> {
        self.size(sha256).await.map(|size| size.is_some())
    }

    /// How many bytes the blob has, or `None` when it is not there.
    pub async fn size(&self, sha256: &[u8]) -> Result<Option<u64>, BlobError> {
        match self.store.head(&self.key(sha256)?).await {
            Ok(meta) => Ok(Some(meta.size)),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(source) => Err(self.failed("looked up", sha256, source)),
        }
    }

    /// Deletes a blob; one that is not there is deleted already.
    pub async fn delete(&self, sha256: &[u8]) -> Result<(), BlobError> {
        reach("before a blob is deleted");
        match self.store.delete(&self.key(sha256)?).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => {
                reach("after a blob is deleted");
                Ok(())
            }
            Err(source) => Err(self.failed("deleted", sha256, source)),
        }
    }

    /// Checks that the store can be written, read and deleted from, with an object beside the blobs.
    pub async fn check(&self) -> Result<(), BlobError> {
        let key = self.prefix.clone().join("check");
        let tried = async {
            self.store.put(&key, "kapelle".into()).await?;
            self.store.get(&key).await?.bytes().await?;
            self.store.delete(&key).await
        };
        tried.await.map_err(|source| BlobError::Unusable {
            store: self.name.clone(),
            source: Box::new(source),
        })
    }

    /// `ab/cd/abcd…`, so that no folder gets too full.
    fn key(&self, sha256: &[u8]) -> Result<Key, BlobError> {
        if sha256.len() != 32 {
            return Err(BlobError::Name {
                length: sha256.len(),
            });
        }
        let name = hex::encode(sha256);
        Ok(self
            .prefix
            .clone()
            .join(&name[..2])
            .join(&name[2..4])
            .join(name))
    }

    fn failed(&self, what: &'static str, sha256: &[u8], source: object_store::Error) -> BlobError {
        let (blob, store) = (hex::encode(sha256), self.name.clone());
        match source {
            object_store::Error::NotFound { .. } => BlobError::Missing { blob, store },
            source => BlobError::Store {
                blob,
                store,
                what,
                source: Box::new(source),
            },
        }
    }
}

impl fmt::Display for Blobs {
    /// Where the store is, without secrets.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.name)
    }
}

impl fmt::Debug for Blobs {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Blobs({})", self.name)
    }
}
