//! The bare mirror of one repository.

use std::fs;
use std::path::{Path, PathBuf};

use kapelle_failpoint::reach;

use crate::bare;
use crate::classify;
use crate::command::{Finished, GitCommand};
use crate::error::VcsError;
use crate::git::Git;
use crate::lock::Lock;
use crate::text::detail;

/// The bare mirror of one repository: `<mirrors>/<id>.git`. Cheap to clone.
///
/// Branches and tags have upstream's names. A commit that one of them was ever at stays: when upstream moves or
/// deletes the ref, `refs/kapelle/keep/<object>` holds the commit, or the tag that marks it, from then on. Nothing is ever pruned.
/// Its configuration names no remote and holds no secret; everything in it but those kept commits can be fetched anew.
#[derive(Clone, Debug)]
pub struct Mirror {
    git: Git,
    path: PathBuf,
    lock: PathBuf,
}

/// From so many packs on they are brought together: each of them is looked into for each object.
const MANY_PACKS: usize = 24;
/// Bits of the exit status of `git fsck`: reachable objects are missing, packs are damaged.
const FSCK_DAMAGE: i32 = 2 | 4;

impl Mirror {
    pub(crate) fn new(git: Git, id: i64) -> Self {
        let folder = &git.config().mirrors;
        Self {
            path: folder.join(format!("{id}.git")),
            lock: folder.join(format!("{id}.lock")),
            git,
        }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether anything has ever been fetched into it.
    pub fn exists(&self) -> bool {
        self.path.exists()
    }

    /// Reads every object and follows every link: [`VcsError::Corrupt`] if anything is missing or damaged.
    ///
    /// Slow for large repositories. Flaws in the form of old commits are not damage.
    pub async fn verify(&self) -> Result<(), VcsError> {
        self.fsck("--full").await
    }

    /// Follows every link from branches and tags without reading the files: [`VcsError::Corrupt`] if something is
    /// missing. Much faster than [`verify`](Self::verify).
    pub async fn verify_links(&self) -> Result<(), VcsError> {
        self.fsck("--connectivity-only").await
    }

    async fn fsck(&self, depth: &str) -> Result<(), VcsError> {
        if !self.exists() {
            return Ok(());
        }
        let doing = "verify a mirror";
        let _permit = self.git.reading().await;
        let arguments = ["fsck", depth, "--no-dangling", "--no-progress"];
        let finished = self
            .command(doing, &arguments)
            .limit(self.git.config().fetch_timeout)
            .stream(|_| Ok(()))
            .await?;
        let damaged = finished.code.is_none_or(|code| code & FSCK_DAMAGE != 0);
        // These repeat what an object says, which may be anything.
        let is_flaw =
            |line: &&str| line.starts_with("warning in ") || line.starts_with("error in ");
        let mut said = finished.stderr.lines().filter(|line| !is_flaw(line));
        if damaged || said.any(classify::is_corrupt) {
            return Err(VcsError::Corrupt {
                path: self.path.clone(),
                detail: detail(&finished.stderr),
            });
        }
        Ok(())
    }

    /// Packs everything into one pack, with what no ref leads to. Worth while after many small fetches.
    pub async fn repack(&self) -> Result<(), VcsError> {
        let lock = self.lock().await?;
        if !self.exists() {
            return Ok(());
        }
        let doing = "repack a mirror";
        let arguments = [
            "repack",
            "-a",
            "-d",
            "--keep-unreachable",
            "--quiet",
            "--no-write-bitmap-index",
        ];
        let finished = self
            .command(doing, &arguments)
            .output_to(self.share(&lock)?)
            .limit(self.git.config().fetch_timeout)
            .run(0)
            .await?;
        self.judge(doing, &finished)
    }

    /// How large the pack is that a git which did not come to its end has left. For the holder of the lock.
    pub(crate) async fn unfinished_pack(&self) -> Result<u64, VcsError> {
        let folder = self.path.join("objects/pack");
        let size = tokio::task::spawn_blocking(move || largest_temporary(&folder)).await;
        let size = size.map_err(std::io::Error::other);
        size.and_then(|size| size)
            .map_err(VcsError::io("look for an unfinished pack"))
    }

    /// Brings many small packs together once there are too many. For the holder of the lock.
    ///
    /// Without it reading still works, only slower: a failure is for the log.
    pub(crate) async fn gather_packs(&self, lock: &Lock) -> Result<(), VcsError> {
        let folder = self.path.join("objects/pack");
        let doing = "bring the packs of a mirror together";
        let packs = tokio::task::spawn_blocking(move || count_packs(&folder));
        let packs = packs.await.map_err(std::io::Error::other);
        if packs.and_then(|packs| packs).map_err(VcsError::io(doing))? < MANY_PACKS {
            return Ok(());
        }
        let arguments = [
            "repack",
            "--geometric=2",
            "-d",
            "--quiet",
            "--no-write-bitmap-index",
        ];
        let finished = self
            .command(doing, &arguments)
            .output_to(self.share(lock)?)
            .limit(self.git.config().fetch_timeout)
            .run(0)
            .await;
        if let Err(error) = finished.and_then(|finished| self.judge(doing, &finished)) {
            tracing::warn!(mirror = %self.path.display(), %error, "the packs of a mirror stay apart");
        }
        Ok(())
    }

    /// Removes the mirror, for good or because it is damaged. The next fetch starts from nothing.
    ///
    /// Commits that upstream no longer has are lost, so after [`VcsError::Corrupt`] ask [`verify`](Self::verify) first.
    pub async fn reset(&self) -> Result<(), VcsError> {
        let _lock = self.lock().await?;
        let path = self.path.clone();
        let doing = format!("remove the mirror {}", path.display());
        let removed = tokio::task::spawn_blocking(move || bare::destroy(&path));
        removed
            .await
            .map_err(std::io::Error::other)
            .and_then(|outcome| outcome)
            .map_err(VcsError::io(doing))
    }

    /// Creates it if it is missing; removes what an interrupted git left in it. For the holder of the lock.
    pub(crate) async fn prepare(&self) -> Result<(), VcsError> {
        let path = self.path.clone();
        let doing = format!("prepare the mirror {}", path.display());
        let prepared = tokio::task::spawn_blocking(move || {
            bare::finish_destroying(&path)?;
            bare::create(&path)?;
            bare::tidy(&path)
        });
        let outcome = prepared.await.map_err(std::io::Error::other);
        match outcome.and_then(|outcome| outcome) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Err(VcsError::Corrupt {
                path: self.path.clone(),
                detail: "one of its folders is missing".to_owned(),
            }),
            outcome => outcome.map_err(VcsError::io(doing)),
        }
    }

