//! The tree of a commit as a tar stream, written by `git archive`.

use std::io::{self, Read};
use std::process::{Child, ChildStdout, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::OwnedSemaphorePermit;
use tokio::task::AbortHandle;

use crate::classify;
use crate::command::GitCommand;
use crate::error::VcsError;
use crate::mirror::Mirror;
use crate::process::{Group, shorten};
use crate::{read, refname, text};

/// A tar stream. Reading blocks, so read it where blocking is allowed.
///
/// The end of the stream is only reported once git has ended well: what was read to its end is complete.
#[derive(Debug)]
pub struct TarReader {
    mirror: Mirror,
    doing: String,
    limit: Duration,
    most_memory: u64,
    child: Child,
    stdout: ChildStdout,
    stderr: Option<JoinHandle<Vec<u8>>>,
    group: Arc<Group>,
    watch: AbortHandle,
    late: Arc<AtomicBool>,
    ended: bool,
    _permit: OwnedSemaphorePermit,
}

impl Mirror {
    /// Streams the tree of a commit, or a folder of it, with `export-ignore` and `export-subst` applied.
    ///
    /// Git does so in an empty repository that only borrows the mirror's objects: placeholders that depend on refs
    /// (`%d`, `%D`, `%(describe)`) become empty, so the same commit gives the same files for ever. For a folder,
    /// placeholders stay as they are: git replaces them for whole commits only.
    pub async fn archive(&self, commit: &str, folder: Option<&str>) -> Result<TarReader, VcsError> {
        refname::check_oid(commit)?;
        self.require(commit).await?;
        let tree = match folder {
            Some(folder) => {
                read::check_path(folder)?;
                format!("{commit}:{folder}")
            }
            None => commit.to_owned(),
        };
        // git reads the whole tree into memory before it writes anything.
        self.summary(commit, &tree).await?;
        let permit = self.git().reading().await;
        let limit = self.git().config().read_timeout;
        let doing = format!("archive {tree}");
        let command = GitCommand::new(self.git(), &*doing, &["archive", "--format=tar"])
            .repository(&self.git().empty_repository())
            .env("GIT_OBJECT_DIRECTORY", self.path().join("objects"))
            .argument(tree);
        TarReader::start(self.clone(), command, limit, permit)
    }
}

impl TarReader {
    fn start(
        mirror: Mirror,
        mut git: GitCommand,
        limit: Duration,
        permit: OwnedSemaphorePermit,
    ) -> Result<Self, VcsError> {
        let doing = git.doing().to_owned();
        let mut child = git
            .ready()
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| git.not_started(error))?;
        let group = Arc::new(Group::of(Some(child.id())));
        git.started();
        git.cap(&group).map_err(VcsError::io(doing.as_str()))?;
        let pipes = child.stdout.take().zip(child.stderr.take());
        let (stdout, mut stderr) = pipes
            .ok_or_else(|| io::Error::other("its output was not connected"))
            .map_err(VcsError::io(doing.as_str()))?;
        let said = std::thread::spawn(move || keep_end(&mut stderr));
        let late = Arc::new(AtomicBool::new(false));
        let watch = tokio::spawn({
            let (group, late) = (Arc::clone(&group), Arc::clone(&late));
            async move {
                tokio::time::sleep(limit).await;
                late.store(true, Ordering::Relaxed);
                group.kill();
            }
        });
        let most_memory = mirror.git().config().max_memory;
        Ok(Self {
            mirror,
            doing,
            limit,
            most_memory,
            child,
            stdout,
            stderr: Some(said),
            group,
            watch: watch.abort_handle(),
            late,
            ended: false,
            _permit: permit,
        })
    }

    /// Reads what is left and tells whether git wrote everything. A reader of tar may stop before the padding.
    pub fn finish(mut self) -> Result<(), VcsError> {
        let doing = self.doing.clone();
        io::copy(&mut self.stdout, &mut io::sink()).map_err(VcsError::io(doing))?;
        self.conclude()
    }

    /// Waits for git and judges how it ended. The second time it is fine: the first time has told.
    fn conclude(&mut self) -> Result<(), VcsError> {
        if self.ended {
            return Ok(());
        }
        self.ended = true;
        self.watch.abort();
        let status = self
            .child
            .wait()
            .map_err(VcsError::io(self.doing.as_str()))?;
        self.group.release();
        let said = self.stderr.take().and_then(|said| said.join().ok());
        if status.success() {
            return Ok(());
        }
        if self.late.load(Ordering::Relaxed) {
            return Err(VcsError::TimedOut {
                doing: self.doing.clone(),
                limit: self.limit,
            });
        }
        let said = text::clean(&said.unwrap_or_default(), &[]);
        classify::memory(&self.doing, &said, self.most_memory)?;
        classify::tree(&self.doing, &said)?;
        Err(classify::local(self.mirror.path(), &self.doing, &said))
    }
}

impl Read for TarReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.stdout.read(buffer)?;
        if length == 0 && !buffer.is_empty() {
            self.conclude().map_err(io::Error::other)?;
        }
        Ok(length)
    }
}

impl Drop for TarReader {
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
