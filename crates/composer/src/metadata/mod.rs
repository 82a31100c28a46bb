//! What a repository serves about a package's versions: the objects, and the `p2` file around them.

mod document;

use serde_json::{Map, Value, json};
use time::OffsetDateTime;

pub use document::{Document, Place};

use crate::manifest::{Abandoned, Manifest};
use crate::minify::UNSET;
use crate::name::PackageName;
use crate::text::printable;

/// Where a version's files are under version control.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Source<'a> {
    /// `git`, `hg` or `svn`.
    pub kind: &'a str,
    /// A complete URL without credentials: it ends up in lock files.
    pub url: &'a str,
    /// The commit.
    pub reference: &'a str,
}

/// Where a version's archive is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dist<'a> {
    /// `zip` or `tar`.
    pub kind: &'a str,
    /// A complete URL that works for years and carries no secret: it ends up in lock files.
    pub url: &'a str,
    /// The commit.
    pub reference: &'a str,
    /// The archive's SHA-1 in lower-case hexadecimal, or `""` for "not known yet".
    pub shasum: &'a str,
}

/// Everything that goes into the object of one version.
///
/// The object starts from composer.json as committed, unknown keys included, except:
/// - Keys that the registry decides about are replaced or, where the field is `None`, removed: `name`, `version`,
///   `version_normalized`, `source`, `dist`, `default-branch`, `abandoned`, `notification-url`.
///   (A composer.json may carry its own `source` and `dist`; Composer would follow them anywhere.)
/// - Keys that only describe an installation or another registry's bookkeeping are removed:
///   `installation-source`, `transport-options`, `uid`, `published-time`.
/// - Keys that Composer reads in the root project only are removed, as packagist.org does: `config`,
///   `repositories`, `minimum-stability`, `prefer-stable`, `scripts`, `scripts-descriptions`,
///   `scripts-aliases`. `require-dev` and `autoload-dev` stay: both end up in lock files.
/// - A key whose value is the minifier's `__unset` is removed, as it could not be told apart.
///
/// Terminal control characters are taken out of the keys that Composer prints.
#[derive(Debug, Clone, Copy)]
pub struct VersionObject<'a> {
    pub manifest: &'a Manifest,
    /// The package's name, whatever the manifest of an old version says.
    pub name: &'a PackageName,
    /// As people read it: `v1.0.0`, `dev-main`.
    pub version: &'a str,
    /// As versions are compared. `9999999-dev`, an alias of old clients, is not served.
    pub normalized: &'a str,
    pub source: Option<Source<'a>>,
    pub dist: Option<Dist<'a>>,
    /// When it was released, in milliseconds since 1970; a `time` in composer.json wins, as in Composer.
    pub time: Option<i64>,
    pub default_branch: bool,
    /// What the package as a whole is; what the manifest of an old version says does not count.
    pub abandoned: Option<&'a Abandoned>,
    pub notification_url: Option<&'a str>,
}

/// Composer's own order of keys in lock files. Keys that are not listed follow as committed.
const ORDER: [&str; 29] = [
    "name",
    "version",
    "version_normalized",
    "target-dir",
    "source",
    "dist",
    "require",
    "conflict",
    "provide",
    "replace",
    "require-dev",
    "suggest",
    "time",
    "default-branch",
    "bin",
    "type",
    "extra",
    "autoload",
    "autoload-dev",
    "notification-url",
    "include-path",
    "php-ext",
    "archive",
    "license",
    "authors",
    "description",
    "homepage",
    "keywords",
    "support",
];

/// Keys of composer.json that are not taken over.
const LEFT_OUT: [&str; 19] = [
    "name",
    "version",
    "version_normalized",
    "source",
    "dist",
    "default-branch",
    "abandoned",
    "notification-url",
    "installation-source",
    "transport-options",
    "uid",
    "published-time",
    "config",
    "repositories",
    "minimum-stability",
    "prefer-stable",
    "scripts",
    "scripts-descriptions",
    "scripts-aliases",
];

/// Keys whose texts Composer prints.
const PRINTED: [&str; 9] = [
    "type",
    "suggest",
    "license",
    "authors",
    "description",
    "homepage",
    "keywords",
    "support",
    "funding",
];

impl VersionObject<'_> {
    /// The object, its keys in the order of Composer's lock files, then all others as committed.
    pub fn build(&self) -> Map<String, Value> {
        let mut values = self.committed();
        self.decide(&mut values);
        let mut object = Map::with_capacity(values.len());
        for key in ORDER {
            if let Some(value) = values.shift_remove(key) {
                object.insert(key.to_owned(), value);
            }
        }
        object.extend(values);
        object
    }

    fn committed(&self) -> Map<String, Value> {
        self.manifest
            .raw()
            .iter()
            .filter(|(key, value)| !LEFT_OUT.contains(&key.as_str()) && **value != UNSET)
            .map(|(key, value)| {
                let value = if PRINTED.contains(&key.as_str()) {
                    printable_value(value)
                } else {
                    value.clone()
                };
                (key.clone(), value)
            })
            .collect()
    }

    fn decide(&self, values: &mut Map<String, Value>) {
        let mut set = |key: &str, value: Value| values.insert(key.to_owned(), value);
        set("name", self.name.as_str().into());
        set("version", self.version.into());
        if self.normalized != "9999999-dev" {
            set("version_normalized", self.normalized.into());
        }
        if let Some(source) = self.source {
            set(
                "source",
                json!({"type": source.kind, "url": source.url, "reference": source.reference}),
            );
        }
        if let Some(dist) = self.dist {
            set(
                "dist",
                json!({
                    "type": dist.kind,
                    "url": dist.url,
                    "reference": dist.reference,
                    "shasum": dist.shasum,
                }),
            );
        }
        if self.default_branch {
            set("default-branch", true.into());
        }
        if let Some(url) = self.notification_url {
            set("notification-url", url.into());
        }
        if let Some(abandoned) = self.abandoned {
            set("abandoned", abandoned.to_value());
        }
        let committed_time =
            matches!(values.get("time"), Some(Value::String(time)) if !time.is_empty());
        if !committed_time {
            values.shift_remove("time");
            if let Some(time) = self.time.and_then(rfc3339) {
                values.insert("time".to_owned(), time.into());
            }
        }
    }
}

/// A time as PHP's `DATE_RFC3339` prints it. `None` for years that it cannot print.
fn rfc3339(milliseconds: i64) -> Option<String> {
    let time = OffsetDateTime::from_unix_timestamp(milliseconds.div_euclid(1000)).ok()?;
    (0..=9999).contains(&time.year()).then(|| {
        format!(
            "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}+00:00",
            time.year(),
            u8::from(time.month()),
            time.day(),
            time.hour(),
            time.minute(),
            time.second()
        )
    })
}

fn printable_value(value: &Value) -> Value {
    match value {
        Value::String(text) => printable(text).into(),
        Value::Array(list) => list.iter().map(printable_value).collect(),
        Value::Object(map) => map
            .iter()
            .map(|(key, value)| (printable(key), printable_value(value)))
            .collect(),
        other => other.clone(),
    }
}
