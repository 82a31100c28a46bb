//! What was ever published, and whether it still is.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use sha1::{Digest, Sha1};

/// Everything that clients were told and given so far.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    /// The versions of the last look.
    pub(super) versions: BTreeSet<String>,
    /// Commit to checksum; empty as long as none was told.
    pub(super) shasums: BTreeMap<String, String>,
    /// Commit to the bytes of its dist.
    bytes: BTreeMap<String, Vec<u8>>,
}

impl Ledger {
    /// Takes down metadata: what was published before is still there, unless it was `deleted` upstream, and a checksum
    /// that was told does not change.
    pub(super) fn see(&mut self, metadata: &[Value], deleted: &[String]) {
        let versions: BTreeSet<String> = metadata
            .iter()
            .map(|version| text(&version["version"]))
            .collect();
        let lost: Vec<_> = self
            .versions
            .iter()
            .filter(|version| !versions.contains(*version) && !deleted.contains(version))
            .collect();
        assert!(lost.is_empty(), "{lost:?} are no longer published");
        self.versions = versions;
        for version in metadata {
            let reference = text(&version["dist"]["reference"]);
            let told = text(&version["dist"]["shasum"]);
            let known = self.shasums.entry(reference.clone()).or_default();
            assert!(
                known.is_empty() || *known == told,
                "the checksum of {reference} was {known} and is {told:?}"
            );
            *known = told;
        }
    }

    /// Takes down a dist that was downloaded whole: its bytes are those of before and of its checksum.
    pub(super) fn got(&mut self, reference: &str, bytes: Vec<u8>) {
        if let Some(told) = self.shasums.get(reference).filter(|told| !told.is_empty()) {
            let sha1 = hex::encode(Sha1::digest(&bytes));
            assert_eq!(
                &sha1, told,
                "the dist of {reference} is not what was published"
            );
        }
        let known = self.bytes.insert(reference.to_owned(), bytes);
        assert!(
            known.is_none() || known.as_ref() == self.bytes.get(reference),
            "the dist of {reference} has changed"
        );
    }
}

/// A JSON text.
pub(super) fn text(value: &Value) -> String {
    value.as_str().expect("a text").to_owned()
}
