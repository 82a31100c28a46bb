//! Work that happens later: queued in the transaction that causes it, run by any worker, retried or given up.
//!
//! A job is one file here: its payload, its knobs and its `run` together. Every write of a job is fenced by its
//! attempt number, so that a worker that lost its lease can no longer change anything.

mod build_dists;
mod build_one_dist;
mod context;
mod mirror_package;
mod progress;
mod schedule;
mod slots;
mod sync_package;
mod tidy;
mod worker;

pub use build_dists::BuildDists;
pub use build_one_dist::BuildOneDist;
pub use context::JobContext;
pub(crate) use context::clip;
pub use mirror_package::{MirrorError, MirrorPackage};
pub use sync_package::SyncPackage;
pub(crate) use tidy::KEEP_BLOBS;
pub use tidy::Tidy;
pub use worker::{End, Ran, Worker};

use kapelle_storage::db::job_log::{self, LogLine};
pub use kapelle_storage::db::jobs::Filter;
use kapelle_storage::db::jobs::{self as rows, Cancelled, Job as Row, NewJob};
use kapelle_storage::{StorageError, Transaction};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::access::{self, Denied};
use crate::actor::Actor;
use crate::audit;
use crate::clock::{HOUR, Millis, SECOND};
use crate::dist::DistError;
use crate::registry::Registry;

/// What goes first when more is due than can be done at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Priority {
    /// Somebody waits for it: a push, a command.
    Urgent = 0,
    /// The routine look at every repository.
    Routine = 1,
    /// Nobody notices when it comes late: dists are also built when they are asked for.
    Patient = 2,
}

/// A kind of work.
pub trait Job: Serialize + DeserializeOwned + Send + Sync {
    /// The name in the database, the logs and the command line.
    const KIND: &'static str;
    /// How often it is tried before it is given up.
    const ATTEMPTS: i64 = 5;

    /// How urgent it is.
    const PRIORITY: Priority;

    /// At most one queued and one running job share a key.
    fn exclusive_key(&self) -> Option<String>;

    /// The organization it works for.
    fn organization_id(&self) -> Option<i64> {
        None
    }

    /// The package it works on.
    fn package_id(&self) -> Option<i64> {
        None
    }

    /// Does the work; the text says what came of it.
    fn run(&self, context: &JobContext) -> impl Future<Output = Result<String, JobError>> + Send;
}

/// How a run ended if not well.
#[derive(Debug, thiserror::Error)]
pub enum JobError {
    /// It may go better later: an upstream that does not answer.
    #[error("{0}")]
    Retry(String),
    /// A disk, the store of blobs or the database fails us, which is no fault of the job's: it is tried again until they
    /// work, however often that is.
    #[error("{0}")]
    Postpone(String),
    /// It will not go better by itself.
    #[error("{0}")]
    Fail(String),
    /// Somebody asked for it to stop.
    #[error("cancelled")]
    Cancelled,
    /// Another worker has taken this job over; nothing was changed.
    #[error("another worker has taken this job over")]
    Superseded,
}

impl From<StorageError> for JobError {
    fn from(error: StorageError) -> Self {
        match error {
            StorageError::Shut { .. } | StorageError::Unwritable { .. } => {
                Self::Postpone(error.to_string())
            }
            outage if outage.is_outage() => Self::Postpone(outage.to_string()),
            other => Self::Retry(other.to_string()),
        }
    }
}

impl From<DistError> for JobError {
    fn from(error: DistError) -> Self {
        match error {
            DistError::Storage(error) => error.into(),
            ours if ours.is_ours() => Self::Postpone(ours.to_string()),
            other => Self::Retry(other.to_string()),
        }
    }
}

/// The longest pause between two attempts: no job is put off for longer.
const LONGEST_WAIT: Millis = HOUR;

/// Log lines that are shown at most.
const LOG_LINES: i64 = 10_000;

