//! `Tidy`: drop what nobody needs any more (old changes, old jobs, blobs that nothing refers to), and see to what
//! was left undone.

use kapelle_storage::db::{artifacts, blobs, changes, depots, jobs, packages};
use serde::{Deserialize, Serialize};

use super::{BuildDists, Job, JobContext, JobError, Priority, enqueue};
use crate::artifact;
use crate::blob;
use crate::clock::{DAY, HOUR};
use crate::registry::Registry;

/// How long the change sequence is kept; a follower that was away longer starts anew.
const KEEP_CHANGES: i64 = 7 * DAY;
/// How long ended jobs are kept.
const KEEP_JOBS: i64 = 30 * DAY;
/// How long a blob may be without a row that refers to it: longer than any upload takes.
pub(crate) const KEEP_BLOBS: i64 = 6 * HOUR;
/// Rows per transaction.
const BATCH: i64 = 500;

/// Drops what nobody needs any more.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Tidy {}

impl Job for Tidy {
    const KIND: &'static str = "Tidy";
    const PRIORITY: Priority = Priority::Patient;

    fn exclusive_key(&self) -> Option<String> {
        Some("tidy".to_owned())
    }

    async fn run(&self, context: &JobContext) -> Result<String, JobError> {
        let changes = drop_changes(context).await?;
        let jobs = drop_jobs(context).await?;
        drop_artifacts(context).await?;
        let blobs = collect_blobs(context).await?;
        let unfinished = drop_unfinished(context).await?;
        let packages = build_missing_dists(context).await?;
        drop_depots(context).await?;
        Ok(format!(
            "dropped {changes} changes, {jobs} jobs, {blobs} blobs and {unfinished} unfinished ones; {packages} packages lack dists"
        ))
    }
}

async fn drop_changes(context: &JobContext) -> Result<u64, JobError> {
    let registry = &context.registry;
    let before = (registry.now() - KEEP_CHANGES) * 10;
    let mut dropped = 0;
    loop {
        context.check()?;
        let mut transaction = registry.database().write().await?;
        let some = changes::prune(&mut transaction, before, BATCH).await?;
        transaction.commit().await?;
        dropped += some;
        if some == 0 {
            return Ok(dropped);
        }
    }
}

async fn drop_jobs(context: &JobContext) -> Result<u64, JobError> {
    let registry = &context.registry;
    let before = registry.now() - KEEP_JOBS;
    let mut dropped = 0;
    loop {
        context.check()?;
        let mut transaction = registry.database().write().await?;
        let some = jobs::prune(&mut transaction, before, BATCH).await?;
        transaction.commit().await?;
        dropped += some;
        if some == 0 {
            return Ok(dropped);
        }
    }
}

/// Artifacts that were uploaded and never became a package's.
async fn drop_artifacts(context: &JobContext) -> Result<(), JobError> {
    let registry = &context.registry;
    let mut transaction = registry.database().write().await?;
    artifacts::prune(&mut transaction, registry.now() - artifact::KEEP).await?;
    Ok(transaction.commit().await?)
}

/// Looks at all blobs, a page at a time, and keeps nobody from writing meanwhile.
async fn collect_blobs(context: &JobContext) -> Result<usize, JobError> {
    let registry = &context.registry;
    let (before, abandoned) = (registry.now() - KEEP_BLOBS, registry.now() - blob::CLAIM);
    let (mut after, mut dropped) = (Vec::new(), 0);
    loop {
        context.check()?;
        let page = blobs::list(&mut registry.database().read().await?, &after, BATCH).await?;
        let Some(last) = page.last() else {
            return Ok(dropped);
        };
        after.clone_from(&last.sha256);
        for found in page {
            let before = if found.state == "live" {
                before
            } else {
                abandoned
            };
            if !found.referred && found.touched_at < before {
                context.check()?;
                dropped += usize::from(collect_blob(registry, &found.sha256, before).await?);
            }
        }
    }
}

async fn drop_unfinished(context: &JobContext) -> Result<u64, JobError> {
    let registry = &context.registry;
    let dropped = registry
        .blobs()
        .drop_unfinished(registry.now() - KEEP_BLOBS);
    dropped
        .await
        .map_err(|error| JobError::Retry(error.to_string()))
}

async fn collect_blob(registry: &Registry, sha256: &[u8], before: i64) -> Result<bool, JobError> {
    let mut transaction = registry.database().write().await?;
    let claimed = blobs::claim_deletable(&mut transaction, sha256, before, registry.now()).await?;
    transaction.commit().await?;
    let Some(claimed) = claimed else {
        return Ok(false);
    };
    blob::collect(registry, &claimed)
        .await
        .map_err(|error| JobError::Retry(error.to_string()))?;
    Ok(true)
}

/// Depots that nobody will come back to.
async fn drop_depots(context: &JobContext) -> Result<(), JobError> {
    let registry = &context.registry;
    let mut transaction = registry.database().write().await?;
    depots::prune(&mut transaction, registry.now() - KEEP_JOBS).await?;
    Ok(transaction.commit().await?)
}

/// A dist that could not be built in its time is tried again every day: upstream may not keep its commit.
async fn build_missing_dists(context: &JobContext) -> Result<usize, JobError> {
    let registry = &context.registry;
    let (mut after, mut queued) = (0, 0);
    loop {
        context.check()?;
        let page =
            packages::list_built(&mut registry.database().read().await?, after, BATCH).await?;
        let Some(last) = page.last() else {
            registry.wake_workers();
            return Ok(queued);
        };
        after = last.id;
        let lacking: Vec<_> = page
            .into_iter()
            .filter(|package| package.lacks_dists)
            .collect();
        if lacking.is_empty() {
            continue;
        }
        let mut transaction = registry.database().write().await?;
        for package in &lacking {
            let job = BuildDists {
                organization_id: package.organization_id,
                package_id: package.id,
            };
            enqueue(registry, &mut transaction, &job).await?;
        }
        transaction.commit().await?;
        queued += lacking.len();
    }
}
