//! What can go wrong between us and the store of blobs.

use std::path::PathBuf;

/// Why a blob was not stored, read or deleted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BlobError {
    /// The URL names no store that we know.
    #[error(
        "the blob URL {url:?} cannot be used: {reason}; write file:PATH, s3://BUCKET/PREFIX?region=REGION or memory:"
    )]
    Url {
        /// The URL without what might be secret.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The folder could not be made.
    #[error("the blob folder {} cannot be created: {source}", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// The store did not pass [`Blobs::check`](super::Blobs::check), or could not be opened.
    #[error("the blob store {store} cannot be used: {source}")]
    Unusable {
        /// The store.
        store: String,
        /// What it said.
        source: Box<object_store::Error>,
    },
    /// A name is not a SHA-256.
    #[error("a blob's name has 32 bytes, not {length}")]
    Name {
        /// How many it has.
        length: usize,
    },
    /// The file that was to be stored could not be read.
    #[error("the file {} cannot be read: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// There is no such blob.
    #[error("the blob {blob} is missing in {store}; restore it from a backup")]
    Missing {
        /// Its name.
        blob: String,
        /// The store.
        store: String,
    },
    /// The bytes do not have the name's SHA-256.
    #[error(
        "the bytes of the blob {blob} have the SHA-256 {actual}; they are damaged or of another file"
    )]
    Mismatch {
        /// Its name.
        blob: String,
        /// What its bytes say.
        actual: String,
    },
    /// The store failed.
    #[error("the blob {blob} could not be {what} in {store}: {source}")]
    Store {
        /// Its name.
        blob: String,
        /// The store.
        store: String,
        /// What was tried.
        what: &'static str,
        /// What the store said.
        source: Box<object_store::Error>,
    },
}
