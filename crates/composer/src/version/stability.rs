//! How finished a version claims to be.

use std::fmt;
use std::str::FromStr;

use super::grammar::{before_end, last_line, modifier};

/// A stability, from the least to the most finished.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stability {
    Dev,
    Alpha,
    Beta,
    Rc,
    Stable,
}

/// A word that names no stability.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("Invalid stability string \"{0}\", expected one of stable, RC, beta, alpha or dev")]
pub struct InvalidStability(String);

impl Stability {
    /// The stability of a version string, normalized or not: never fails, `stable` in doubt.
    ///
    /// Patch levels (`1.0-p1`) are stable; what follows a `#` or a `+` does not count.
    pub fn of(version: &str) -> Self {
        let line = before_end(version);
        let is_whole = line.len() == version.len();
        let version = without_reference(line);
        if version.starts_with("dev-") || (is_whole && version.ends_with("-dev")) {
            return Self::Dev;
        }
        let last_line = last_line(version);
        let Some(found) = version
            .char_indices()
            .map(|(at, _)| modifier(&version[at..]))
            .find(|(_, rest)| {
                // Nothing, or build metadata up to the end of the last line.
                rest.is_empty() || (rest.starts_with('+') && rest.len() <= last_line.len())
            })
            .map(|(found, _)| found)
        else {
            return Self::Stable;
        };
        if found.dev {
            return Self::Dev;
        }
        match found.word.to_ascii_lowercase().as_str() {
            "a" | "alpha" => Self::Alpha,
            "b" | "beta" => Self::Beta,
            "rc" => Self::Rc,
            _ => Self::Stable,
        }
    }

    /// Composer's spelling: `dev`, `alpha`, `beta`, `RC` or `stable`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Dev => "dev",
            Self::Alpha => "alpha",
            Self::Beta => "beta",
            Self::Rc => "RC",
            Self::Stable => "stable",
        }
    }
}

/// Drops a `#reference` from the last line.
fn without_reference(version: &str) -> &str {
    let start = version.len() - last_line(version).len();
    match version[start..].find('#') {
        Some(at) if start + at + 1 < version.len() => &version[..start + at],
        _ => version,
    }
}

impl fmt::Display for Stability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Stability {
    type Err = InvalidStability;

    /// Reads a stability name in any case.
    fn from_str(name: &str) -> Result<Self, Self::Err> {
        [Self::Dev, Self::Alpha, Self::Beta, Self::Rc, Self::Stable]
            .into_iter()
            .find(|stability| stability.as_str().eq_ignore_ascii_case(name))
            .ok_or_else(|| InvalidStability(name.to_owned()))
    }
}
