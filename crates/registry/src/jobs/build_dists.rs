//! `BuildDists`: build the dist of every published commit of a package that has none yet.

use serde::{Deserialize, Serialize};

use super::{Job, JobContext, JobError, Priority};
use crate::dist::{self, DistError};
use crate::sync;
use kapelle_storage::db::{package_references, packages};

/// Dists that are built before their checksums are published together.
const BATCH: usize = 100;

/// Builds what is missing for one package.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct BuildDists {
    /// The organization it belongs to.
    pub organization_id: i64,
    /// The package.
    pub package_id: i64,
}

impl Job for BuildDists {
    const KIND: &'static str = "BuildDists";
    const PRIORITY: Priority = Priority::Patient;

    fn exclusive_key(&self) -> Option<String> {
        Some(format!("dists:{}", self.package_id))
    }

    fn organization_id(&self) -> Option<i64> {
        Some(self.organization_id)
    }

    fn package_id(&self) -> Option<i64> {
        Some(self.package_id)
    }

    async fn run(&self, context: &JobContext) -> Result<String, JobError> {
        let registry = &context.registry;
        let mut connection = registry.database().read().await?;
        let package = packages::find_by_id(&mut connection, self.package_id).await?;
        let Some(package) = package.filter(|package| package.removed_at.is_none()) else {
            return Ok("the package was removed".to_owned());
        };
        let missing =
            package_references::list_without_dist(&mut connection, package.id, i64::MAX).await?;
        drop(connection);

        let (mut built, mut failed, mut unbuildable) = (0_usize, 0_usize, 0_usize);
        let (mut with_submodules, mut with_lfs) = (0_usize, 0_usize);
        for batch in missing.chunks(BATCH) {
            for reference in batch {
                context.check()?;
                match dist::build(registry, &package, reference).await {
                    Ok(dist) => {
                        built += 1;
                        with_submodules += usize::from(dist.has_submodules);
                        with_lfs += usize::from(dist.has_lfs);
                    }
                    Err(error) => {
                        failed += 1;
                        unbuildable += usize::from(matches!(error, DistError::Unbuildable { .. }));
                        context
                            .log(&[format!("no dist of {reference}: {error}")])
                            .await?;
                    }
                }
            }
            context
                .progress(built + failed, missing.len(), "building dists")
                .await?;
            sync::republish(context, package.id).await?;
        }
        if missing.is_empty() {
            // Clients may have had all of them built already: their checksums are still to be published.
            sync::republish(context, package.id).await?;
        }
        context.log(&incomplete(with_submodules, with_lfs)).await?;
        if failed == 0 {
            return Ok(format!("built {built} dists"));
        }
        let message = format!("built {built} dists, {failed} failed: see the job's log");
        // A full disk may have room later; what breaks a limit will always break it.
        if failed == unbuildable {
            Err(JobError::Fail(message))
        } else {
            Err(JobError::Retry(message))
        }
    }
}

/// What clients may miss in the dists.
fn incomplete(with_submodules: usize, with_lfs: usize) -> Vec<String> {
    let cases = [
        (with_submodules, "an empty folder for each submodule"),
        (with_lfs, "pointers in place of files in Git LFS"),
    ];
    cases
        .into_iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, what)| {
            format!("{count} of the new dists have {what}: `kapelle package show` says which")
        })
        .collect()
}
