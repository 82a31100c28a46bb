//! The file with the keys: a line for each, the newest first.

use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, fchown};
use std::path::Path;

use kapelle_failpoint::reach;

use super::{KEY_LENGTH, Key, SecretsError};
use crate::random::Random;

/// Longest key file that is read, in bytes.
const KEY_FILE: u64 = 4096;
/// What the file of a key is called until it is whole.
const UNFINISHED: &str = ".secret.key-";

/// Keeps other processes from changing the file until this is dropped.
pub(super) fn lock(path: &Path) -> Result<File, SecretsError> {
    let mut options = File::options();
    options.create(true).append(true).mode(0o600);
    let lock = options.open(path.with_extension("lock"));
    let lock = lock.map_err(|source| SecretsError::io(path, source))?;
    lock.try_lock().map_err(|_| SecretsError::Held)?;
    Ok(lock)
}

/// The keys in a file, the newest first.
pub(super) fn read(path: &Path) -> Result<Vec<Key>, SecretsError> {
    let mut text = String::new();
    File::open(path)
        .and_then(|file| file.take(KEY_FILE).read_to_string(&mut text))
        .map_err(|source| SecretsError::io(path, source))?;
    parse(&text).ok_or_else(|| SecretsError::KeyFile {
        path: path.display().to_string(),
    })
}

/// The file has the one text or the other, whenever this is cut short. It stays who may read it, and a link stays one.
pub(super) fn replace(path: &Path, keys: &[Key]) -> std::io::Result<()> {
    let text: String = keys.iter().map(|key| hex::encode(key) + "\n").collect();
    let path = path.canonicalize()?;
    let folder = folder_of(&path);
    sweep(folder)?;
    let before = path.metadata()?;
    let mut file = tempfile::Builder::new()
        .prefix(UNFINISHED)
        .tempfile_in(folder)?;
    file.write_all(text.as_bytes())?;
    let fresh = file.as_file().metadata()?;
    if (fresh.uid(), fresh.gid()) != (before.uid(), before.gid()) {
        fchown(file.as_file(), Some(before.uid()), Some(before.gid()))?;
    }
    file.as_file().set_permissions(before.permissions())?;
    file.as_file().sync_all()?;
    reach("before the key file is replaced");
    file.persist(&path).map_err(|failed| failed.error)?;
    reach("after the key file is replaced");
    File::open(folder)?.sync_all()
}

/// Removes what was left by who was killed: it has keys in it.
fn sweep(folder: &Path) -> std::io::Result<()> {
    for entry in folder.read_dir()? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with(UNFINISHED) {
            std::fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

fn folder_of(path: &Path) -> &Path {
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    folder.unwrap_or(Path::new("."))
}

/// The file is there with its key in it or not at all, whenever this is cut short: without its key everything that was
/// sealed is lost. Of several processes that start at once, one makes it.
pub(super) fn make(path: &Path, random: &Random) -> std::io::Result<()> {
    let folder = folder_of(path);
    let mut file = tempfile::Builder::new()
        .prefix(UNFINISHED)
        .tempfile_in(folder)?;
    file.write_all(random.hex::<KEY_LENGTH>().as_bytes())?;
    file.as_file().sync_all()?;
    reach("before the key file is renamed");
    match file.persist_noclobber(path) {
        Err(failed) if failed.error.kind() != std::io::ErrorKind::AlreadyExists => {
            return Err(failed.error);
        }
        _ => {}
    }
    reach("after the key file is renamed");
    File::open(folder)?.sync_all()
}

/// Keys with commas or white space in between.
pub(super) fn parse(text: &str) -> Option<Vec<Key>> {
    let parts = text.split(|character: char| character == ',' || character.is_whitespace());
    let keys: Option<Vec<Key>> = parts
        .filter(|part| !part.is_empty())
        .map(|part| hex::decode(part).ok()?.try_into().ok())
        .collect();
    keys.filter(|keys| !keys.is_empty())
}
