//! Child processes with their own children: bounded output, bounded time, and nothing left running.

use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitStatus};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rustix::process::{Pid, Resource, Rlimit, Signal, kill_process_group, prlimit};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, ChildStdin};
use tokio::time::timeout;

/// How much of standard error is kept: its end.
const STDERR: usize = 64 * 1024;
/// How long a process may tidy up after being asked to end.
const GRACE: Duration = Duration::from_secs(2);

/// A process group: git and whatever it starts. Killed when dropped, unless its leader has been waited for.
#[derive(Debug)]
pub(crate) struct Group {
    leader: Mutex<Option<Pid>>,
}

impl Group {
    /// Makes the command the leader of a new group when it is spawned.
    pub(crate) fn prepare(command: &mut Command) {
        command.process_group(0);
    }

    /// The group of a spawned leader.
    pub(crate) fn of(leader: Option<u32>) -> Self {
        let leader = leader
            .and_then(|id| i32::try_from(id).ok())
            .and_then(Pid::from_raw);
        Self {
            leader: Mutex::new(leader),
        }
    }

    /// Caps the size of each file that the group writes from now on.
    pub(crate) fn cap_files(&self, bytes: u64) -> io::Result<()> {
        let limit = Rlimit {
            current: Some(bytes),
            maximum: Some(bytes),
        };
        prlimit(self.leader(), Resource::Fsize, limit)?;
        Ok(())
    }

    /// Caps the memory of each process of the group from now on. Files that are only read do not count.
    pub(crate) fn cap_memory(&self, bytes: u64) -> io::Result<()> {
        let limit = Rlimit {
            current: Some(bytes),
            maximum: Some(bytes),
        };
        prlimit(self.leader(), Resource::Data, limit)?;
        Ok(())
    }

    /// Ends every process of the group at once.
    pub(crate) fn kill(&self) {
        self.signal(Signal::KILL);
    }

    /// To be called when the leader is about to be waited for: its number may then belong to someone else.
    pub(crate) fn release(&self) {
        *self.leader.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Asks for an end, and enforces it: on the leader after a moment, on what it leaves behind at once.
    async fn end(&self, leader: &mut Child) {
        self.signal(Signal::TERM);
        if timeout(GRACE, leader.wait()).await.is_err() {
            tracing::debug!("a git process did not end when asked to");
        }
        self.kill();
        self.release();
    }

    fn leader(&self) -> Option<Pid> {
        *self.leader.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn signal(&self, signal: Signal) {
        let leader = self.leader.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(leader) = *leader
            && let Err(error) = kill_process_group(leader, signal)
        {
            tracing::debug!(%error, "a git process had already ended");
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.kill();
    }
}

/// How a process ended, and the end of what it wrote to standard error.
pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    pub(crate) stderr: Vec<u8>,
}

/// Why a process did not come to its end.
pub(crate) enum Stopped<E> {
    /// The time was up.
    Late,
    /// The reader of its output had enough.
    Refused(E),
    /// The system failed.
    Failed(io::Error),
}

/// Gives a started process its input, hands its output to `sink` piece by piece, and waits for its end.
///
/// Whatever the outcome, and also when this future is dropped, the whole group is gone afterwards.
pub(crate) async fn attend<E>(
    mut child: Child,
    group: Group,
    input: Vec<u8>,
    limit: Duration,
    mut sink: impl FnMut(&[u8]) -> Result<(), E>,
) -> Result<Ended, Stopped<E>> {
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let work = async {
        let ((), (), stderr) =
            tokio::try_join!(write(stdin, input), read(stdout, &mut sink), said(stderr))?;
        let status = child.wait().await.map_err(Stopped::Failed)?;
        Ok(Ended { status, stderr })
    };
    let Ok(outcome) = timeout(limit, work).await else {
        group.end(&mut child).await;
        return Err(Stopped::Late);
    };
    if outcome.is_ok() {
        group.release();
    }
    outcome
}

/// A process that ends early closes its input; its exit status tells why.
async fn write<E>(stdin: Option<ChildStdin>, input: Vec<u8>) -> Result<(), Stopped<E>> {
    let Some(mut stdin) = stdin else {
        return Ok(());
    };
    match stdin.write_all(&input).await {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(Stopped::Failed(error)),
        _ => Ok(()),
    }
}

async fn read<E>(
    stdout: Option<impl AsyncRead + Unpin>,
    sink: &mut impl FnMut(&[u8]) -> Result<(), E>,
) -> Result<(), Stopped<E>> {
    let Some(mut stdout) = stdout else {
        return Ok(());
    };
    let mut piece = Vec::with_capacity(64 * 1024);
    while stdout.read_buf(&mut piece).await.map_err(Stopped::Failed)? > 0 {
        sink(&piece).map_err(Stopped::Refused)?;
        piece.clear();
    }
    Ok(())
}

/// Reads to the end and keeps the last part, from the beginning of a line on.
async fn said<E>(stderr: Option<impl AsyncRead + Unpin>) -> Result<Vec<u8>, Stopped<E>> {
    let mut kept = Vec::new();
    let Some(mut stderr) = stderr else {
        return Ok(kept);
    };
    while stderr.read_buf(&mut kept).await.map_err(Stopped::Failed)? > 0 {
        shorten(&mut kept);
    }
    Ok(kept)
}

/// Cuts off the front once there is too much, through the end of a line: half a secret could not be masked.
pub(crate) fn shorten(kept: &mut Vec<u8>) {
    if kept.len() > 2 * STDERR {
        let cut = kept.len() - STDERR;
        let line = kept[cut..].iter().position(|byte| *byte == b'\n');
        kept.drain(..line.map_or(kept.len(), |at| cut + at + 1));
    }
}
