//! The `p2` file of a package: its version objects in the order of their places, minified.

use std::cmp::Reverse;

use serde_json::{Map, Value};

use crate::minify::Minifier;
use crate::name::PackageName;
use crate::version::Version;

/// A `p2` file that is written version by version, so that memory holds no more than one of them besides the bytes.
#[derive(Debug)]
pub struct Document {
    bytes: Vec<u8>,
    minifier: Minifier,
    is_empty: bool,
}

impl Document {
    /// Of a package without versions. No version at all is valid, too, but hides the package from the user's other
    /// repositories.
    pub fn new(name: &PackageName) -> Self {
        Self {
            bytes: format!(r#"{{"packages":{{"{name}":["#).into_bytes(),
            minifier: Minifier::default(),
            is_empty: true,
        }
    }

    /// Adds a version after those that were added before.
    pub fn add(&mut self, version: Map<String, Value>) {
        if !self.is_empty {
            self.bytes.push(b',');
        }
        self.is_empty = false;
        let difference = self.minifier.next(version);
        serde_json::to_writer(&mut self.bytes, &difference)
            .expect("a map with text keys is always encodable");
    }

    /// Its bytes.
    pub fn finish(mut self) -> Vec<u8> {
        self.bytes.extend(br#"]},"minified":"composer/2.0"}"#);
        self.bytes
    }
}

/// Where a version stands among the others: the default branch first, then numbers with the newest first, then other
/// branches by name, as users expect to read them.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place(u8, Option<String>, Reverse<Version>);

impl Place {
    /// Of a version by its normalized form.
    pub fn of(normalized: &str, default_branch: bool) -> Self {
        let version = Version::from_normalized(normalized);
        let rank = if default_branch {
            0
        } else {
            1 + u8::from(version.is_branch())
        };
        let branch = version.is_branch().then(|| normalized.to_owned());
        Self(rank, branch, Reverse(version))
    }
}
