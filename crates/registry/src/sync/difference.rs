//! Which refs have to be read: what upstream lists, compared with what the last synchronization saw.

use std::collections::{BTreeSet, HashMap, HashSet};

use kapelle_composer::{branch_version, tag_version};
use kapelle_storage::db::package_refs::{self, PackageRef};
use kapelle_storage::db::packages::Package;
use kapelle_storage::db::versions::Version;
use kapelle_storage::{Connection, StorageError};
use kapelle_vcs::Listing;

/// Refs to read, with their commits, and refs that are gone.
#[derive(Debug)]
pub(super) struct Difference {
    pub(super) read: Vec<(String, String)>,
    pub(super) removed: BTreeSet<String>,
}

impl Difference {
    /// Compares the `known` refs and the published versions with a listing.
    pub(super) fn between(
        known: &HashMap<String, PackageRef>,
        listing: &Listing,
        live: &[Version],
        package: &Package,
    ) -> Self {
        // A version's ref is not known yet when the synchronization that published it was cut short.
        let removed: BTreeSet<String> = known
            .keys()
            .chain(live.iter().map(|version| &version.ref_name))
            .filter(|name| !listing.refs.contains_key(*name))
            .cloned()
            .collect();
        // A version whose ref is gone may be taken over by another ref that means the same version.
        let orphaned: HashSet<&str> = live
            .iter()
            .filter(|version| removed.contains(&version.ref_name))
            .map(|version| version.version_normalized.as_str())
            .collect();
        let new_default = listing.default_branch != package.default_branch
            || live
                .iter()
                .any(|version| !version.default_branch && is_default(&version.ref_name, listing));
        let must_read = |name: &String, commit: &String| {
            known.get(name).map(|known| &known.commit_id) != Some(commit)
                || (new_default && is_default(name, listing))
                || (!orphaned.is_empty()
                    && means(name).is_some_and(|meant| orphaned.contains(meant.as_str())))
        };
        let read: BTreeSet<&String> = listing
            .refs
            .iter()
            .filter(|(name, commit)| must_read(name, commit))
            .map(|(name, _)| name)
            .collect();
        // What stood in a ref's way may be gone with whatever else changes.
        let is_faulty = |name| known.get(name).is_some_and(|known| known.error.is_some());
        let differs = !read.is_empty() || !removed.is_empty();
        let read = listing
            .refs
            .iter()
            .filter(|(name, _)| read.contains(name) || (differs && is_faulty(*name)))
            .map(|(name, commit)| (name.clone(), commit.clone()))
            .collect();
        Self { read, removed }
    }
}

/// Whether there would be no difference, found without reading a version.
pub(super) async fn is_none(
    connection: &mut Connection,
    listing: &Listing,
    package: &Package,
) -> Result<bool, StorageError> {
    if listing.default_branch != package.default_branch {
        return Ok(false);
    }
    let default_ref = listing
        .default_branch
        .as_ref()
        .map(|branch| format!("refs/heads/{branch}"));
    let seen = package_refs::seen(connection, package.id, default_ref.as_deref()).await?;
    let refs = seen.refs.unwrap_or_default();
    let mut words = refs.split(' ');
    let mut count = 0;
    while let (Some(name), Some(commit)) = (words.next(), words.next()) {
        if listing.refs.get(name).is_none_or(|listed| listed != commit) {
            return Ok(false);
        }
        count += 1;
    }
    Ok(seen.settled && count == listing.refs.len())
}

/// Whether a ref is the branch that HEAD names.
pub(super) fn is_default(name: &str, listing: &Listing) -> bool {
    name.strip_prefix("refs/heads/")
        .is_some_and(|branch| Some(branch) == listing.default_branch.as_deref())
}

/// The normalized version that a ref's name stands for.
fn means(name: &str) -> Option<String> {
    if let Some(tag) = name.strip_prefix("refs/tags/") {
        tag_version(tag).ok().map(|version| version.normalized)
    } else {
        branch_version(name.strip_prefix("refs/heads/")?)
            .ok()
            .map(|version| version.normalized)
    }
}
