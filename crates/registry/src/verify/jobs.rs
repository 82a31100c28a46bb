//! Jobs that run: whether their workers still give a sign of life.

use kapelle_storage::db::jobs::{self as rows, Filter, Job};

use super::walk::{PAGE, Suspects, Walk};
use super::{About, Checked, Finding, Kind, VerifyError};

/// Looks at every job that runs.
pub(super) async fn check(walk: &Walk<'_>) -> Result<(), VerifyError> {
    let mut before_id = None;
    loop {
        let filter = Filter {
            state: Some("running"),
            before_id,
            ..Filter::default()
        };
        let mut connection = walk.registry.database().read().await?;
        let page = rows::list(&mut connection, filter, PAGE).await?;
        let Some(last) = page.last() else {
            return Ok(());
        };
        before_id = Some(last.id);
        walk.count(Checked {
            jobs: page.len() as u64,
            ..Checked::default()
        });
        let mut suspects = Suspects::default();
        let now = walk.registry.now();
        let abandoned = |job: &&Job| job.lease_until.is_none_or(|until| until < now);
        for job in page.iter().filter(abandoned) {
            suspects.note(finding(walk, job));
        }
        walk.report(suspects);
    }
}

fn finding(walk: &Walk<'_>, job: &Job) -> Finding {
    let organization = job.organization_id.map(|id| walk.about_organization(id));
    Finding::new(
        Kind::JobAbandoned,
        About {
            job: Some(job.id),
            ..organization.unwrap_or_default()
        },
        format!(
            "{} ran on {}, which gives no sign of life",
            job.kind,
            job.owner.as_deref().unwrap_or("nobody")
        ),
        "nothing while a server or worker runs: it takes the job over",
    )
}
