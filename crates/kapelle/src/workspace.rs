//! A process's own folder for unfinished files, and the removal of those that dead processes left.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};

use anyhow::Context;
use kapelle_failpoint::reach;

/// The lock of a folder: held as long as its process lives.
const LOCK: &str = "lock";

/// A folder that belongs to this process until it ends.
#[derive(Debug)]
pub(crate) struct Workspace {
    path: PathBuf,
    gone: Vec<String>,
    lock: Option<File>,
}

impl Workspace {
    /// Makes the folder `name` in `parent`, and removes what processes that are gone left there.
    pub(crate) fn open(parent: &Path, name: &str) -> anyhow::Result<Self> {
        fs::create_dir_all(parent).with_context(|| unusable(parent))?;
        // Whoever makes or removes folders here holds this lock, so that no folder is seen before its own lock is held.
        let door = lock_file(&parent.join(LOCK))?;
        door.lock().with_context(|| unusable(parent))?;
        let mut gone = Vec::new();
        for entry in fs::read_dir(parent).with_context(|| unusable(parent))? {
            let entry = entry.with_context(|| unusable(parent))?;
            let path = entry.path();
            if path.is_dir() && is_abandoned(&path)? {
                gone.push(entry.file_name().to_string_lossy().into_owned());
                tracing::info!(path = %path.display(), "removing what an ended process left");
                fs::remove_dir_all(&path)
                    .with_context(|| format!("{} cannot be removed", path.display()))?;
            }
        }
        let path = parent.join(name);
        fs::create_dir(&path).with_context(|| unusable(&path))?;
        let lock = lock_file(&path.join(LOCK))?;
        lock.lock().with_context(|| unusable(&path))?;
        reach("after a temporary folder is made");
        Ok(Self {
            path,
            gone,
            lock: Some(lock),
        })
    }

    /// The names of the processes that ended without removing their folders.
    pub(crate) fn gone(&self) -> &[String] {
        &self.gone
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

fn unusable(path: &Path) -> String {
    format!("{} cannot be used", path.display())
}

fn lock_file(path: &Path) -> anyhow::Result<File> {
    OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(path)
        .with_context(|| unusable(path))
}

fn is_abandoned(folder: &Path) -> anyhow::Result<bool> {
    let lock = lock_file(&folder.join(LOCK))?;
    match lock.try_lock() {
        Ok(()) => Ok(true),
        Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(error)) => Err(error).with_context(|| unusable(folder)),
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
        assert_eq!(other.gone(), ["dead"]);
        drop(living);
        assert!(!parent.path().join("living").exists());
        assert!(other.path().is_dir());
    }
}
