//! One writer per mirror, across threads and processes.

use std::fs::{File, TryLockError};
use std::io;
use std::path::Path;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::error::VcsError;

/// The longest pause between two attempts.
const PAUSE: Duration = Duration::from_millis(500);

/// The right to change a mirror, until dropped.
pub(crate) struct Lock {
    file: File,
}

impl Lock {
    /// Waits for it. The file stays behind: removing it would let two processes hold different locks.
    pub(crate) async fn acquire(path: &Path, patience: Duration) -> Result<Self, VcsError> {
        let failed = || VcsError::io(format!("lock {}", path.display()));
        let file = File::options()
            .append(true)
            .create(true)
            .open(path)
            .map_err(failed())?;
        let deadline = Instant::now() + patience;
        let mut pause = Duration::from_millis(5);
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(Self { file }),
                Err(TryLockError::Error(error)) => return Err(failed()(error)),
                Err(TryLockError::WouldBlock) if Instant::now() >= deadline => {
                    let path = path.to_owned();
                    return Err(VcsError::Busy { path });
                }
                Err(TryLockError::WouldBlock) => sleep(pause).await,
            }
            pause = PAUSE.min(pause * 2);
        }
    }

    /// The lock if nobody has it.
    pub(crate) fn try_acquire(path: &Path) -> io::Result<Option<Self>> {
        let file = File::options().append(true).create(true).open(path)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Self { file })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    /// A share of the lock for a child process: should we die, the lock lasts until the child has ended, too.
    pub(crate) fn share(&self) -> io::Result<File> {
        self.file.try_clone()
    }
}
