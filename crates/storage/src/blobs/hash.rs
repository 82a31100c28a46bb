//! The SHA-256 of a file, away from the asynchronous threads.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

const CHUNK: usize = 256 * 1024;

/// The size and SHA-256 of a file.
pub(super) async fn of_file(path: &Path) -> io::Result<(u64, [u8; 32])> {
    let path = PathBuf::from(path);
    tokio::task::spawn_blocking(move || read_through(&path))
        .await
        .map_err(io::Error::other)?
}

fn read_through(path: &Path) -> io::Result<(u64, [u8; 32])> {
    let mut file = File::open(path)?;
    let mut digest = Sha256::new();
    let mut chunk = vec![0; CHUNK];
    let mut size = 0;
    loop {
        match file.read(&mut chunk)? {
            0 => return Ok((size, digest.finalize().into())),
            length => {
                digest.update(&chunk[..length]);
                size += length as u64;
            }
        }
    }
}
