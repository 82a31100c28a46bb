//! A dist of a commit that this machine does not have: a worker is asked for it, and waited for.

use std::time::Duration;

use kapelle_storage::db::dists::{self as rows, Dist};
use kapelle_storage::db::jobs;
use kapelle_storage::db::package_references;
use kapelle_storage::db::packages::Package;
use tokio::time::{Instant, sleep};

use super::DistError;
use crate::jobs::BuildOneDist;
use crate::registry::Registry;

/// How often it is looked whether the dist is there.
const LOOK: Duration = Duration::from_millis(100);

/// Has a dist built by whoever has its commit, at once, and waits for that as long as a download may wait; `error` is
/// what is told when it does not come in time.
pub(super) async fn order(
    registry: &Registry,
    package: &Package,
    reference: &str,
    error: DistError,
) -> Result<Dist, DistError> {
    if is_lost(registry, package, reference).await? {
        return Err(lost(package, reference));
    }
    let job = BuildOneDist::queue(registry, package, reference).await?;
    let deadline = Instant::now() + registry.limits().build_wait;
    loop {
        let mut connection = registry.database().read().await?;
        // Asked before the dist: whoever has ended has built it before, or will not.
        let job = jobs::find(&mut connection, job).await?;
        let has_ended = job.is_none_or(|job| job.finished_at.is_some());
        if let Some(dist) = rows::find(&mut connection, package.id, reference).await? {
            return Ok(dist);
        }
        drop(connection);
        if has_ended && is_lost(registry, package, reference).await? {
            return Err(lost(package, reference));
        }
        if has_ended || Instant::now() >= deadline {
            return Err(error);
        }
        sleep(LOOK).await;
    }
}

/// Whether the commit was given up, and nobody who may have it has come back since.
async fn is_lost(
    registry: &Registry,
    package: &Package,
    reference: &str,
) -> Result<bool, DistError> {
    let mut connection = registry.database().read().await?;
    let published = package_references::find(&mut connection, package.id, reference).await?;
    Ok(match published {
        Some(published) if published.lost_at.is_some() => registry
            .keeper(&mut connection, &published)
            .await?
            .is_none(),
        _ => false,
    })
}

fn lost(package: &Package, reference: &str) -> DistError {
    DistError::Lost {
        package: package.name.clone().unwrap_or_default(),
        reference: reference.to_owned(),
    }
}
