//! Published commits that have no archive: who is going to build it, from what, or why nobody can.

use std::collections::HashSet;

use kapelle_storage::db::package_references::{self, PackageReference};
use kapelle_storage::db::{depots, job_log, jobs};
use kapelle_vcs::VcsError;

use super::packages::Subject;
use super::walk::{Suspects, Walk};
use super::{About, Finding, Kind, VerifyError};

pub(super) async fn look(
    walk: &Walk<'_>,
    subject: &Subject,
    unbuilt: &[String],
    suspects: &mut Suspects,
) -> Result<(), VerifyError> {
    let package = &subject.package;
    if unbuilt.is_empty() || has_open_job(walk, package.id).await? {
        return Ok(());
    }
    let ours = kept_by_nobody_else(walk, package.id, unbuilt).await?;
    let lost = match lost(walk, package.id, ours).await {
        Ok(lost) => lost,
        Err(error) => {
            suspects.broken(Finding::new(
                Kind::MirrorDamaged,
                walk.about(package),
                error.to_string(),
                "synchronize the package: that makes it anew",
            ));
            return Ok(());
        }
    };
    for reference in unbuilt {
        let about = walk
            .about(package)
            .version(subject.version_at(reference))
            .reference(reference);
        match lost.iter().find(|lost| lost.reference == *reference) {
            Some(lost) => suspects.broken(gone(walk, about, lost).await?),
            None => judge(walk, subject, reference, about, suspects).await?,
        }
    }
    Ok(())
}

/// Those of a package's commits that have to be in the mirror here: for each of the others there is another depot out of
/// which it was published, and that has given a sign of life. Whether the mirror there has it is told by a look there.
pub(super) async fn kept_by_nobody_else(
    walk: &Walk<'_>,
    package_id: i64,
    commits: &[String],
) -> Result<Vec<PackageReference>, VerifyError> {
    let mut connection = walk.registry.database().read().await?;
    let mut ours = Vec::new();
    for reference in commits {
        let found = package_references::find(&mut connection, package_id, reference).await?;
        let Some(published) = found else { continue };
        let keeper = walk.registry.keeper(&mut connection, &published).await?;
        if keeper.is_none() {
            ours.push(published);
        }
    }
    Ok(ours)
}

/// Those of them that the mirror does not have. Where there is none yet, upstream may still have them, unless it was
/// asked and they were given up.
async fn lost(
    walk: &Walk<'_>,
    package_id: i64,
    mut ours: Vec<PackageReference>,
) -> Result<Vec<PackageReference>, VcsError> {
    let mirror = walk.registry.parts.git.mirror(package_id);
    if ours.is_empty() {
        return Ok(ours);
    }
    if mirror.exists() {
        let names: Vec<_> = ours.iter().map(|one| one.reference.clone()).collect();
        let missing: HashSet<_> = mirror.missing(&names).await?.into_iter().collect();
        ours.retain(|one| missing.contains(&one.reference));
    } else {
        ours.retain(|one| one.lost_at.is_some());
    }
    Ok(ours)
}

async fn gone(
    walk: &Walk<'_>,
    about: About,
    lost: &PackageReference,
) -> Result<Finding, VerifyError> {
    const LOST: &str = "it has no archive, and this machine has no mirror with its commit";
    let publisher = lost.depot.as_deref();
    let Some(publisher) = publisher.filter(|name| *name != walk.registry.depot()) else {
        let advice = "synchronize the package; if upstream no longer has the commit, restore archives and mirrors from \
                      your backup";
        return Ok(Finding::new(Kind::CommitLost, about, LOST, advice));
    };
    let mut connection = walk.registry.database().read().await?;
    let known = depots::find(&mut connection, publisher).await?;
    let node = known.map_or_else(|| publisher.to_owned(), |depot| depot.node);
    Ok(Finding::new(
        Kind::CommitLost,
        about,
        format!("{LOST}; the data folder that had it, of {node}, gives no sign of life"),
        "run a worker on that data folder; if it is gone, synchronize the package: upstream may have the commit",
    ))
}

async fn has_open_job(walk: &Walk<'_>, package_id: i64) -> Result<bool, VerifyError> {
    let mut connection = walk.registry.database().read().await?;
    Ok(jobs::has_open(&mut connection, package_id).await?)
}

async fn judge(
    walk: &Walk<'_>,
    subject: &Subject,
    reference: &str,
    about: About,
    suspects: &mut Suspects,
) -> Result<(), VerifyError> {
    let package = &subject.package;
    let was_built = subject.published.dists.get(reference);
    let was_built = was_built.is_some_and(|dist| !dist.sha1.is_empty());
    if was_built {
        suspects.broken(missing(
            about,
            "its archive was published, and is no longer known",
        ));
    } else if let Some(reason) = reason(walk, package.id, reference).await? {
        suspects.note(Finding::new(
            Kind::DistUnbuilt,
            about,
            reason,
            "do what it says: it is tried again every day and whenever somebody asks for it",
        ));
    } else if package.removed_at.is_none() {
        let finding = "it has no archive, nobody is going to build it, and no reason was noted";
        suspects.broken(missing(about, finding));
    }
    Ok(())
}

fn missing(about: About, finding: &str) -> Finding {
    let advice = "it is built when it is downloaded next, or in the daily round";
    Finding::new(Kind::DistMissing, about, finding, advice)
}

/// Why the last attempt to build an archive came to nothing.
async fn reason(
    walk: &Walk<'_>,
    package_id: i64,
    reference: &str,
) -> Result<Option<String>, VerifyError> {
    let mut connection = walk.registry.database().read().await?;
    if let Some(line) = job_log::last_about(&mut connection, package_id, reference).await? {
        return Ok(Some(line));
    }
    let filter = jobs::Filter {
        package_id: Some(package_id),
        kind: Some("BuildDists"),
        ..jobs::Filter::default()
    };
    let last = jobs::list(&mut connection, filter, 1).await?;
    let stopped = last.first().filter(|job| job.state != "success");
    Ok(stopped.map(|job| {
        format!(
            "job {} that was to build it has ended: {} {}",
            job.id, job.state, job.message
        )
    }))
}
