//! Git repositories: list their refs, mirror them, read a file at a commit, stream a tree.
//!
//! Network work and archives are done by the git command ([`Git`]), always through one place that strips its
//! environment, never with anything of others' making as an option, and only after the outbound client has resolved
//! and checked the host. Mirrors are bare repositories that lose nothing: see [`Mirror`].

mod archive;
mod attributes;
mod bare;
mod classify;
mod command;
mod connection;
mod credential;
mod depot;
mod error;
mod fetch;
mod files;
#[cfg(test)]
mod fuzz;
mod git;
mod host_key;
mod invalid_url;
mod listing;
mod lock;
mod mirror;
mod object;
mod objects;
mod oid;
mod pattern;
mod process;
mod protocol;
mod read;
mod refname;
mod refs;
mod remote;
mod rescue;
mod running;
mod snapshot;
mod ssh;
mod sweep;
mod text;
mod tree;
mod url;

pub use archive::TarReader;
pub use credential::Credential;
pub use error::VcsError;
pub use fetch::Fetched;
pub use files::FileAtCommit;
pub use git::{Access, Git, GitConfig};
pub use host_key::HostKey;
pub use invalid_url::InvalidUrl;
pub use listing::Listing;
pub use mirror::Mirror;
pub use object::ObjectKind;
pub use objects::{Object, Objects};
pub use oid::Oid;
pub use protocol::{Protocol, Protocols, UnknownProtocol};
pub use read::{CommitTime, FileAt, FileContent};
pub use snapshot::{Snapshot, SnapshotEntry, SnapshotKind};
pub use tree::TreeSummary;
pub use url::RepositoryUrl;
