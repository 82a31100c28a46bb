//! Package names: `vendor/project`, by the rule that newer Composer clients enforce on every install.

use std::fmt;
use std::str::FromStr;
use std::sync::LazyLock;

use regex::Regex;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use thiserror::Error;

use crate::text::shown;

/// The longest name accepted, in bytes. Composer has no limit; a URL and a database index do.
pub const MAX_NAME_BYTES: usize = 255;

/// Names that Windows keeps for devices; neither half of a package name may be one.
const DEVICES: [&str; 22] = [
    "nul", "con", "prn", "aux", "com1", "com2", "com3", "com4", "com5", "com6", "com7", "com8",
    "com9", "lpt1", "lpt2", "lpt3", "lpt4", "lpt5", "lpt6", "lpt7", "lpt8", "lpt9",
];

/// A valid, lower-case package name such as `acme/http-client`.
///
/// The rule is that of Composer's `ValidatingArrayLoader`:
/// `^[a-z0-9]([_.-]?[a-z0-9]+)*/[a-z0-9](([_.]|-{1,2})?[a-z0-9]+)*$`, no `.json` at the end and no
/// Windows device name. Composer 2.10.2 aborts a whole run that resolves to any other name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PackageName(String);

/// Why a string is not a package name, and what would be.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum InvalidName {
    #[error(
        "\"{name}\" is not a package name; it needs a vendor, one slash and a project, each made of lower-case letters and digits that single \"-\", \"_\" or \".\" may join"
    )]
    Shape { name: String },
    #[error(
        "\"{name}\" is not a package name because of its upper-case letters; use \"{suggestion}\""
    )]
    UpperCase { name: String, suggestion: String },
    #[error(
        "\"{name}\" is not a package name: \"{part}\" is a device on Windows; choose another word"
    )]
    Device { name: String, part: String },
    #[error("\"{name}\" is not a package name: it may not end in \".json\"; \"-json\" would do")]
    JsonEnding { name: String },
    #[error(
        "\"{name}\" is not a package name: it has {bytes} bytes, but only {MAX_NAME_BYTES} are accepted"
    )]
    TooLong { name: String, bytes: usize },
}

impl PackageName {
    /// Reads a name as a composer.json declares it. Upper case is refused, with a suggestion.
    pub fn parse(name: &str) -> Result<Self, InvalidName> {
        if name.len() > MAX_NAME_BYTES {
            return Err(InvalidName::TooLong {
                name: shown(name),
                bytes: name.len(),
            });
        }
        let lower = name.to_ascii_lowercase();
        let Some((vendor, project)) = split(&lower) else {
            return Err(InvalidName::Shape { name: shown(name) });
        };
        let name = name.to_owned();
        if let Some(device) = DEVICES.iter().find(|d| **d == vendor || **d == project) {
            return Err(InvalidName::Device {
                name,
                part: (*device).to_owned(),
            });
        }
        if matches!(project.rsplit_once('.'), Some((_, "json"))) {
            return Err(InvalidName::JsonEnding { name });
        }
        if lower != name {
            return Err(InvalidName::UpperCase {
                suggestion: hyphenated(&name),
                name,
            });
        }
        Ok(Self(name))
    }

    /// Reads a name that somebody asks for. Composer looks names up in lower case, so case is forgiven.
    pub fn lookup(name: &str) -> Result<Self, InvalidName> {
        Self::parse(&name.to_ascii_lowercase())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The part before the slash.
    pub fn vendor(&self) -> &str {
        self.halves().0
    }

    /// The part after the slash.
    pub fn project(&self) -> &str {
        self.halves().1
    }

    fn halves(&self) -> (&str, &str) {
        self.0
            .split_once('/')
            .expect("parse accepts only names with a slash")
    }
}

/// Whether a name means the platform and not a package: `php`, `hhvm`, `ext-…`, `lib-…`, `composer`,
/// `composer-plugin-api` and the like. Composer never asks a repository for these; case is ignored.
pub fn is_platform(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    if let Some(rest) = name
        .strip_prefix("ext-")
        .or_else(|| name.strip_prefix("lib-"))
    {
        return are_words(rest, false);
    }
    matches!(
        name.as_str(),
        "php"
            | "php-64bit"
            | "php-ipv6"
            | "php-zts"
            | "php-debug"
            | "hhvm"
            | "composer"
            | "composer-plugin-api"
            | "composer-runtime-api"
    )
}

fn split(name: &str) -> Option<(&str, &str)> {
    name.split_once('/')
        .filter(|(vendor, project)| are_words(vendor, false) && are_words(project, true))
}

/// Words of letters and digits, joined by one `.`, `_` or `-`, or by `--` where that is allowed.
fn are_words(part: &str, double_hyphen: bool) -> bool {
    let mut rest = part;
    loop {
        match rest.find(|c: char| !c.is_ascii_lowercase() && !c.is_ascii_digit()) {
            None => return !rest.is_empty(),
            Some(0) => return false,
            Some(end) => rest = &rest[end..],
        }
        let joint = match rest.as_bytes() {
            [b'-', b'-', ..] if double_hyphen => 2,
            [b'-' | b'_' | b'.', ..] => 1,
            _ => return false,
        };
        rest = &rest[joint..];
    }
}

/// `AcmeCorp/HTTPClient` as `acme-corp/http-client`, the way Composer suggests it.
fn hyphenated(name: &str) -> String {
    static HUMP: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new("([a-z])([A-Z])|([A-Z])([A-Z][a-z])").expect("the pattern is valid")
    });
    HUMP.replace_all(name, "${1}${3}-${2}${4}")
        .to_ascii_lowercase()
}

impl fmt::Display for PackageName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl AsRef<str> for PackageName {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl FromStr for PackageName {
    type Err = InvalidName;

    fn from_str(name: &str) -> Result<Self, InvalidName> {
        Self::parse(name)
    }
}

impl Serialize for PackageName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for PackageName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        Self::parse(&name).map_err(de::Error::custom)
    }
}
