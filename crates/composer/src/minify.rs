//! The `composer/2.0` minifier: each version as its difference from the one before it.

use serde_json::{Map, Value};

/// What stands for a key that the version before had and this one has not.
///
/// A real value equal to it cannot be told apart;
/// [`VersionObject`](crate::metadata::VersionObject) leaves such a key out.
pub const UNSET: &str = "__unset";

/// Minifies versions: the first is kept whole, of each next one only what differs. See [`Minifier`].
pub fn minify(versions: &[Map<String, Value>]) -> Vec<Map<String, Value>> {
    let mut minifier = Minifier::default();
    let differences = versions
        .iter()
        .map(|version| minifier.next(version.clone()));
    differences.collect()
}

/// Minifies versions one after the other, so that no more than one is in memory.
///
/// Values are compared whole and as PHP's `!==` does, so the order of keys inside a value counts, and
/// null is a value. The order of a version's own keys does not survive.
#[derive(Debug, Default)]
pub struct Minifier {
    /// The version before.
    known: Map<String, Value>,
}

impl Minifier {
    /// In what a version differs from the one before; the first one whole.
    pub fn next(&mut self, version: Map<String, Value>) -> Map<String, Value> {
        let mut difference = Map::new();
        let mut unset = Vec::new();
        self.known.retain(|key, _| {
            let kept = version.contains_key(key);
            if !kept {
                unset.push(key.clone());
            }
            kept
        });
        for (key, value) in version {
            if !self
                .known
                .get(&key)
                .is_some_and(|old| identical(old, &value))
            {
                difference.insert(key.clone(), value.clone());
                self.known.insert(key, value);
            }
        }
        difference.extend(unset.into_iter().map(|key| (key, UNSET.into())));
        difference
    }
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
