//! A composer.json as committed: everything in it is kept, with typed views of what we need.

mod check;
mod links;

use std::sync::LazyLock;

use serde_json::{Map, Value};
use thiserror::Error;

pub use links::Link;

use crate::json::{InvalidJson, Limits, parse_object};
use crate::name::{InvalidName, PackageName};
use crate::text::printable;

/// What [`Manifest::parse`] accepts: 1 MiB, nested 64 levels deep.
pub const MANIFEST_LIMITS: Limits = Limits {
    bytes: 1024 * 1024,
    depth: 64,
};

/// A package's composer.json.
///
/// PHP makes no difference between `[]` and `{}`, so every view takes an empty list for an empty map.
#[derive(Debug, Clone, PartialEq)]
pub struct Manifest {
    raw: Map<String, Value>,
    version: Option<String>,
}

/// What is wrong with a composer.json.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ManifestError {
    #[error("composer.json {0}")]
    Json(#[from] InvalidJson),
    #[error("composer.json has no \"name\"; add one such as \"vendor/project\"")]
    NameMissing,
    #[error("composer.json: {0}")]
    Name(#[from] InvalidName),
    #[error("composer.json: \"{path}\" must be {expected}, but is {found}")]
    Type {
        path: String,
        expected: &'static str,
        found: &'static str,
    },
    #[error(
        "composer.json: \"{section}\" contains \"{name}\", which is not a package name; remove or correct it"
    )]
    LinkName { section: Link, name: String },
    #[error(
        "composer.json: \"{section}\" asks for version \"{constraint}\" of \"{name}\": {problem}"
    )]
    Constraint {
        section: Link,
        name: String,
        constraint: String,
        problem: String,
    },
    #[error(
        "composer.json: \"bin\" contains \"{path}\", which leaves the package; remove the \"..\""
    )]
    BinPath { path: String },
}

/// That a package is abandoned, as its composer.json or an operator says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Abandoned {
    WithoutReplacement,
    ReplacedBy(String),
}

impl Abandoned {
    /// The value of `abandoned` as Composer reads it: `true` or the replacement's name.
    pub fn to_value(&self) -> Value {
        match self {
            Self::WithoutReplacement => Value::Bool(true),
            Self::ReplacedBy(name) => Value::String(name.clone()),
        }
    }
}

impl Manifest {
    /// Reads a composer.json within [`MANIFEST_LIMITS`]. Only the JSON is judged; see [`Self::check`].
    pub fn parse(bytes: &[u8]) -> Result<Self, ManifestError> {
        Self::parse_within(bytes, MANIFEST_LIMITS)
    }

    /// Reads a composer.json within other limits.
    pub fn parse_within(bytes: &[u8], limits: Limits) -> Result<Self, ManifestError> {
        Ok(Self::from(parse_object(bytes, limits)?))
    }

    /// Everything, in the order it was written in.
    pub fn raw(&self) -> &Map<String, Value> {
        &self.raw
    }

    /// Whether it says nothing at all (`{}` or `[]`), which Composer treats as no composer.json.
    pub fn is_empty(&self) -> bool {
        self.raw.is_empty()
    }

    /// The declared name, unchecked; `None` also when it is no string.
    pub fn name(&self) -> Option<&str> {
        self.text("name")
    }

    /// The declared name, checked.
    pub fn package_name(&self) -> Result<PackageName, ManifestError> {
        match self.set("name") {
            None => Err(ManifestError::NameMissing),
            Some(Value::String(name)) if name.trim().is_empty() => Err(ManifestError::NameMissing),
            Some(Value::String(name)) => Ok(PackageName::parse(name)?),
            Some(other) => Err(check::wrong_type("name", "a string", other)),
        }
    }

    /// The declared version, unchecked. A number counts as its text, as in Composer.
    pub fn version(&self) -> Option<&str> {
        self.version.as_deref()
    }

    /// The package type in lower case, `library` when there is none.
    pub fn kind(&self) -> String {
        self.text("type").unwrap_or("library").to_ascii_lowercase()
    }

    /// The description without terminal control characters; `None` when empty.
    pub fn description(&self) -> Option<String> {
        self.text("description")
            .map(printable)
            .filter(|text| !text.trim().is_empty())
    }

    /// The keywords without terminal control characters.
    pub fn keywords(&self) -> Vec<String> {
        self.set("keywords")
            .map(strings)
            .unwrap_or_default()
            .into_iter()
            .map(printable)
            .collect()
    }

    /// `extra.branch-alias`: what development versions are also known as.
    pub fn branch_aliases(&self) -> &Map<String, Value> {
        static NONE: LazyLock<Map<String, Value>> = LazyLock::new(Map::new);
        self.set("extra")
            .and_then(|extra| extra.get("branch-alias"))
            .and_then(Value::as_object)
            .unwrap_or(&NONE)
    }

    /// `archive.exclude`: the patterns of files that stay out of the dist. What is no string is left out.
    pub fn archive_excludes(&self) -> Vec<String> {
        self.set("archive")
            .and_then(|archive| archive.get("exclude"))
            .map(strings)
            .unwrap_or_default()
            .into_iter()
            .map(str::to_owned)
            .collect()
    }

    /// Whether the package declares itself abandoned. `false`, `""` and `"0"` mean no, as in PHP.
    pub fn abandoned(&self) -> Option<Abandoned> {
        match self.set("abandoned")? {
            Value::Bool(true) => Some(Abandoned::WithoutReplacement),
            Value::String(name) if !matches!(name.as_str(), "" | "0") => {
                Some(Abandoned::ReplacedBy(printable(name)))
            }
            _ => None,
        }
    }

    /// A value that is present and not null: what PHP's `isset` asks.
    fn set(&self, key: &str) -> Option<&Value> {
        self.raw.get(key).filter(|value| !value.is_null())
    }

    fn text(&self, key: &str) -> Option<&str> {
        self.raw.get(key).and_then(Value::as_str)
    }
}

impl From<Map<String, Value>> for Manifest {
    fn from(raw: Map<String, Value>) -> Self {
        let version = match raw.get("version") {
            Some(Value::String(version)) => Some(version.clone()),
            Some(Value::Number(number)) => Some(number.to_string()),
            _ => None,
        };
        Self { raw, version }
    }
}

/// The strings of a list, of a map's values, or one string alone.
fn strings(value: &Value) -> Vec<&str> {
    match value {
        Value::String(text) => vec![text],
        Value::Array(list) => list.iter().filter_map(Value::as_str).collect(),
        Value::Object(map) => map.values().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}
