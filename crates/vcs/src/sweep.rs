//! What an interrupted git leaves in a mirror, removed at once: a disk that it has filled has to be of use again.

use std::io;
use std::path::{Path, PathBuf};

use crate::bare;
use crate::git::Git;
use crate::lock::Lock;

/// Removes the leftovers of a git that did not come to its end, also when its work is given up. For the holder of the
/// mirror's lock; make it before git is started, so that it is dropped after git was killed.
pub(crate) struct Sweep {
    mirror: PathBuf,
    is_needed: bool,
}

impl Sweep {
    pub(crate) fn of(mirror: &Path) -> Self {
        Self {
            mirror: mirror.to_owned(),
            is_needed: true,
        }
    }

    /// Git has come to its end.
    pub(crate) fn not_needed(mut self) {
        self.is_needed = false;
    }
}

impl Drop for Sweep {
    fn drop(&mut self) {
        if self.is_needed
            && let Err(error) = bare::tidy(&self.mirror)
        {
            let mirror = self.mirror.display();
            tracing::warn!(%mirror, %error, "the next fetch removes what this one left");
        }
    }
}

impl Git {
    /// Removes what interrupted gits of processes that ended have left in any mirror; those that somebody works on are
    /// passed over. Blocks.
    pub fn sweep(&self) -> io::Result<()> {
        for entry in std::fs::read_dir(&self.config().mirrors)? {
            let path = entry?.path();
            if path.extension().is_some_and(|kind| kind == "git")
                && let Some(_lock) = Lock::try_acquire(&path.with_extension("lock"))?
            {
                bare::tidy(&path)?;
            }
        }
        Ok(())
    }
}
