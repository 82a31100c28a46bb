//! `BuildDists`: build the dist of every published commit of a package that has none yet.

use std::collections::HashSet;
use std::fmt::Write;

use futures::{StreamExt, TryStreamExt, stream};
use kapelle_storage::db::dists::Dist;
use kapelle_storage::db::package_references;
use kapelle_storage::db::packages::{self, Package};
use serde::{Deserialize, Serialize};

use super::{BuildOneDist, Job, JobContext, JobError, Priority};
use crate::dist::{self, DistError, Workshop};
use crate::sync::{self, Fate};

/// Dists that are built before their checksums are published together; each next batch is twice as large, since each
/// publication renders the whole package.
const BATCH: usize = 100;
/// Dists of one package that are built at once, if their turn comes: while one waits for git or the disk, another is compressed.
const AT_ONCE: usize = 2;

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
        let mut work = Work {
            context,
            package: &package,
            total: missing.len(),
            tally: Tally::default(),
        };
        work.build_all(missing).await?;
        if work.tally.built == 0 {
            // Clients may have had those built that are there: their checksums are still to be published.
            sync::republish(context, package.id).await?;
        }
        work.tally.end(context).await
    }
}

/// What there is to do for one package, and how far it is.
struct Work<'w> {
    context: &'w JobContext,
    package: &'w Package,
    total: usize,
    tally: Tally,
}

#[derive(Default)]
struct Tally {
    built: usize,
    failed: usize,
    unbuildable: usize,
    with_submodules: usize,
    with_lfs: usize,
    /// Left to depots whose mirrors have the commits.
    left: usize,
    /// Nobody has the commits any more.
    lost: usize,
}

impl Work<'_> {
    /// First what the mirror here has, then what upstream still has of the rest; the remainder is for others.
    async fn build_all(&mut self, missing: Vec<String>) -> Result<(), JobError> {
        if self.package.kind != "vcs" {
            return self.build(&missing).await;
        }
        let mirror = self.context.registry.parts.git.mirror(self.package.id);
        // Where the mirror cannot tell, each build does.
        let absent: HashSet<String> = match mirror.missing(&missing).await {
            Ok(absent) => absent.into_iter().collect(),
            Err(_) => HashSet::new(),
        };
        let (absent, here): (Vec<_>, Vec<_>) = missing
            .into_iter()
            .partition(|commit| absent.contains(commit));
        self.build(&here).await?;
        if absent.is_empty() {
            return Ok(());
        }
        let gone = match sync::bring(self.context, self.package, &absent).await {
            Ok(gone) => gone,
            Err(JobError::Retry(reason) | JobError::Fail(reason)) => {
                self.tally.failed += absent.len();
                let count = absent.len();
                let line =
                    format!("{count} commits are not here, and could not be fetched: {reason}");
                return self.context.log(&[line]).await;
            }
            Err(other) => return Err(other),
        };
        let come: Vec<_> = absent
            .into_iter()
            .filter(|commit| !gone.contains(commit))
            .collect();
        self.build(&come).await?;
        for commit in gone {
            self.context.check()?;
            self.leave(&commit).await?;
        }
        Ok(())
    }

    async fn build(&mut self, commits: &[String]) -> Result<(), JobError> {
        let (context, package) = (self.context, self.package);
        let workshop = Workshop::of(&context.registry, package);
        let (mut rest, mut size) = (commits, BATCH);
        while !rest.is_empty() {
            let (batch, later) = rest.split_at(size.min(rest.len()));
            (rest, size) = (later, size * 2);
            let builds: Vec<_> = batch
                .iter()
                .map(|commit| build_one(context, package, commit, &workshop))
                .collect();
            let mut builds = stream::iter(builds).buffer_unordered(AT_ONCE);
            let mut failures = Vec::new();
            // Nothing is waited for in here but the builds: those that are under way stand still meanwhile, and one of them
            // may hold the database's writer.
            while let Some((commit, built)) = builds.try_next().await? {
                match built {
                    Ok(dist) => self.tally.count(&dist),
                    // The next one would end like this one.
                    Err(error) if error.is_ours() => return Err(error.into()),
                    Err(error) => {
                        self.tally.failed += 1;
                        let is_unbuildable = matches!(error, DistError::Unbuildable { .. });
                        self.tally.unbuildable += usize::from(is_unbuildable);
                        failures.push(format!("no dist of {commit}: {error}"));
                    }
                }
            }
            drop(builds);
            context.log(&failures).await?;
            let done = self.tally.built + self.tally.failed;
            context.progress(done, self.total, "building dists").await?;
            sync::republish(context, package.id).await?;
        }
        Ok(())
    }

    /// Leaves a commit that is not to be had here to whoever has it.
    async fn leave(&mut self, commit: &str) -> Result<(), JobError> {
        let line = match sync::fate(self.context, self.package, commit).await? {
            Fate::Kept(depot) => {
                self.tally.left += 1;
                BuildOneDist::queue(&self.context.registry, self.package, commit).await?;
                format!(
                    "the dist of {commit} is left to {}: only its data folder has that commit",
                    depot.node
                )
            }
            Fate::Lost(sentence) => {
                self.tally.lost += 1;
                sentence
            }
        };
        self.context.log(&[line]).await
    }
}

async fn build_one<'a>(
    context: &JobContext,
    package: &Package,
    commit: &'a str,
    workshop: &Workshop,
) -> Result<(&'a str, Result<Dist, DistError>), JobError> {
    let turn = context.registry.patient_builds.acquire().await;
    let _turn = turn.expect("this semaphore is never closed");
    context.check()?;
    let built = dist::build_in(&context.registry, package, commit, workshop).await;
    Ok((commit, built))
}

impl Tally {
    fn count(&mut self, dist: &Dist) {
        self.built += 1;
        self.with_submodules += usize::from(dist.has_submodules);
        self.with_lfs += usize::from(dist.has_lfs);
    }

    async fn end(self, context: &JobContext) -> Result<String, JobError> {
        context
            .log(&incomplete(self.with_submodules, self.with_lfs))
            .await?;
        let mut message = format!("built {} dists", self.built);
        for (count, what) in [
            (self.left, "are left to other data folders"),
            (self.lost, "are lost"),
            (self.failed, "failed"),
        ] {
            if count > 0 {
                // Writing to a string cannot fail.
                let _ = write!(message, ", {count} {what}");
            }
        }
        if self.left + self.lost + self.failed > 0 {
            message.push_str(": see the job's log");
        }
        // Another copy of the repository may have a commit; what breaks a limit will always break it.
        match self.failed {
            0 => Ok(message),
            failed if failed == self.unbuildable => Err(JobError::Fail(message)),
            _ => Err(JobError::Retry(message)),
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
