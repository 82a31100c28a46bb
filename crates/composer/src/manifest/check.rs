//! What in a composer.json would make Composer refuse the package's whole file, all versions of it.
//!
//! One bad version hides all others from every user, so such a version is not published. What
//! Composer's `ArrayLoader` puts up with is kept. Stricter than Composer in two points:
//! terminal control characters in link names and constraints are refused, because Composer prints
//! them; and a package's links to itself, which Composer skips unread, are judged like all others,
//! because an old version may be served under another name than its own.

use serde_json::Value;

use super::{Link, Manifest, ManifestError};
use crate::constraint::Constraint;
use crate::json::kind_of;
use crate::text::{is_printable, shown};

const A_MAP: &str = "a map";
const A_STRING: &str = "a string";

impl Manifest {
    /// The first thing that would break the package for all its users, whatever the version.
    ///
    /// `name`, `version`, `source`, `dist` and the other keys that a registry sets itself, and those that it
    /// does not serve (see [`VersionObject`](crate::metadata::VersionObject)), are not judged.
    pub fn check(&self) -> Result<(), ManifestError> {
        for section in Link::ALL {
            self.check_links(section)?;
        }
        for key in ["type", "target-dir"] {
            self.check_type(key, A_STRING, Value::is_string)?;
        }
        for key in [
            "autoload",
            "autoload-dev",
            "include-path",
            "php-ext",
            "support",
        ] {
            self.check_type(key, A_MAP, is_map_or_list)?;
        }
        self.check_bin()?;
        self.check_elements("suggest", A_STRING, Value::is_string)?;
        self.check_elements("keywords", A_STRING, |value| !is_map_or_list(value))?;
        self.check_archive()
    }

    /// [`Self::check`], and what depends on the version that it is published as: `self.version` must
    /// be a constraint, and a development version's branch aliases must be strings.
    pub fn check_as(&self, version: &str) -> Result<(), ManifestError> {
        self.check()?;
        for section in Link::ALL {
            for (name, constraint) in self.links(section) {
                if constraint == "self.version" {
                    check_constraint(section, &name, version)?;
                }
            }
        }
        if version.starts_with("dev-") || version.ends_with("-dev") {
            for (branch, alias) in self.branch_aliases() {
                if !alias.is_string() {
                    let path = format!("extra.branch-alias.{}", shown(branch));
                    return Err(wrong_type(&path, A_STRING, alias));
                }
            }
        }
        Ok(())
    }

    fn check_links(&self, section: Link) -> Result<(), ManifestError> {
        let links = match self.set(section.key()) {
            None => return Ok(()),
            Some(Value::Array(list)) if list.is_empty() => return Ok(()),
            Some(Value::Object(links)) => links,
            Some(other) => return Err(wrong_type(section.key(), A_MAP, other)),
        };
        for (name, constraint) in links {
            if is_php_integer(name) || !is_printable(name) {
                let name = shown(name);
                return Err(ManifestError::LinkName { section, name });
            }
            let Value::String(constraint) = constraint else {
                let path = format!("{section}.{}", shown(name));
                return Err(wrong_type(&path, A_STRING, constraint));
            };
            if constraint != "self.version" {
                check_constraint(section, name, constraint)?;
            }
        }
        Ok(())
    }

    fn check_bin(&self) -> Result<(), ManifestError> {
        let paths: Vec<&Value> = match self.set("bin") {
            None => return Ok(()),
            Some(Value::Array(list)) => list.iter().collect(),
            Some(Value::Object(map)) => map.values().collect(),
            Some(path) => vec![path],
        };
        for path in paths {
            let Value::String(path) = path else {
                return Err(wrong_type("bin", "a string or a list of strings", path));
            };
            // newer clients abort the run: such a file could be chmod'ed outside of the package
            if path.split(['/', '\\']).any(|part| part.trim_end() == "..") {
                return Err(ManifestError::BinPath { path: shown(path) });
            }
        }
        Ok(())
    }

    fn check_archive(&self) -> Result<(), ManifestError> {
        let part = |key| {
            self.set("archive")
                .and_then(|archive| archive.get(key))
                .filter(|value| !is_php_empty(value))
        };
        match (part("name"), part("exclude")) {
            (Some(name), _) if !name.is_string() => Err(wrong_type("archive.name", A_STRING, name)),
            (_, Some(list)) if !is_map_or_list(list) => {
                Err(wrong_type("archive.exclude", "a list", list))
            }
            _ => Ok(()),
        }
    }

    fn check_type(
        &self,
        key: &str,
        expected: &'static str,
        fits: fn(&Value) -> bool,
    ) -> Result<(), ManifestError> {
        match self.set(key) {
            Some(value) if !fits(value) => Err(wrong_type(key, expected, value)),
            _ => Ok(()),
        }
    }

    fn check_elements(
        &self,
        key: &str,
        expected: &'static str,
        fits: fn(&Value) -> bool,
    ) -> Result<(), ManifestError> {
        let elements: Vec<(String, &Value)> = match self.set(key) {
            Some(Value::Array(list)) => list
                .iter()
                .enumerate()
                .map(|(index, value)| (index.to_string(), value))
                .collect(),
            Some(Value::Object(map)) => map.iter().map(|(k, v)| (shown(k), v)).collect(),
            _ => return Ok(()),
        };
        match elements.into_iter().find(|(_, value)| !fits(value)) {
            Some((index, value)) => Err(wrong_type(&format!("{key}.{index}"), expected, value)),
            None => Ok(()),
        }
    }
}

pub(super) fn wrong_type(path: &str, expected: &'static str, value: &Value) -> ManifestError {
    ManifestError::Type {
        path: path.to_owned(),
        expected,
        found: kind_of(value),
    }
}

fn check_constraint(section: Link, name: &str, constraint: &str) -> Result<(), ManifestError> {
    let problem = if is_printable(constraint) {
        match Constraint::parse(constraint) {
            Ok(_) => return Ok(()),
            Err(error) => shown(&error.to_string()),
        }
    } else {
        "it contains control characters; remove them".to_owned()
    };
    Err(ManifestError::Constraint {
        section,
        name: shown(name),
        constraint: shown(constraint),
        problem,
    })
}

fn is_map_or_list(value: &Value) -> bool {
    value.is_array() || value.is_object()
}

/// Whether PHP makes an integer of this array key, on which Composer stops with a type error.
fn is_php_integer(key: &str) -> bool {
    key.parse::<i64>()
        .is_ok_and(|number| number.to_string() == key)
}

/// PHP's `empty`.
fn is_php_empty(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::Bool(true) => false,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => matches!(text.as_str(), "" | "0"),
        Value::Array(list) => list.is_empty(),
        Value::Object(map) => map.is_empty(),
    }
}
