//! What can go wrong with a repository, as sentences for the person who added it.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use kapelle_outbound::OutboundError;

use crate::protocol::Protocol;

/// Why something was not learnt from a repository or its mirror. No sentence holds a secret or a control character.
#[derive(Debug, thiserror::Error)]
pub enum VcsError {
    /// The host did not answer, or its name has no address.
    #[error("{host} could not be reached: {detail}")]
    Unreachable {
        /// The host with its port.
        host: String,
        /// What git, ssh or the resolver said.
        detail: String,
    },
    /// The certificate of an https server does not hold.
    #[error(
        "the TLS certificate of {host} was not accepted: {detail}; if an own authority signed it, name a file with \
         the machine's root certificates and that authority's in vcs.ca_file (KAPELLE_VCS__CA_FILE)"
    )]
    CertificateRefused {
        /// The host with its port.
        host: String,
        /// What git said.
        detail: String,
    },
    /// The host refuses our credential, or wants one.
    #[error("{host} refused access to {url}: {advice} ({detail})")]
    AuthenticationFailed {
        /// The host with its port.
        host: String,
        /// The repository.
        url: String,
        /// What to do.
        advice: String,
        /// What git or ssh said.
        detail: String,
    },
    /// The credential does not fit the protocol.
    #[error("the credential for {url} cannot be used over {protocol}: {advice}")]
    CredentialKind {
        /// The repository.
        url: String,
        /// How it is reached.
        protocol: Protocol,
        /// What to do.
        advice: &'static str,
    },
    /// The host knows no such repository, or hides it from us.
    #[error(
        "{url} was not found: the address is wrong, or the credential may not see it ({detail})"
    )]
    NotFound {
        /// The repository.
        url: String,
        /// What git said.
        detail: String,
    },
    /// Something is there, but git cannot read it.
    #[error("{url} is not a git repository ({detail})")]
    NotARepository {
        /// The address.
        url: String,
        /// What git said.
        detail: String,
    },
    /// Object names in SHA-256: Composer's references are SHA-1.
    #[error(
        "{url} names its objects by SHA-256; Composer knows only SHA-1 references, so it cannot be served"
    )]
    UnsupportedObjects {
        /// The repository.
        url: String,
    },
    /// The repository lacks the history of its commits, and so would the mirror.
    #[error(
        "{url} is a shallow clone, which has not all that its commits lead to: complete it there with \
         `git fetch --unshallow`, or add the repository that it was cloned from"
    )]
    Shallow {
        /// The repository.
        url: String,
    },
    /// The ssh host shows another key than before.
    #[error(
        "the ssh host key of {host} has changed: known is {}, offered was {offered}; if the host's administrators \
         confirm the new key, forget the known one with `kapelle host-key remove {host}`, otherwise someone may be \
         listening",
        known.join(" or ")
    )]
    HostKeyChanged {
        /// As in `known_hosts`.
        host: String,
        /// Algorithm and fingerprint of each stored key.
        known: Vec<String>,
        /// Algorithm and fingerprint of the key the host has now.
        offered: String,
    },
    /// The host resolves to an address that must not be contacted.
    #[error("{url} was not contacted: {source}")]
    ForbiddenAddress {
        /// The repository.
        url: String,
        /// Which address, and how to allow it.
        source: OutboundError,
    },
    /// A local path that belongs to Kapelle itself.
    #[error("{url} was not read: it lies inside the folder of Kapelle's own mirrors")]
    ForbiddenPath {
        /// The path.
        url: String,
    },
    /// The settings do not allow the protocol.
    #[error(
        "{url} was not contacted: the protocol {protocol} is not allowed here; an administrator can add it to the \
         setting vcs.protocols (KAPELLE_VCS__PROTOCOLS)"
    )]
    ProtocolNotAllowed {
        /// The repository.
        url: String,
        /// The protocol.
        protocol: Protocol,
    },
    /// The server redirects, and the way does not end at a repository we may use.
    #[error("{url} redirects, and the redirect was not followed: {detail}")]
    Redirected {
        /// The repository as it was asked for.
        url: String,
        /// Why it is not followed.
        detail: String,
    },
    /// More branches and tags than the limit.
    #[error("{url} has more than {limit} branches and tags; the limit is the setting vcs.max_refs")]
    TooManyRefs {
        /// The repository.
        url: String,
        /// The limit.
        limit: usize,
    },
    /// More files than the limit.
    #[error("the tree of {commit} has more than {limit} entries")]
    TooManyEntries {
        /// The commit.
        commit: String,
        /// The limit.
        limit: u64,
    },
    /// More bytes than the limit.
    #[error("{subject} is larger than {limit} bytes")]
    TooLarge {
        /// What is too large.
        subject: String,
        /// The limit in bytes.
        limit: u64,
    },
    /// A tree with a path that nobody should ever write to a disk.
    #[error("git cannot {doing}: its tree contains the path {path:?}")]
    DangerousTree {
        /// What was being done.
        doing: String,
        /// The path.
        path: String,
    },
    /// Folders within folders, deeper than git goes.
    #[error("git cannot {doing}: folders of its tree lie deeper within each other than git goes")]
    TooDeep {
        /// What was being done.
        doing: String,
    },
    /// It took too long.
    #[error("git was given {} s to {doing} and did not finish", limit.as_secs())]
    TimedOut {
        /// What was being done: "list the refs of …".
        doing: String,
        /// The limit.
        limit: Duration,
    },
    /// The connection broke, or the server failed.
    #[error("the exchange with {host} broke off while git tried to {doing}: {detail}")]
    Interrupted {
        /// The host with its port.
        host: String,
        /// What was being done.
        doing: String,
        /// What git said.
        detail: String,
    },
    /// A ref that was listed is gone when it is fetched.
    #[error("{url} changed while it was being fetched ({detail}); list its refs again")]
    Changed {
        /// The repository.
        url: String,
        /// What git said.
        detail: String,
    },
    /// The mirror does not have the commit.
    #[error("the mirror has no commit {commit}; synchronize the package")]
    CommitMissing {
        /// The commit.
        commit: String,
    },
    /// The mirror's files are damaged.
    #[error("the mirror {} is damaged and has to be fetched anew: {detail}", path.display())]
    Corrupt {
        /// The mirror.
        path: PathBuf,
        /// What git said.
        detail: String,
    },
    /// Another process works on the mirror for too long.
    #[error("the mirror {} is in use by another process", path.display())]
    Busy {
        /// The mirror.
        path: PathBuf,
    },
    /// A name that cannot be used: an object name, a path or a ref that is none.
    #[error("{subject:?} is not a valid {kind}")]
    InvalidName {
        /// What should have been named: "object name".
        kind: &'static str,
        /// What was given.
        subject: String,
    },
    /// The git command is not there.
    #[error(
        "git could not be started as {binary:?}: {source}; install git 2.39 or newer, or set vcs.git"
    )]
    GitMissing {
        /// The configured command.
        binary: String,
        /// What the system said.
        source: io::Error,
    },
    /// The git command is too old.
    #[error("git is version {found}; at least 2.39 is needed")]
    GitTooOld {
        /// What it says of itself.
        found: String,
    },
    /// Git failed in a way we do not know.
    #[error("git could not {doing}: {detail}")]
    GitFailed {
        /// What was being done.
        doing: String,
        /// What git said.
        detail: String,
    },
    /// A disk of ours is full, read-only or broken.
    #[error("this machine's disk did not take what git had to write to {doing}: {detail}")]
    Disk {
        /// What was being done.
        doing: String,
        /// What git said.
        detail: String,
    },
    /// Our own files.
    #[error("could not {doing}: {source}")]
    Io {
        /// What was being done.
        doing: String,
        /// What the system said.
        source: io::Error,
    },
}

impl VcsError {
    /// Whether only a person can change the outcome, so that trying again soon is of no use.
    pub fn is_permanent(&self) -> bool {
        !matches!(
            self,
            Self::Unreachable { .. }
                | Self::TimedOut { .. }
                | Self::Interrupted { .. }
                | Self::Changed { .. }
                | Self::Busy { .. }
                | Self::GitFailed { .. }
                | Self::Disk { .. }
                | Self::Io { .. }
        )
    }

    pub(crate) fn io(doing: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let doing = doing.into();
        move |source| Self::Io { doing, source }
    }
}