/// How long to wait before attempt `attempt + 1`: 10 s, 40 s, 160 s … up to an hour.
fn back_off(attempt: i64) -> Millis {
    let exponent = u32::try_from(attempt.clamp(1, 10) - 1).unwrap_or(0);
    (10 * SECOND * 4_i64.pow(exponent)).min(LONGEST_WAIT)
}

/// Queues `job` in the caller's transaction; a queued twin is returned instead of making another.
/// Call [`Registry::wake_workers`] after the commit.
pub async fn enqueue<J: Job>(
    registry: &Registry,
    transaction: &mut Transaction,
    job: &J,
) -> Result<i64, StorageError> {
    enqueue_as(registry, transaction, job, J::PRIORITY).await
}

/// Like [`enqueue`], with another priority than its kind has.
pub async fn enqueue_as<J: Job>(
    registry: &Registry,
    transaction: &mut Transaction,
    job: &J,
    priority: Priority,
) -> Result<i64, StorageError> {
    let payload =
        serde_json::to_string(job).expect("payloads are plain structs, which JSON can always hold");
    let exclusive_key = job.exclusive_key();
    let new = NewJob {
        kind: J::KIND,
        payload: &payload,
        organization_id: job.organization_id(),
        package_id: job.package_id(),
        exclusive_key: exclusive_key.as_deref(),
        priority: priority as i64,
        max_attempts: J::ATTEMPTS,
        run_at: registry.now(),
        created_at: registry.now(),
    };
    rows::enqueue(transaction, new).await
}

impl Registry {
    /// How long a job stays with a worker that gives no sign of life.
    pub(crate) fn lease(&self) -> Millis {
        i64::try_from(self.limits().lease.as_millis()).unwrap_or(i64::MAX / 2)
    }

    /// Tells this process's workers that there may be something to do.
    pub fn wake_workers(&self) {
        self.job_queued.notify_waiters();
    }
}

/// Why a job could not be shown or cancelled.
#[derive(Debug, thiserror::Error)]
pub enum ShowError {
    /// Not allowed.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// There is none, or it belongs to somebody else.
    #[error("there is no job {0}")]
    Unknown(i64),
    /// It has ended already.
    #[error("job {0} has ended: there is nothing to cancel")]
    Ended(i64),
    /// The database failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// One job of an organization.
pub async fn show(registry: &Registry, actor: &Actor, id: i64) -> Result<Row, ShowError> {
    let row = rows::find(&mut registry.database().read().await?, id).await?;
    let row = row.ok_or(ShowError::Unknown(id))?;
    access::read(actor, row.organization_id.unwrap_or(0))?;
    Ok(row)
}

/// Jobs of an organization, newest first.
pub async fn list(
    registry: &Registry,
    actor: &Actor,
    filter: Filter<'_>,
    limit: i64,
) -> Result<Vec<Row>, ShowError> {
    access::inspect(actor, filter.organization_id.unwrap_or(0))?;
    Ok(rows::list(&mut registry.database().read().await?, filter, limit).await?)
}

/// What a job wrote to its log, oldest first.
pub async fn log(registry: &Registry, actor: &Actor, id: i64) -> Result<Vec<LogLine>, ShowError> {
    show(registry, actor, id).await?;
    Ok(job_log::list(&mut registry.database().read().await?, id, LOG_LINES).await?)
}

/// Asks a job to stop: a queued one ends at once, a running one at its next step.
pub async fn cancel(registry: &Registry, actor: &Actor, id: i64) -> Result<(), ShowError> {
    let row = show(registry, actor, id).await?;
    access::administer(actor, row.organization_id.unwrap_or(0))?;
    let mut transaction = registry.database().write().await?;
    if rows::cancel(&mut transaction, id, registry.now()).await? == Cancelled::TooLate {
        return Err(ShowError::Ended(id));
    }
    let entry = audit::Entry {
        organization_id: row.organization_id,
        action: "job.cancel",
        subject: &id.to_string(),
        detail: serde_json::json!({ "kind": row.kind }),
    };
    audit::record(registry, &mut transaction, actor, entry).await?;
    Ok(transaction.commit().await?)
}
