//! The `composer/2.0` minifier: each version as its difference from the one before it.

use indexmap::IndexMap;
use serde_json::{Map, Value};

/// What stands for a key that the version before had and this one has not.
///
/// A real value equal to it cannot be told apart;
/// [`VersionObject`](crate::metadata::VersionObject) leaves such a key out.
pub const UNSET: &str = "__unset";

/// Minifies versions: the first is kept whole, of each next one only what differs.
///
/// Values are compared whole and as PHP's `!==` does, so the order of keys inside a value counts, and
/// null is a value. The order of a version's own keys does not survive.
pub fn minify(versions: &[Map<String, Value>]) -> Vec<Map<String, Value>> {
    let mut known: IndexMap<&str, &Value> = IndexMap::new();
    versions
        .iter()
        .map(|version| {
            let started = !known.is_empty();
            let mut difference = Map::new();
            for (key, value) in version {
                if !known
                    .get(key.as_str())
                    .is_some_and(|old| identical(old, value))
                {
                    difference.insert(key.clone(), value.clone());
                    known.insert(key, value);
                }
            }
            if started {
                known.retain(|key, _| {
                    let kept = version.contains_key(*key);
                    if !kept {
                        difference.insert((*key).to_owned(), UNSET.into());
                    }
                    kept
                });
            }
            difference
        })
        .collect()
}

/// Undoes [`minify`].
///
/// The result can be far larger than its source, as each difference repeats everything before it: use
/// [`expand_each`] for documents from elsewhere.
pub fn expand(minified: &[Map<String, Value>]) -> Vec<Map<String, Value>> {
    expand_each(minified).collect()
}

/// Undoes [`minify`] one version at a time.
pub fn expand_each(minified: &[Map<String, Value>]) -> impl Iterator<Item = Map<String, Value>> {
    let mut known: Map<String, Value> = Map::new();
    minified.iter().map(move |difference| {
        if known.is_empty() {
            known.clone_from(difference);
            return known.clone();
        }
        for (key, value) in difference {
            if value == UNSET {
                known.shift_remove(key);
            } else {
                known.insert(key.clone(), value.clone());
            }
        }
        known.clone()
    })
}

/// Equality in which, unlike in `serde_json`'s, the order of keys counts.
fn identical(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len()
                && a.iter()
                    .zip(b)
                    .all(|((ka, va), (kb, vb))| ka == kb && identical(va, vb))
        }
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| identical(a, b))
        }
        _ => a == b,
    }
}
