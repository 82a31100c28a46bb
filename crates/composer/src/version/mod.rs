//! Composer's versions: how they are written, normalized and ordered.

mod alias;
pub(crate) mod grammar;
mod normalize;
mod order;
mod stability;

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;

pub use alias::{branch_alias, normalized_branch_alias, numeric_alias_prefix};
pub use normalize::{InvalidVersion, MAX_LENGTH, normalize, normalize_branch};
pub use order::compare;
pub use stability::{InvalidStability, Stability};

/// A normalized version, ready to be compared: `1.2.0.0-beta2`, `dev-main`.
///
/// Equal when the text is equal. Ordered as PHP's `version_compare` orders, made total: all
/// branches come before all numbers, branches by name, and numbers that PHP calls equal
/// (`1.0.0.0` and `01.0.0.0`) by their text.
#[derive(Debug, Clone)]
pub struct Version {
    text: Box<str>,
    /// One comparable number per segment, see `order`.
    keys: Box<[u64]>,
    branch: bool,
}

impl Version {
    /// Normalizes and parses what people write, see [`normalize`].
    pub fn parse(version: &str) -> Result<Self, InvalidVersion> {
        Ok(Self::from_text(normalize(version)?))
    }

    /// The version of a branch, see [`normalize_branch`].
    pub fn branch(name: &str) -> Self {
        Self::from_text(normalize_branch(name))
    }

    /// Takes text that is normalized already, without checking it.
    pub fn from_normalized(version: &str) -> Self {
        Self::from_text(version.to_owned())
    }

    pub(crate) fn from_text(text: String) -> Self {
        Self {
            keys: order::keys(&text),
            branch: text.starts_with("dev-"),
            text: text.into_boxed_str(),
        }
    }

    /// The normalized text.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// How finished the version claims to be.
    pub fn stability(&self) -> Stability {
        Stability::of(&self.text)
    }

    /// Whether this is a branch without a number (`dev-main`), which equals only itself.
    pub fn is_branch(&self) -> bool {
        self.branch
    }

    /// Whether this is a development version: `dev-main`, `1.0.9999999.9999999-dev`, `1.0.0.0-dev`.
    pub fn is_dev(&self) -> bool {
        self.stability() == Stability::Dev
    }

    /// PHP's `version_compare`: equal for `1.0.0.0` and `01.0.0.0`. Meaningless for branches.
    pub(crate) fn compare(&self, other: &Self) -> Ordering {
        order::compare_keys(&self.keys, &other.keys)
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl FromStr for Version {
    type Err = InvalidVersion;

    fn from_str(version: &str) -> Result<Self, Self::Err> {
        Self::parse(version)
    }
}

impl PartialEq for Version {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Version {}

impl Hash for Version {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.text.hash(state);
    }
}

impl PartialOrd for Version {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Version {
    fn cmp(&self, other: &Self) -> Ordering {
        let by_number = match (self.branch, other.branch) {
            (true, true) => Ordering::Equal,
            (false, false) => self.compare(other),
            (mine, theirs) => theirs.cmp(&mine),
        };
        by_number.then_with(|| self.text.cmp(&other.text))
    }
}
