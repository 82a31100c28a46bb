//! `Tidy`: drop what nobody needs any more: old changes, old jobs, blobs that nothing refers to.

use kapelle_storage::db::{blobs, changes, jobs};
use serde::{Deserialize, Serialize};

use super::{Job, JobContext, JobError};
use crate::blob;
use crate::clock::{DAY, HOUR};

/// How long the change sequence is kept; a follower that was away longer starts anew.
const KEEP_CHANGES: i64 = 7 * DAY;
/// How long ended jobs are kept.
const KEEP_JOBS: i64 = 30 * DAY;
/// How long a blob may be without a row that refers to it: longer than any upload takes.
const KEEP_BLOBS: i64 = 6 * HOUR;
/// Rows per transaction.
const BATCH: i64 = 500;

/// Drops what nobody needs any more.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Tidy {}

impl Job for Tidy {
    const KIND: &'static str = "Tidy";

    fn exclusive_key(&self) -> Option<String> {
        Some("tidy".to_owned())
    }

    async fn run(&self, context: &JobContext) -> Result<String, JobError> {
        let registry = &context.registry;
        let now = registry.now();
        let mut transaction = registry.database().write().await?;
        changes::prune(&mut transaction, (now - KEEP_CHANGES) * 10, BATCH).await?;
        jobs::prune(&mut transaction, now - KEEP_JOBS, BATCH).await?;
        let orphans =
            blobs::claim_deletable(&mut transaction, now - KEEP_BLOBS, now, BATCH).await?;
        transaction.commit().await?;

        for claimed in &orphans {
            context.check()?;
            blob::collect(registry, claimed)
                .await
                .map_err(|error| JobError::Retry(error.to_string()))?;
        }
        Ok(format!("deleted {} blobs", orphans.len()))
    }
}
