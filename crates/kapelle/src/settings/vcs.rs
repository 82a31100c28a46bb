//! `[vcs]`: how repositories are reached and what one may hold.

use std::path::PathBuf;
use std::time::Duration;

use kapelle_vcs::Protocols;

use super::section::section;
use super::value::Size;

section! {
    /// How git repositories are reached, and how large they may be.
    vcs: Vcs {
        /// The protocols that a repository URL may use: `https`, `ssh`, `http`, `git`, `file`.
        ///
        /// `http` and `git` are neither private nor authentic; `file` opens whatever this process can read.
        protocols: Protocols = Protocols::default(),
        /// The git command, 2.39 or newer: a name or an absolute path.
        git: PathBuf = "git".into(),
        /// A PEM file of root certificates that git trusts *instead of* the machine's.
        ca_file: Option<PathBuf> = None,
        /// How long a repository may take to list its tags and branches.
        list_timeout: Duration = Duration::from_mins(2),
        /// How long a fetch may take.
        fetch_timeout: Duration = Duration::from_mins(30),
        /// How long reading from our own copy of a repository may take.
        read_timeout: Duration = Duration::from_mins(10),
        /// How many tags and branches a repository may have.
        max_refs: usize = 200_000,
        /// How many files a version may have.
        max_tree_entries: usize = 200_000,
        /// How much one fetch may bring.
        max_fetch: Size = Size(8 << 30),
        /// How much memory one git process may take.
        max_memory: Size = Size(4 << 30),
    }
}
