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
        let mut summary = TreeSummary::default();
        let mut line = Vec::new();
        let doing = format!("list the tree of {commit}");
        let _permit = self.git().reading().await;
        let finished = self
            .command(&doing, &["ls-tree", "-r", "-t", "--format=%(objectmode)"])
            .argument(tree)
            .stream(|piece| {
                for byte in piece {
                    if *byte != b'\n' {
                        line.push(*byte);
                        continue;
                    }
                    match line.as_slice() {
                        b"040000" => summary.folders += 1,
                        b"160000" => summary.submodules += 1,
                        _ => summary.files += 1,
                    }
                    line.clear();
                }
                if summary.entries() > limit {
                    let commit = commit.to_owned();
                    return Err(VcsError::TooManyEntries { commit, limit });
                }
                Ok(())
            })
            .await?;
        self.judge(&doing, &finished)?;
        Ok(summary)
    }
}
