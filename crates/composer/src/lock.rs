//! A project's composer.lock: which packages it installs, at which version, from where.

use serde_json::{Map, Value};
use thiserror::Error;

use crate::json::{InvalidJson, Limits, kind_of, parse_object};
use crate::text::shown;

/// What [`LockFile::parse`] accepts: 16 MiB, nested 64 levels deep.
pub const LOCK_LIMITS: Limits = Limits {
    bytes: 16 * 1024 * 1024,
    depth: 64,
};

/// The most packages that a lock file may list.
pub const MAX_LOCKED_PACKAGES: usize = 20_000;

/// A composer.lock of any Composer version since 1.0.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LockFile {
    /// Of `packages` and then of `packages-dev`, each in the file's order.
    pub packages: Vec<LockedPackage>,
    /// Which composer.json it was made for; `None` in files older than Composer 1.0.
    pub content_hash: Option<String>,
    /// What the project requires of the platform, `php` or `ext-json`, with the constraint.
    pub platform: Vec<(String, String)>,
    /// The same for development.
    pub platform_dev: Vec<(String, String)>,
    /// The plugin API of the Composer that wrote it, such as `2.6.0`; `None` before Composer 2.
    pub plugin_api_version: Option<String>,
}

/// One package of a lock file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LockedPackage {
    /// In lower case; otherwise as in the file.
    pub name: String,
    /// As people read it: `v1.0.0`, `dev-main`.
    pub version: String,
    /// Whether only development needs it (`packages-dev`).
    pub dev: bool,
    pub source: Option<Location>,
    pub dist: Option<Location>,
}

/// A `source` or `dist` of a locked package. All parts are as in the file and must not be trusted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Location {
    /// `git` for example, or `zip`.
    pub kind: String,
    pub url: String,
    pub reference: Option<String>,
}

/// Why a composer.lock could not be read.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum InvalidLock {
    #[error("composer.lock {0}")]
    Json(#[from] InvalidJson),
    #[error(
        "composer.lock has unresolved merge conflicts; resolve them and run \"composer update --lock\""
    )]
    MergeConflict,
    #[error(
        "composer.lock has no \"packages\"; check that it is a lock file, or run \"composer update\" to write a new one"
    )]
    NoPackages,
    #[error("composer.lock: \"{path}\" must be {expected}, but is {found}")]
    Type {
        path: String,
        expected: &'static str,
        found: &'static str,
    },
    #[error(
        "composer.lock: \"{path}\" is missing; run \"composer update\" to write a new lock file"
    )]
    Missing { path: String },
    #[error("composer.lock lists more than {MAX_LOCKED_PACKAGES} packages, which is not accepted")]
    TooManyPackages,
}

impl LockFile {
    /// Reads a composer.lock within [`LOCK_LIMITS`].
    pub fn parse(bytes: &[u8]) -> Result<Self, InvalidLock> {
        Self::parse_within(bytes, LOCK_LIMITS)
    }

    /// Reads a composer.lock within other limits.
    pub fn parse_within(bytes: &[u8], limits: Limits) -> Result<Self, InvalidLock> {
        let lock = parse_object(bytes, limits).map_err(|error| match error {
            InvalidJson::Syntax { .. } if has_conflict_marker(bytes) => InvalidLock::MergeConflict,
            error => InvalidLock::Json(error),
        })?;
        if lock.get("packages").is_none_or(Value::is_null) {
            return Err(InvalidLock::NoPackages);
        }
        let mut packages = locked_packages(&lock, "packages", false)?;
        packages.extend(locked_packages(&lock, "packages-dev", true)?);
        if packages.len() > MAX_LOCKED_PACKAGES {
            return Err(InvalidLock::TooManyPackages);
        }
        Ok(Self {
            packages,
            content_hash: text(&lock, "content-hash"),
            platform: platform(&lock, "platform"),
            platform_dev: platform(&lock, "platform-dev"),
            plugin_api_version: text(&lock, "plugin-api-version"),
        })
    }
}

fn locked_packages(
    lock: &Map<String, Value>,
    section: &str,
    dev: bool,
) -> Result<Vec<LockedPackage>, InvalidLock> {
    match lock.get(section) {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(Value::Object(map)) if map.is_empty() => Ok(Vec::new()),
        Some(Value::Array(list)) => list
            .iter()
            .enumerate()
            .map(|(index, entry)| locked_package(entry, &format!("{section}.{index}"), dev))
            .collect(),
        Some(other) => Err(wrong_type(section, "a list", other)),
    }
}

fn locked_package(entry: &Value, path: &str, dev: bool) -> Result<LockedPackage, InvalidLock> {
    let Value::Object(entry) = entry else {
        return Err(wrong_type(path, "a map", entry));
    };
    let required = |key: &str| {
        text(entry, key).ok_or_else(|| match entry.get(key) {
            None | Some(Value::Null) => InvalidLock::Missing {
                path: format!("{path}.{key}"),
            },
            Some(other) => wrong_type(&format!("{path}.{key}"), "a string", other),
        })
    };
    Ok(LockedPackage {
        name: required("name")?.to_ascii_lowercase(),
        version: required("version")?,
        dev,
        source: entry.get("source").and_then(location),
        dist: entry.get("dist").and_then(location),
    })
}

/// A place that has at least a type and a URL; packages of type `metapackage` have none.
fn location(value: &Value) -> Option<Location> {
    let value = value.as_object()?;
    Some(Location {
        kind: text(value, "type")?,
        url: text(value, "url")?,
        reference: text(value, "reference"),
    })
}

fn platform(lock: &Map<String, Value>, section: &str) -> Vec<(String, String)> {
    lock.get(section)
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
        .filter_map(|(name, constraint)| {
            Some((name.to_ascii_lowercase(), constraint.as_str()?.to_owned()))
        })
        .collect()
}

/// A string, or a number as its text, as PHP casts it.
fn text(map: &Map<String, Value>, key: &str) -> Option<String> {
    match map.get(key)? {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

fn wrong_type(path: &str, expected: &'static str, value: &Value) -> InvalidLock {
    InvalidLock::Type {
        path: shown(path),
        expected,
        found: kind_of(value),
    }
}

fn has_conflict_marker(bytes: &[u8]) -> bool {
    bytes
        .split(|byte| *byte == b'\n')
        .any(|line| line.starts_with(b"<<<<<<< "))
}
