//! Claims jobs and runs them: a lease with a heartbeat, one of three ends, and never two workers on one job.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures::FutureExt;
use kapelle_storage::db::job_log::{self, LogLine};
use kapelle_storage::db::jobs::{self as rows, Job as Row, Lease, Outcome};
use kapelle_storage::{StorageError, Transaction};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::{BuildDists, Job, JobContext, JobError, Priority, SyncPackage, Tidy, back_off, clip};
use crate::clock::{Millis, SECOND};
use crate::registry::Registry;

/// How long a job stays ours without a heartbeat.
const LEASE: Millis = 60 * SECOND;
/// How often the heartbeat beats.
const HEARTBEAT: Duration = Duration::from_secs(5);
/// How often the queue is looked at when nothing woke us.
const POLL: Duration = Duration::from_secs(1);

/// How a run of a job ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// It did what it was for.
    Success,
    /// It failed for good.
    Error,
    /// Somebody asked for it to stop.
    Cancelled,
    /// It failed and will be tried again.
    Again,
    /// Another worker has it now.
    Superseded,
}

/// A job that this worker ran.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ran {
    /// The job's row.
    pub id: i64,
    /// Its kind.
    pub kind: String,
    /// How the run ended.
    pub end: End,
    /// What it has to say.
    pub message: String,
}

/// Runs jobs of a registry.
#[derive(Clone, Debug)]
pub struct Worker {
    registry: Registry,
    node: String,
}

impl Worker {
    /// A worker that claims jobs under the name `node`, unique among the processes on one database.
    pub fn new(registry: Registry, node: String) -> Self {
        Self { registry, node }
    }

    /// Claims and runs jobs, `slots` at once, until `shutdown`; then waits for those that run. Of several slots one
    /// is kept for synchronizations, so that a push never waits for long builds to end.
    pub async fn run(&self, slots: usize, shutdown: CancellationToken) {
        let running = TaskTracker::new();
        for slot in 0..slots.max(1) {
            let worker = self.clone();
            let shutdown = shutdown.clone();
            let least_urgent = if slot > 0 || slots == 1 {
                Priority::Patient
            } else {
                Priority::Routine
            };
            running.spawn(async move { worker.run_slot(least_urgent, shutdown).await });
        }
        running.close();
        running.wait().await;
    }

    async fn run_slot(&self, least_urgent: Priority, shutdown: CancellationToken) {
        while !shutdown.is_cancelled() {
            // Registered before looking, so that a job queued in between still wakes us.
            let woken = self.registry.job_queued.notified();
            match self.run_next_of(least_urgent).await {
                Ok(Some(_)) => continue,
                Ok(None) => {}
                Err(error) => tracing::error!(%error, "the job queue cannot be read"),
            }
            tokio::select! {
                () = shutdown.cancelled() => {}
                () = woken => {}
                () = tokio::time::sleep(POLL) => {}
            }
        }
    }

    /// Runs what is due now, and what that queues, until nothing is left; returns how each ended.
    pub async fn run_until_idle(&self) -> Result<Vec<Ran>, StorageError> {
        let mut ran = Vec::new();
        while let Some(one) = self.run_next().await? {
            ran.push(one);
        }
        Ok(ran)
    }

    /// Runs the job `id` here unless another worker has it already; `None` when it was not to be had.
    pub async fn run_this(&self, id: i64) -> Result<Option<Ran>, StorageError> {
        let now = self.registry.now();
        let mut transaction = self.registry.database().write().await?;
        rows::reclaim_expired(&mut transaction, now).await?;
        let row = rows::claim_one(&mut transaction, id, &self.node, now, now + LEASE).await?;
        transaction.commit().await?;
        match row {
            Some(row) => self.run_claimed(row).await.map(Some),
            None => Ok(None),
        }
    }

    /// Takes over expired leases, claims the next job that is due and runs it to its end.
    pub async fn run_next(&self) -> Result<Option<Ran>, StorageError> {
        self.run_next_of(Priority::Patient).await
    }

    async fn run_next_of(&self, least_urgent: Priority) -> Result<Option<Ran>, StorageError> {
        let now = self.registry.now();
        let mut transaction = self.registry.database().write().await?;
        rows::reclaim_expired(&mut transaction, now).await?;
        let least_urgent = least_urgent as i64;
        let row = rows::claim(&mut transaction, &self.node, least_urgent, now, now + LEASE).await?;
        transaction.commit().await?;
        match row {
            Some(row) => self.run_claimed(row).await.map(Some),
            None => Ok(None),
        }
    }

    /// Gives everything that this worker runs back to the queue; what it still does can no longer be committed.
    pub async fn release(&self) -> Result<u64, StorageError> {
        let now = self.registry.now();
        let mut transaction = self.registry.database().write().await?;
        let released = rows::release(&mut transaction, &self.node, now).await?;
        rows::reclaim_expired(&mut transaction, now).await?;
        transaction.commit().await?;
        Ok(released)
    }

    async fn run_claimed(&self, row: Row) -> Result<Ran, StorageError> {
        let stop = Arc::new(AtomicBool::new(false));
        let context = JobContext {
            registry: self.registry.clone(),
            id: row.id,
            attempt: row.attempt,
            stop: Arc::clone(&stop),
        };
        let outcome = tokio::select! {
            outcome = surviving(Box::pin(dispatch(&row, &context))) => outcome,
            lost = self.keep_lease(&row, &stop) => Err(lost),
        };
        let ran = self.record(&row, outcome).await?;
        tracing::info!(job = ran.id, kind = ran.kind, package = row.package_id, end = ?ran.end, "{}", ran.message);
        metrics::counter!("kapelle_jobs_total", "kind" => row.kind, "end" => format!("{:?}", ran.end)).increment(1);
        Ok(ran)
    }

