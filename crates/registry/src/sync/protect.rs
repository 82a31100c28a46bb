//! Before the metadata leaves a commit behind, its dist is built: upstream may not have the commit any more.
//!
//! Where the mirror here never had it, it is fetched by its name; where upstream refuses that, whoever has it builds the
//! dist, and as long as that is not done the ref stays as it was. Only what nobody has any more is left behind without.

use std::collections::BTreeMap;
use std::time::Duration;

use kapelle_storage::db::dists;
use kapelle_storage::db::packages::Package;
use tokio::time::{Instant, sleep};

use super::plan::Plan;
use super::rescue::{self, Fate};
use super::upstream::Upstream;
use crate::dist;
use crate::jobs::{BuildOneDist, JobContext, JobError};

/// How long a synchronization waits for another depot's worker before it leaves a ref as it is.
const WAIT: Duration = Duration::from_secs(10);
/// How often it looks whether that worker is done.
const LOOK: Duration = Duration::from_millis(100);

/// Commits that must not be left behind yet, each with the reason.
pub(super) type Held = BTreeMap<String, String>;

/// Builds the dist of every commit that the metadata would leave behind.
pub(super) async fn old_references(
    context: &JobContext,
    package: &Package,
    plan: &Plan,
) -> Result<Held, JobError> {
    let absent = build_all(context, package, plan.abandoned_references()).await?;
    if absent.is_empty() {
        return Ok(Held::new());
    }
    let mirror = context.registry.parts.git.mirror(package.id);
    let upstream = Upstream::of(context, package).await?;
    rescue::fetch_by_name(context, &upstream, &mirror, &absent).await?;
    let absent = build_all(context, package, &absent).await?;
    let mut held = Held::new();
    let mut is_attended = false;
    for reference in absent {
        match rescue::fate(context, package, &reference).await? {
            Fate::Lost(sentence) => context.log(&[sentence]).await?,
            Fate::Kept(depot) => {
                BuildOneDist::queue(&context.registry, package, &reference).await?;
                is_attended |= context.registry.is_attended(&depot);
                let reason = format!(
                    "it has moved or is gone, and stays at {reference} until the dist of that commit is built: upstream no \
                     longer has it, and only the data folder of {} has; a worker there builds it. An hour after the \
                     last sign of life from there the commit is given up",
                    depot.node
                );
                held.insert(reference, reason);
            }
        }
    }
    if is_attended {
        wait(context, package, &mut held).await?;
    }
    Ok(held)
}

/// Builds what can be built here; gives the commits that the mirror does not have.
async fn build_all(
    context: &JobContext,
    package: &Package,
    references: &[String],
) -> Result<Vec<String>, JobError> {
    let mut absent = Vec::new();
    for reference in references {
        context.check()?;
        match dist::build(&context.registry, package, reference).await {
            Ok(_) => {}
            Err(error) if error.is_ours() => return Err(error.into()),
            Err(error) if error.is_absent() => absent.push(reference.clone()),
            // The mirror may well have it: what is published stays until it gives it, or is found damaged and made anew.
            Err(error) if error.is_the_mirrors() => return Err(error.into()),
            Err(error) => {
                let line = format!("no dist of the old commit {reference}: {error}");
                context.log(&[line]).await?;
            }
        }
    }
    Ok(absent)
}

/// Waits a while until others have built the dists; takes those that are there off the list.
async fn wait(context: &JobContext, package: &Package, held: &mut Held) -> Result<(), JobError> {
    let deadline = Instant::now() + WAIT;
    while !held.is_empty() && Instant::now() < deadline {
        context.check()?;
        sleep(LOOK).await;
        let mut connection = context.registry.database().read().await?;
        for reference in held.keys().cloned().collect::<Vec<_>>() {
            if dists::find(&mut connection, package.id, &reference)
                .await?
                .is_some()
            {
                held.remove(&reference);
            }
        }
    }
    Ok(())
}
