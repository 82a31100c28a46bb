//! Why an archive is refused, in sentences.

use std::io;

use crate::root_file::ArchiveKind;

/// Why an archive could not be read or written. Names are shown with their special characters escaped.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// Reading the archive failed.
    #[error("the archive could not be read: {0}")]
    Read(#[source] io::Error),
    /// Writing the archive, or the temporary file beside it, failed.
    #[error("the archive could not be written: {0}")]
    Write(#[source] io::Error),
    /// The first bytes are of no known format.
    #[error("the file is no archive that is understood: zip, tar and tar.gz are")]
    UnknownFormat,
    /// The archive contradicts itself, is cut short, or uses what nobody needs.
    #[error("the archive is damaged: {reason}")]
    Damaged {
        /// What is wrong, with the entry's name where there is one.
        reason: String,
    },
    /// An entry's name could lead elsewhere or cannot be shown.
    #[error("the archive contains the path {name:?}, which {problem}")]
    Name {
        /// The name found.
        name: String,
        /// What is wrong with it, as a predicate: "is absolute".
        problem: &'static str,
    },
    /// Two entries have the same name, or one is a directory where another is a file.
    #[error("the archive contains {name:?} twice, perhaps in different case")]
    Duplicate {
        /// The later of the two names.
        name: String,
    },
    /// A symbolic link that points out of the archive.
    #[error(
        "the archive contains the symbolic link {name:?}, which points out of it to {target:?}"
    )]
    EscapingLink {
        /// The link.
        name: String,
        /// Where it points.
        target: String,
    },
    /// A device, a pipe, a hard link, a sparse file.
    #[error(
        "the archive contains {name:?}, which is {kind}; files, directories and symbolic links are allowed"
    )]
    UnsupportedEntry {
        /// The entry.
        name: String,
        /// What it is, with its article.
        kind: &'static str,
    },
    /// An encrypted entry.
    #[error("the archive contains {name:?} in encrypted form; upload it without a password")]
    Encrypted {
        /// The entry.
        name: String,
    },
    /// A compression other than stored and deflate.
    #[error(
        "the archive contains {name:?} compressed by method {method}; only stored and deflated files are read"
    )]
    Method {
        /// The entry.
        name: String,
        /// The number of the method in the zip format.
        method: u16,
    },
    /// More entries than allowed.
    #[error("the archive has more than {limit} entries")]
    TooManyEntries {
        /// The limit.
        limit: u64,
    },
    /// Paths that are long and many: all of them are held in memory.
    #[error("the paths in the archive are longer than {limit} bytes together")]
    LongNames {
        /// The limit in bytes.
        limit: u64,
    },
    /// More bytes than allowed after unpacking.
    #[error("the archive unpacks to more than {limit} bytes")]
    TooLargeUnpacked {
        /// The limit in bytes.
        limit: u64,
    },
    /// More bytes than allowed as an archive.
    #[error("the archive is larger than {limit} bytes")]
    TooLargePacked {
        /// The limit in bytes.
        limit: u64,
    },
    /// It inflates like nothing honest does.
    #[error("the archive unpacks to more than {limit} times its size")]
    Ratio {
        /// The limit, as a factor.
        limit: u64,
    },
    /// The file looked for is too large.
    #[error("{name:?} in the archive is larger than {limit} bytes")]
    RootFileTooLarge {
        /// The file.
        name: String,
        /// The limit in bytes.
        limit: u64,
    },
    /// The file looked for is not there.
    #[error("the archive has no {name} at its root, nor in a single top directory")]
    NoRootFile {
        /// The file.
        name: String,
        /// What the archive is, which can be read to its end.
        kind: ArchiveKind,
    },
}

impl ArchiveError {
    /// An error of reading; one of ours that travelled inside it comes out again.
    pub(crate) fn reading(error: io::Error) -> Self {
        match error.downcast::<Self>() {
            Ok(ours) => ours,
            Err(error) => match error.kind() {
                io::ErrorKind::UnexpectedEof => Self::damaged("it ends too early"),
                io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput => {
                    Self::damaged(error.to_string())
                }
                _ => Self::Read(error),
            },
        }
    }

    pub(crate) fn damaged(reason: impl Into<String>) -> Self {
        Self::Damaged {
            reason: reason.into(),
        }
    }
}
