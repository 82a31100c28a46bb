//! Published commits that have no archive: who is going to build it, from what, or why nobody can.

use kapelle_storage::db::{job_log, jobs};

use super::packages::Subject;
use super::walk::{Suspects, Walk};
use super::{About, Finding, Kind, VerifyError};

/// What is known of where the commits are.
enum Mirrored {
    /// This machine has no mirror of the package.
    Nothing,
    /// All but these.
    AllBut(Vec<String>),
}

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
    let mirror = walk.registry.parts.git.mirror(package.id);
    let mirrored = if mirror.exists() {
        match mirror.missing(unbuilt).await {
            Ok(missing) => Mirrored::AllBut(missing),
            Err(error) => {
                suspects.broken(Finding::new(
                    Kind::MirrorDamaged,
                    walk.about(package),
                    error.to_string(),
                    "synchronize the package: that makes it anew",
                ));
                return Ok(());
            }
        }
    } else {
        Mirrored::Nothing
    };
    for reference in unbuilt {
        let about = walk
            .about(package)
            .version(subject.version_at(reference))
            .reference(reference);
        judge(walk, subject, reference, about, &mirrored, suspects).await?;
    }
    Ok(())
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
    mirrored: &Mirrored,
    suspects: &mut Suspects,
) -> Result<(), VerifyError> {
    let package = &subject.package;
    let is_lost = matches!(mirrored, Mirrored::AllBut(missing) if missing.iter().any(|lost| lost == reference));
    let was_built = subject.published.shasums.get(reference);
    let was_built = was_built.is_some_and(|sha1| !sha1.is_empty());
    if is_lost {
        suspects.broken(Finding::new(
            Kind::CommitLost,
            about,
            "it has no archive, and this machine's mirror does not have its commit",
            "synchronize the package; if upstream no longer has the commit, restore archives and mirrors from your \
             backup, or run a worker where its mirror is",
        ));
    } else if was_built {
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
