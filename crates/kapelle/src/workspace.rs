//! A process's own folder for unfinished files, and the removal of those that dead processes left.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

/// The lock of a folder: held as long as its process lives.
const LOCK: &str = "lock";

/// A folder that belongs to this process until it ends.
#[derive(Debug)]
pub(crate) struct Workspace {
    path: PathBuf,
    lock: Option<File>,
}

impl Workspace {
    /// Makes the folder `name` in `parent`, and removes what processes that are gone left there.
    pub(crate) fn open(parent: &Path, name: &str) -> io::Result<Self> {
        fs::create_dir_all(parent)?;
        // Whoever makes or removes folders here holds this lock, so that no folder is seen before its own lock is held.
        let door = lock_file(&parent.join(LOCK))?;
        door.lock()?;
        for entry in fs::read_dir(parent)? {
            let path = entry?.path();
            if path.is_dir() && is_abandoned(&path)? {
                tracing::info!(path = %path.display(), "removing what an ended process left");
                fs::remove_dir_all(&path)?;
            }
        }
        let path = parent.join(name);
        fs::create_dir(&path)?;
        let lock = lock_file(&path.join(LOCK))?;
        lock.lock()?;
        Ok(Self {
            path,
            lock: Some(lock),
        })
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Workspace {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.path) {
            tracing::debug!(path = %self.path.display(), %error, "the next process removes the temporary folder");
        }
        self.lock.take();
    }
}

fn lock_file(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(path)
}

fn is_abandoned(folder: &Path) -> io::Result<bool> {
    let lock = lock_file(&folder.join(LOCK))?;
    match lock.try_lock() {
        Ok(()) => Ok(true),
        Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leftovers_of_the_dead_are_removed_and_folders_of_the_living_stay() {
        let parent = tempfile::tempdir().unwrap();
        let living = Workspace::open(parent.path(), "living").unwrap();
        fs::create_dir(parent.path().join("dead")).unwrap();
        fs::write(parent.path().join("dead/half.zip"), "PK").unwrap();

        let other = Workspace::open(parent.path(), "other").unwrap();
        assert!(living.path().is_dir());
        assert!(!parent.path().join("dead").exists());
        drop(living);
        assert!(!parent.path().join("living").exists());
        assert!(other.path().is_dir());
    }
}
