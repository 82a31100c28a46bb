//! Published commits: each live version's is known, each has the checksum that was published, and purged ones are gone.

use std::collections::{BTreeMap, BTreeSet};

use kapelle_storage::db::package_references::{self, ListedReference};
use kapelle_storage::db::package_refs;

use super::packages::Subject;
use super::walk::{PAGE, Suspects, Walk};
use super::{Finding, Kind, VerifyError, documents};
use crate::clock::{MINUTE, Millis};

/// How long a purge may take until the bytes are gone.
const PURGE: Millis = 10 * MINUTE;

/// The published commits of a package.
#[derive(Debug, Default)]
pub(super) struct Commits {
    pub(super) count: u64,
    /// Those that have no dist and are not purged.
    pub(super) unbuilt: Vec<String>,
}

pub(super) async fn look(
    walk: &Walk<'_>,
    subject: &Subject,
    suspects: &mut Suspects,
) -> Result<Commits, VerifyError> {
    let mut live: BTreeSet<&str> = subject
        .versions
        .iter()
        .map(|version| version.reference.as_str())
        .filter(|reference| !reference.is_empty())
        .collect();
    let mut commits = Commits::default();
    let mut purged_at = None;
    let mut after = String::new();
    loop {
        let mut connection = walk.registry.database().read().await?;
        let id = subject.package.id;
        let page = package_references::list(&mut connection, id, &after, PAGE).await?;
        let Some(last) = page.last() else { break };
        after.clone_from(&last.reference);
        commits.count += page.len() as u64;
        for commit in page {
            let is_live = live.remove(commit.reference.as_str());
            judge(walk, subject, &commit, is_live, suspects);
            purged_at = purged_at.max(commit.purged_at);
            if commit.sha1.is_none() && commit.purged_at.is_none() {
                commits.unbuilt.push(commit.reference);
            }
        }
    }
    for reference in live {
        suspects.broken(unknown(walk, subject, reference));
    }
    unpublished_refs(walk, subject, suspects).await?;
    purged_mirror(walk, subject, purged_at, suspects);
    Ok(commits)
}

fn judge(
    walk: &Walk<'_>,
    subject: &Subject,
    commit: &ListedReference,
    is_live: bool,
    suspects: &mut Suspects,
) {
    let reference = commit.reference.as_str();
    let about = || {
        walk.about(&subject.package)
            .version(subject.version_at(reference))
            .reference(reference)
    };
    if commit.purged_at.is_some() {
        if commit.sha1.is_some() || is_live {
            suspects.broken(Finding::new(
                Kind::PurgedKept,
                about(),
                "it was purged, and is still kept",
                "remove the package and purge it again",
            ));
        }
        return;
    }
    let Some(sha1) = &commit.sha1 else { return };
    let published = subject.published.dists.get(reference);
    let published = published.map(|dist| &dist.sha1);
    if published.is_some_and(|published| !published.is_empty() && published != sha1) {
        let finding = format!(
            "its published checksum is {}, and that of its archive is {sha1}",
            published.map(String::as_str).unwrap_or_default()
        );
        let advice = documents::anew(&subject.package);
        suspects.broken(Finding::new(Kind::ShasumDiffers, about(), finding, advice));
    }
}

fn unknown(walk: &Walk<'_>, subject: &Subject, reference: &str) -> Finding {
    Finding::new(
        Kind::ReferenceUnknown,
        walk.about(&subject.package)
            .version(subject.version_at(reference))
            .reference(reference),
        "its commit is not among those that were published, so that nobody can download it",
        "restore the database from your backup",
    )
}

/// What the last synchronization saw without a fault is a version at that commit: it will not look there again.
async fn unpublished_refs(
    walk: &Walk<'_>,
    subject: &Subject,
    suspects: &mut Suspects,
) -> Result<(), VerifyError> {
    let mut connection = walk.registry.database().read().await?;
    let refs = package_refs::list(&mut connection, subject.package.id).await?;
    let at: BTreeMap<&str, &str> = subject
        .versions
        .iter()
        .map(|version| (version.ref_name.as_str(), version.reference.as_str()))
        .collect();
    let unpublished = refs
        .iter()
        .filter(|seen| seen.error.is_none())
        .filter(|seen| at.get(seen.name.as_str()) != Some(&seen.commit_id.as_str()));
    for seen in unpublished {
        let finding = format!("{} is taken for published at this commit", seen.name);
        suspects.broken(Finding::new(
            Kind::RefUnpublished,
            walk.about(&subject.package).reference(&seen.commit_id),
            format!("{finding}, and no version is"),
            "push another commit to it, or restore the database from your backup",
        ));
    }
    Ok(())
}

/// A purge ends with the mirror, which has the same files.
fn purged_mirror(
    walk: &Walk<'_>,
    subject: &Subject,
    purged_at: Option<Millis>,
    suspects: &mut Suspects,
) {
    let package = &subject.package;
    let Some(purged_at) = purged_at.filter(|_| package.removed_at.is_some()) else {
        return;
    };
    let mirror = walk.registry.parts.git.mirror(package.id);
    if !mirror.exists() {
        return;
    }
    let finding = Finding::new(
        Kind::PurgedKept,
        walk.about(package),
        format!(
            "it was purged, and its mirror is still at {}",
            mirror.path().display()
        ),
        "purge it again",
    );
    if walk.now - purged_at > PURGE {
        suspects.broken(finding);
    } else {
        suspects.note(finding);
    }
}
