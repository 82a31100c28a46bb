//! Why a text is no repository URL, as sentences.

use crate::protocol::Protocol;

/// The longest URL taken, in bytes.
pub(crate) const MAX_LENGTH: usize = 2048;

/// Why a text is refused as a repository URL. None of the sentences repeats the whole text: it may hold a secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidUrl {
    /// Nothing was given.
    #[error("the repository URL is empty")]
    Empty,
    /// More than 2 KiB.
    #[error("the repository URL is longer than {MAX_LENGTH} bytes")]
    TooLong,
    /// It, its user, host or path would be taken for an option by some program.
    #[error("the {part} begins with \"-\" and could be taken for an option; it was refused")]
    LikeOption {
        /// Which part of the URL.
        part: &'static str,
    },
    /// Spaces and control characters never belong into a URL.
    #[error("the repository URL contains a space or a control character; write a space as %20")]
    Character,
    /// Drive letters and backslashes.
    #[error("Windows paths are not supported; give the URL of a server")]
    WindowsPath,
    /// `name::address`
    #[error(
        "the repository URL names the git remote helper {name:?}; helpers run programs and are never used"
    )]
    RemoteHelper {
        /// The helper's name, such as "ext".
        name: String,
    },
    /// Not one of our protocols.
    #[error(
        "the scheme {scheme:?} is not known; use https://host/path, ssh://user@host/path or user@host:path"
    )]
    UnknownScheme {
        /// The scheme as far as it is one, in lower case.
        scheme: String,
    },
    /// The settings do not allow the protocol.
    #[error(
        "the protocol {protocol} is not allowed here; an administrator can add it to the setting vcs.protocols \
         (KAPELLE_VCS__PROTOCOLS)"
    )]
    NotAllowed {
        /// The protocol asked for.
        protocol: Protocol,
    },
    /// Neither a URL nor an absolute path.
    #[error(
        "the repository URL is neither a URL nor an absolute path; use https://host/path, ssh://user@host/path \
         or user@host:path"
    )]
    Relative,
    /// User information where only a secret can be meant.
    #[error(
        "the repository URL contains a user name, password or token; leave it out and store it with \
         `kapelle credential add`"
    )]
    Secret,
    /// The user of an ssh URL.
    #[error("the user in the repository URL may only contain letters, digits and . _ + -")]
    User,
    /// No host, or no valid one.
    #[error("the repository URL has no valid host name")]
    Host,
    /// Zero, too large or no number.
    #[error("the port in the repository URL is not a number from 1 to 65535")]
    Port,
    /// Only a host.
    #[error("the repository URL names a host but no repository on it")]
    NoPath,
    /// `.` or `..`, also when encoded, or an encoding that hides something.
    #[error(
        "the path of the repository URL contains \".\" or \"..\" or an encoded slash or control character"
    )]
    Path,
    /// `?` and `#`.
    #[error("the repository URL contains \"?\" or \"#\"; give the address that `git clone` takes")]
    Query,
}
