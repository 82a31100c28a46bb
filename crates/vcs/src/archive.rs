//! The tree of a commit as a tar stream, written by `git archive`.

use std::io::{self, Read};
use std::process::{ChildStdout, Stdio};

use tokio::sync::OwnedSemaphorePermit;

use crate::command::GitCommand;
use crate::error::VcsError;
use crate::mirror::Mirror;
use crate::running::Running;
use crate::{read, refname};

/// A tar stream. Reading blocks, so read it where blocking is allowed.
///
/// The end of the stream is only reported once git has ended well: what was read to its end is complete.
#[derive(Debug)]
pub struct TarReader {
    output: ChildStdout,
    running: Running,
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
        let doing = format!("archive {tree}");
        let command = GitCommand::new(self.git(), &*doing, &["archive", "--format=tar"])
            .repository(&self.git().empty_repository())
            .env("GIT_OBJECT_DIRECTORY", self.path().join("objects"))
            .argument(tree);
        let (running, pipes) = Running::start(self, command, Stdio::null())?;
        Ok(TarReader {
            output: pipes.output,
            running,
            _permit: permit,
        })
    }
}

impl TarReader {
    /// Reads what is left and tells whether git wrote everything. A reader of tar may stop before the padding.
    pub fn finish(mut self) -> Result<(), VcsError> {
        let doing = self.running.doing().to_owned();
        io::copy(&mut self.output, &mut io::sink()).map_err(VcsError::io(doing))?;
        self.running.conclude().map(|_| ())
    }
}

impl Read for TarReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.output.read(buffer)?;
        if length == 0 && !buffer.is_empty() {
            self.running.conclude().map_err(io::Error::other)?;
        }
        Ok(length)
    }
}
