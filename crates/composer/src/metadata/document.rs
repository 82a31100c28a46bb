//! The `p2` file of a package: its version objects, sorted and minified.

use std::cmp::Reverse;

use serde_json::{Map, Value};

use crate::minify::minify;
use crate::name::PackageName;
use crate::version::Version;

/// The bytes of a `p2` file: one package's versions, minified in the order given. No version at all
/// is valid, too, but hides the package from the user's other repositories.
pub fn document(name: &PackageName, versions: &[Map<String, Value>]) -> Vec<u8> {
    let versions = minify(versions).into_iter().map(Value::Object).collect();
    let mut packages = Map::new();
    packages.insert(name.as_str().to_owned(), Value::Array(versions));
    let mut document = Map::new();
    document.insert("packages".to_owned(), Value::Object(packages));
    document.insert("minified".to_owned(), "composer/2.0".into());
    serde_json::to_vec(&document).expect("a map with text keys is always encodable")
}

/// Sorts version objects the way users expect to read them: the default branch, then numbers with the newest
/// first, then other branches by name.
pub fn sort_newest_first(versions: &mut [Map<String, Value>]) {
    versions.sort_by_cached_key(|object| {
        let text = |key: &str| object.get(key).and_then(Value::as_str).unwrap_or_default();
        let normalized = match text("version_normalized") {
            "" => text("version"),
            normalized => normalized,
        };
        let version = Version::from_normalized(normalized);
        let rank = if object.get("default-branch") == Some(&Value::Bool(true)) {
            0
        } else {
            1 + u8::from(version.is_branch())
        };
        let branch = version.is_branch().then(|| normalized.to_owned());
        (rank, branch, Reverse(version))
    });
}