    /// Beats until the lease is lost. A wish to cancel is passed on; the job stops at its next step.
    async fn keep_lease(&self, row: &Row, stop: &AtomicBool) -> JobError {
        loop {
            tokio::time::sleep(HEARTBEAT).await;
            match self.beat(row).await {
                Ok(Lease::Held) => {}
                Ok(Lease::CancelRequested) => stop.store(true, Ordering::SeqCst),
                Ok(Lease::Lost) => return JobError::Superseded,
                Err(error) => {
                    tracing::warn!(job = row.id, %error, "the job's lease could not be extended");
                }
            }
        }
    }

    async fn beat(&self, row: &Row) -> Result<Lease, StorageError> {
        let until = self.registry.now() + LEASE;
        let mut transaction = self.registry.database().write().await?;
        let beat =
            rows::heartbeat(&mut transaction, row.id, row.attempt, &self.node, until).await?;
        transaction.commit().await?;
        Ok(beat)
    }

    async fn record(
        &self,
        row: &Row,
        outcome: Result<String, JobError>,
    ) -> Result<Ran, StorageError> {
        let now = self.registry.now();
        let (end, message) = match outcome {
            Ok(message) => (End::Success, message),
            Err(JobError::Retry(message)) if row.attempt < row.max_attempts => {
                (End::Again, message)
            }
            Err(JobError::Retry(message) | JobError::Fail(message)) => (End::Error, message),
            Err(JobError::Cancelled) => (End::Cancelled, JobError::Cancelled.to_string()),
            Err(JobError::Superseded) => (End::Superseded, JobError::Superseded.to_string()),
        };
        let message = clip(&message);
        let mut transaction = self.registry.database().write().await?;
        let end = match (end, rows::find(&mut transaction, row.id).await?) {
            // Who asked for it to stop does not want it tried again.
            (End::Again, Some(now)) if now.cancel_requested => End::Cancelled,
            (end, _) => end,
        };
        let ours = match outcome_of(end) {
            Some(Outcome::Success) if forget_routine(&mut transaction, row).await? => true,
            Some(outcome) => {
                rows::finish(
                    &mut transaction,
                    row.id,
                    row.attempt,
                    outcome,
                    &message,
                    now,
                )
                .await?
            }
            None if end == End::Again => {
                let run_at = now + back_off(row.attempt);
                let line = format!("attempt {} of {}: {message}", row.attempt, row.max_attempts);
                job_log::append(
                    &mut transaction,
                    &[LogLine {
                        job_id: row.id,
                        logged_at: now,
                        line,
                    }],
                )
                .await?;
                rows::retry_later(&mut transaction, row.id, row.attempt, run_at, &message, now)
                    .await?
            }
            None => false,
        };
        transaction.commit().await?;
        let end = if ours { end } else { End::Superseded };
        Ok(Ran {
            id: row.id,
            kind: row.kind.clone(),
            end,
            message,
        })
    }
}

/// A routine look that went well leaves no row: with many packages they would be most of the database. What it changed
/// is in the audit log, and when it was, on the package.
async fn forget_routine(transaction: &mut Transaction, row: &Row) -> Result<bool, StorageError> {
    rows::forget(transaction, row.id, row.attempt, Priority::Routine as i64).await
}

fn outcome_of(end: End) -> Option<Outcome> {
    match end {
        End::Success => Some(Outcome::Success),
        End::Error => Some(Outcome::Error),
        End::Cancelled => Some(Outcome::Cancelled),
        End::Again | End::Superseded => None,
    }
}

/// A job that panics fails like any other: its slot goes on, and its row does not wait for the lease to run out.
async fn surviving(
    work: impl Future<Output = Result<String, JobError>>,
) -> Result<String, JobError> {
    AssertUnwindSafe(work)
        .catch_unwind()
        .await
        .unwrap_or_else(|panic| {
            let said = panic
                .downcast_ref::<&str>()
                .map(|said| (*said).to_owned())
                .or_else(|| panic.downcast_ref::<String>().cloned())
                .unwrap_or_default();
            tracing::error!(said, "a job panicked");
            Err(JobError::Retry(
                "a fault in Kapelle stopped this job: its log has the details".to_owned(),
            ))
        })
}

async fn dispatch(row: &Row, context: &JobContext) -> Result<String, JobError> {
    match row.kind.as_str() {
        SyncPackage::KIND => run::<SyncPackage>(row, context).await,
        BuildDists::KIND => run::<BuildDists>(row, context).await,
        Tidy::KIND => run::<Tidy>(row, context).await,
        other => Err(JobError::Fail(format!(
            "this version does not know jobs of kind {other:?}"
        ))),
    }
}

async fn run<J: Job>(row: &Row, context: &JobContext) -> Result<String, JobError> {
    let job: J = serde_json::from_str(&row.payload).map_err(|error| {
        JobError::Fail(format!("the payload of job {} is damaged: {error}", row.id))
    })?;
    job.run(context).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_job_that_panics_fails_and_its_slot_goes_on() {
        let outcome = surviving(async { panic!("out of {}", "ideas") }).await;
        assert!(matches!(outcome, Err(JobError::Retry(_))), "{outcome:?}");
    }
}
