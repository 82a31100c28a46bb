//! A git that runs while somebody reads what it writes, where blocking is allowed.

use std::io::{self, Read};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::task::AbortHandle;

use crate::classify;
use crate::command::GitCommand;
use crate::error::VcsError;
use crate::mirror::Mirror;
use crate::process::{Group, shorten};
use crate::text;

/// The process, its time limit and what it complains about. Killed when dropped before its end.
#[derive(Debug)]
pub(crate) struct Running {
    mirror: PathBuf,
    doing: String,
    limit: Duration,
    most_memory: u64,
    child: Child,
    stderr: Option<JoinHandle<Vec<u8>>>,
    group: Arc<Group>,
    watch: AbortHandle,
    deadline: Arc<Mutex<Option<Instant>>>,
    late: Arc<AtomicBool>,
    ended: bool,
}

/// Our ends of its input and output.
pub(crate) struct Pipes {
    pub(crate) input: Option<ChildStdin>,
    pub(crate) output: ChildStdout,
}

impl Running {
    /// Starts git on a mirror; its time runs. It gets input only where that is a pipe.
    pub(crate) fn start(
        mirror: &Mirror,
        mut git: GitCommand,
        input: Stdio,
    ) -> Result<(Self, Pipes), VcsError> {
        let doing = git.doing().to_owned();
        let mut child = git
            .ready()
            .stdin(input)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| git.not_started(error))?;
        let group = Arc::new(Group::of(Some(child.id())));
        git.started();
        git.cap(&group).map_err(VcsError::io(doing.as_str()))?;
        let pipes = child.stdout.take().zip(child.stderr.take());
        let (output, mut stderr) = pipes
            .ok_or_else(|| io::Error::other("its output was not connected"))
            .map_err(VcsError::io(doing.as_str()))?;
        let input = child.stdin.take();
        let config = mirror.git().config();
        let limit = config.read_timeout;
        let late = Arc::new(AtomicBool::new(false));
        let deadline = Arc::new(Mutex::new(Some(Instant::now() + limit)));
        let watch = watch(
            Arc::clone(&group),
            Arc::clone(&deadline),
            Arc::clone(&late),
            limit,
        );
        let running = Self {
            mirror: mirror.path().to_owned(),
            doing,
            limit,
            most_memory: config.max_memory,
            child,
            stderr: Some(std::thread::spawn(move || keep_end(&mut stderr))),
            group,
            watch,
            deadline,
            late,
            ended: false,
        };
        Ok((running, Pipes { input, output }))
    }

    /// Gives it its whole time again for the next question; nobody waits for it while there is none.
    pub(crate) fn wait_for(&self, is_waiting: bool) {
        let deadline = is_waiting.then(|| Instant::now() + self.limit);
        *self.deadline.lock().unwrap_or_else(PoisonError::into_inner) = deadline;
    }

    pub(crate) fn doing(&self) -> &str {
        &self.doing
    }

    /// Waits for its end and judges it; gives what it said although it ended well. The second time it is fine: the
    /// first time has told.
    pub(crate) fn conclude(&mut self) -> Result<String, VcsError> {
        if self.ended {
            return Ok(String::new());
        }
        self.ended = true;
        // Before its number may belong to someone else.
        self.watch.abort();
        let status = self
            .child
            .wait()
            .map_err(VcsError::io(self.doing.as_str()))?;
        self.group.release();
        let said = self.stderr.take().and_then(|said| said.join().ok());
        let said = text::clean(&said.unwrap_or_default(), &[]);
        if status.success() {
            return Ok(said);
        }
        if self.late.load(Ordering::Relaxed) {
            return Err(VcsError::TimedOut {
                doing: self.doing.clone(),
                limit: self.limit,
            });
        }
        classify::memory(&self.doing, &said, self.most_memory)?;
        classify::tree(&self.doing, &said)?;
        Err(classify::local(&self.mirror, &self.doing, &said))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.watch.abort();
        if !self.ended {
            self.group.kill();
            if let Err(error) = self.child.wait() {
                tracing::warn!(doing = self.doing, %error, "an abandoned git could not be waited for");
            }
            self.group.release();
        }
    }
}

/// Kills the group once its deadline has passed.
fn watch(
    group: Arc<Group>,
    deadline: Arc<Mutex<Option<Instant>>>,
    late: Arc<AtomicBool>,
    limit: Duration,
) -> AbortHandle {
    let watching = async move {
        loop {
            let deadline = *deadline.lock().unwrap_or_else(PoisonError::into_inner);
            let left = deadline.map_or(limit, |deadline| {
                deadline.saturating_duration_since(Instant::now())
            });
            if left.is_zero() {
                late.store(true, Ordering::Relaxed);
                group.kill();
                return;
            }
            tokio::time::sleep(left).await;
        }
    };
    tokio::spawn(watching).abort_handle()
}

fn keep_end(stderr: &mut impl Read) -> Vec<u8> {
    let mut kept = Vec::new();
    let mut piece = [0; 8 * 1024];
    // An error ends it like the end of the stream: the exit status tells how git fared.
    while let Ok(length @ 1..) = stderr.read(&mut piece) {
        kept.extend_from_slice(&piece[..length]);
        shorten(&mut kept);
    }
    kept
}
