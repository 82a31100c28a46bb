//! Where a setting's value comes from.

use std::fmt;

/// Where a value comes from; later ones win over earlier ones.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Origin {
    /// Nobody has set it.
    #[default]
    Default,
    /// The file, with the line.
    File {
        /// Its path.
        path: String,
        /// Counted from 1.
        line: usize,
    },
    /// This environment variable.
    Environment(String),
    /// This flag of the command line.
    Flag(&'static str),
}

/// As error messages begin and `config show` tells it.
impl fmt::Display for Origin {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => formatter.write_str("default"),
            Self::File { path, line } => write!(formatter, "{path}:{line}"),
            Self::Environment(name) => formatter.write_str(name),
            Self::Flag(name) => formatter.write_str(name),
        }
    }
}
