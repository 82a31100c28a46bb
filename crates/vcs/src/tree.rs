//! The shape of a commit's tree: how many entries, how many submodules.

use crate::error::VcsError;
use crate::mirror::Mirror;
use crate::refname;

/// What a tree holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TreeSummary {
    /// Files and symbolic links.
    pub files: u64,
    /// Folders below the root.
    pub folders: u64,
    /// Submodules: commits of other repositories, empty folders to us.
    pub submodules: u64,
}

impl TreeSummary {
    /// All entries, of whatever kind.
    pub fn entries(&self) -> u64 {
        self.files + self.folders + self.submodules
    }
}

impl Mirror {
    /// Counts the entries of a commit's tree, up to the limit of the settings.
    pub async fn tree(&self, commit: &str) -> Result<TreeSummary, VcsError> {
        refname::check_oid(commit)?;
        self.require(commit).await?;
        self.summary(commit, commit).await
    }

    /// The same for a tree within a commit that is there.
    pub(crate) async fn summary(&self, commit: &str, tree: &str) -> Result<TreeSummary, VcsError> {
        let limit = self.git().config().max_tree_entries;
        let mut modes = Modes::default();
        let doing = format!("list the tree of {commit}");
        let _permit = self.git().reading().await;
        let finished = self
            .command(&doing, &["ls-tree", "-r", "-t", "--format=%(objectmode)"])
            .argument(tree)
            .stream(|piece| {
                modes.feed(piece);
                if modes.summary.entries() > limit {
                    let commit = commit.to_owned();
                    return Err(VcsError::TooManyEntries { commit, limit });
                }
                Ok(())
            })
            .await?;
        self.judge(&doing, &finished)?;
        Ok(modes.summary)
    }
}

/// Counts lines with the modes of entries, whatever the pieces they come in.
#[derive(Default)]
pub(crate) struct Modes {
    pub(crate) summary: TreeSummary,
    line: Vec<u8>,
}

impl Modes {
    /// More than any mode has: the rest of such a line is not kept.
    const LONGEST: usize = 8;

    pub(crate) fn feed(&mut self, piece: &[u8]) {
        for byte in piece {
            if *byte != b'\n' {
                if self.line.len() < Self::LONGEST {
                    self.line.push(*byte);
                }
                continue;
            }
            match self.line.as_slice() {
                b"040000" => self.summary.folders += 1,
                b"160000" => self.summary.submodules += 1,
                _ => self.summary.files += 1,
            }
            self.line.clear();
        }
    }
}