    pub(crate) async fn lock(&self) -> Result<Lock, VcsError> {
        let lock = Lock::acquire(&self.lock, self.git.config().read_timeout).await?;
        reach("after a mirror is locked");
        Ok(lock)
    }

    /// A command on this mirror.
    pub(crate) fn command(&self, doing: &str, arguments: &[&str]) -> GitCommand {
        GitCommand::new(&self.git, doing, arguments).repository(&self.path)
    }

    pub(crate) fn share(&self, lock: &Lock) -> Result<fs::File, VcsError> {
        lock.share()
            .map_err(VcsError::io(format!("share {}", self.lock.display())))
    }

    /// The error of a command on this mirror, if it failed, or if it called a damaged object a missing one.
    pub(crate) fn judge(&self, doing: &str, finished: &Finished) -> Result<(), VcsError> {
        if finished.success && !classify::is_corrupt(&finished.stderr) {
            return Ok(());
        }
        Err(self.failure(doing, finished))
    }

    pub(crate) fn failure(&self, doing: &str, finished: &Finished) -> VcsError {
        classify::local(&self.path, doing, &finished.stderr)
    }

    pub(crate) fn git(&self) -> &Git {
        &self.git
    }
}

fn count_packs(folder: &Path) -> std::io::Result<usize> {
    let mut packs = 0;
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        packs += usize::from(path.extension().is_some_and(|kind| kind == "pack"));
    }
    Ok(packs)
}

fn largest_temporary(folder: &Path) -> std::io::Result<u64> {
    let mut largest = 0;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with("tmp_") {
            largest = largest.max(entry.metadata()?.len());
        }
    }
    Ok(largest)
}
