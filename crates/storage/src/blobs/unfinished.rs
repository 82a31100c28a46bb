//! What writers that were killed leave in a folder: parts of blobs under their temporary names.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use futures::TryStreamExt;

use super::{BlobError, Blobs};

impl Blobs {
    /// Removes files of the folder that were never finished, unless somebody wrote to them since `before` (milliseconds
    /// since 1970); gives how many. In S3 nothing unfinished is visible, and the bucket's own rules drop its parts.
    pub async fn drop_unfinished(&self, before: i64) -> Result<u64, BlobError> {
        if self.folder.is_none() {
            return Ok(0);
        }
        let mut dropped = 0;
        let mut files = self.walk();
        while let Some(file) = files.try_next().await? {
            if file.sha256.is_some() || file.modified_at >= before || !is_unfinished(&file.path) {
                continue;
            }
            match fs::remove_file(&file.path) {
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(source) => {
                    let path = file.path.into();
                    return Err(BlobError::File { path, source });
                }
                Ok(()) => dropped += 1,
            }
        }
        Ok(dropped)
    }
}

/// `abcd…#1`, as `object_store` calls what it will rename. What else somebody put there is theirs.
fn is_unfinished(path: &str) -> bool {
    let name = Path::new(path).file_name().unwrap_or_default();
    let parts = name.to_str().and_then(|name| name.split_once('#'));
    parts.is_some_and(|(blob, number)| {
        hex::decode(blob).is_ok_and(|sha256| sha256.len() == 32) && number.parse::<u32>().is_ok()
    })
}
