//! Claims jobs and runs them: a lease with a heartbeat, one of three ends, and never two workers on one job.

use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use futures::FutureExt;
use kapelle_storage::db::job_log::{self, LogLine};
use kapelle_storage::db::jobs::{self as rows, Claimant, Job as Row, Lease, Outcome};
use kapelle_storage::{StorageError, Transaction};

use super::context::end_well;
use super::slots::Slot;
use super::{
    BuildDists, BuildOneDist, Job, JobContext, JobError, MirrorPackage, Priority, SyncPackage,
    Tidy, back_off, clip,
};
use crate::depot::ABSENT_AFTER;
use crate::registry::Registry;

/// How many heartbeats there are in a lease.
const HEARTBEATS: u32 = 12;

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
    pub(super) registry: Registry,
    node: String,
}

impl Worker {
    /// A worker that claims jobs under the name `node`, unique among the processes on one database.
    pub fn new(registry: Registry, node: String) -> Self {
        Self { registry, node }
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
        self.registry.check_disk().await;
        self.registry.attend(&self.node).await?;
        let now = self.registry.now();
        let mut transaction = self.registry.database().write().await?;
        rows::reclaim_expired(&mut transaction, now).await?;
        let row = rows::claim_one(
            &mut transaction,
            id,
            &self.node,
            now,
            now + self.registry.lease(),
        )
        .await?;
        transaction.commit().await?;
        match row {
            Some(row) => self.run_claimed(row, None).await.map(Some),
            None => Ok(None),
        }
    }

    /// Claims the next job that is due and runs it to its end.
    pub async fn run_next(&self) -> Result<Option<Ran>, StorageError> {
        match self.claim(Priority::Patient).await? {
            Some(row) => self.run_claimed(row, None).await.map(Some),
            None => Ok(None),
        }
    }

    /// Takes over expired leases, and claims the next job that is due and no less urgent than that. While there is no room
    /// on the disks, none is claimed.
    pub(super) async fn claim(&self, least_urgent: Priority) -> Result<Option<Row>, StorageError> {
        let now = self.registry.now();
        let mut connection = self.registry.database().read().await?;
        let due = rows::due(&mut connection, least_urgent as i64, now).await?;
        drop(connection);
        if !due.leases && !due.jobs {
            return Ok(None);
        }
        if self.registry.check_disk().await.is_some() {
            return Ok(None);
        }
        self.registry.attend(&self.node).await?;
        let now = self.registry.now();
        // Whoever claims and is lost with the machine has done nothing that lasts without this claim.
        let mut transaction = self.registry.database().write_redoable().await?;
        if due.leases {
            rows::reclaim_expired(&mut transaction, now).await?;
        }
        let row = self.claim_in(&mut transaction, least_urgent).await?;
        transaction.commit().await?;
        Ok(row)
    }

    /// Claims the next job that is due and no less urgent than that.
    pub(super) async fn claim_in(
        &self,
        transaction: &mut Transaction,
        least_urgent: Priority,
    ) -> Result<Option<Row>, StorageError> {
        let now = self.registry.now();
        let claimant = Claimant {
            owner: &self.node,
            depot: self.registry.depot(),
            present_since: now - ABSENT_AFTER,
        };
        let until = now + self.registry.lease();
        rows::claim(transaction, claimant, least_urgent as i64, now, until).await
    }

    /// Gives everything that this worker runs back to the queue; what it still does can no longer be committed.
    pub async fn release(&self) -> Result<u64, StorageError> {
        let now = self.registry.now();
        let mut transaction = self.registry.database().write_reserved().await?;
        let released = rows::release(&mut transaction, &self.node, now).await?;
        rows::reclaim_expired(&mut transaction, now).await?;
        transaction.commit().await?;
        Ok(released)
    }

    /// Runs a job that was claimed to its end; the slot that follows may have the next one then.
    pub(super) async fn run_claimed(
        &self,
        row: Row,
        follows: Option<&Slot>,
    ) -> Result<Ran, StorageError> {
        let stop = Arc::new(AtomicBool::new(false));
        let concluded = Arc::new(AtomicBool::new(false));
        let context = JobContext {
            registry: self.registry.clone(),
            id: row.id,
            attempt: row.attempt,
            stop: Arc::clone(&stop),
            told: Arc::new(Mutex::new(Instant::now())),
            concluded: Arc::clone(&concluded),
            follows: follows.cloned(),
        };
        // The job first: once it has ended itself, a sign of life finds nothing any more.
        let outcome = tokio::select! {
            biased;
            outcome = surviving(Box::pin(dispatch(&row, &context))) => outcome,
            lost = self.keep_lease(&row, &stop) => Err(lost),
        };
        let (end, message) = judged(&row, outcome);
        let message = clip(&message);
        let ran = if end == End::Success && concluded.load(Ordering::SeqCst) {
            ran(&row, end, message)
        } else {
            let ran = self.record_in_time(&row, end, &message).await?;
            // Whether what it claimed was committed with its end is not known.
            if let Some(next) = follows.and_then(Slot::take_next) {
                self.give_up(&next).await;
            }
            ran
        };
        tracing::info!(job = ran.id, kind = ran.kind, package = row.package_id, end = ?ran.end, "{}", ran.message);
        metrics::counter!("kapelle_jobs_total", "kind" => row.kind, "end" => format!("{:?}", ran.end)).increment(1);
        Ok(ran)
    }

    /// Leaves a job that was claimed, or may have been, to whoever looks next. It is not run here: if the claim was not
    /// committed, another one of the same attempt may run already.
    pub(super) async fn give_up(&self, claimed: &Row) {
        let given_up = async {
            let mut transaction = self.registry.database().write_reserved().await?;
            rows::give_up(&mut transaction, claimed, self.registry.now()).await?;
            transaction.commit().await
        };
        if let Err(error) = given_up.await {
            tracing::warn!(job = claimed.id, %error, "a job waits until its lease has run out");
        }
        self.registry.wake_workers();
    }

    /// Beats until the lease is lost, or there is no room left for what the job writes. A wish to cancel is passed on;
    /// the job stops at its next step.
    async fn keep_lease(&self, row: &Row, stop: &AtomicBool) -> JobError {
        loop {
            tokio::time::sleep(self.registry.limits().lease / HEARTBEATS).await;
            if let Some(shortage) = self.registry.check_disk().await {
                return JobError::Postpone(shortage.to_string());
            }
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
        let until = self.registry.now() + self.registry.lease();
        let mut transaction = self.registry.database().write_reserved().await?;
        let beat =
            rows::heartbeat(&mut transaction, row.id, row.attempt, &self.node, until).await?;
        transaction.commit().await?;
        Ok(beat)
    }

    /// What the database cannot take now it may take in a moment; after the lease somebody else does the job anew.
    async fn record_in_time(
        &self,
        row: &Row,
        end: End,
        message: &str,
    ) -> Result<Ran, StorageError> {
        let given_up = Instant::now() + self.registry.limits().lease;
        loop {
            match self.record(row, end, message).await {
                Err(error) if Instant::now() < given_up => {
                    tracing::warn!(job = row.id, %error, "how a job ended could not be noted; trying again");
                    tokio::time::sleep(self.registry.limits().lease / HEARTBEATS).await;
                }
                recorded => return recorded,
            }
        }
    }

    async fn record(&self, row: &Row, end: End, message: &str) -> Result<Ran, StorageError> {
        let now = self.registry.now();
        let mut transaction = self.registry.database().write_reserved().await?;
        let end = match (end, rows::find(&mut transaction, row.id).await?) {
            // Who asked for it to stop does not want it tried again.
            (End::Again, Some(now)) if now.cancel_requested => End::Cancelled,
            (end, _) => end,
        };
        let ours = match outcome_of(end) {
            Some(Outcome::Success) => {
                end_well(&mut transaction, row.id, row.attempt, message, now).await?
            }
            Some(outcome) => {
                rows::finish(&mut transaction, row.id, row.attempt, outcome, message, now).await?
            }
            None if end == End::Again => {
                let run_at = now + back_off(row.attempt);
                let line = format!("attempt {}: {message}", of_all(row));
                let line = LogLine {
                    job_id: row.id,
                    logged_at: now,
                    line,
                };
                let (id, attempt) = (row.id, row.attempt);
                let ours =
                    rows::retry_later(&mut transaction, id, attempt, run_at, message, now).await?;
                if ours {
                    job_log::append(&mut transaction, &[line]).await?;
                }
                ours
            }
            None => false,
        };
        transaction.commit().await?;
        let end = if ours { end } else { End::Superseded };
        Ok(ran(row, end, message.to_owned()))
    }
}

fn ran(row: &Row, end: End, message: String) -> Ran {
    Ran {
        id: row.id,
        kind: row.kind.clone(),
        end,
        message,
    }
}

/// What the outcome of a run means for the job.
fn judged(row: &Row, outcome: Result<String, JobError>) -> (End, String) {
    match outcome {
        Ok(message) => (End::Success, message),
        Err(JobError::Retry(message)) if row.attempt < row.max_attempts => (End::Again, message),
        Err(JobError::Postpone(message)) => (End::Again, message),
        Err(JobError::Retry(message) | JobError::Fail(message)) => (End::Error, message),
        Err(JobError::Cancelled) => (End::Cancelled, JobError::Cancelled.to_string()),
        Err(JobError::Superseded) => (End::Superseded, JobError::Superseded.to_string()),
    }
}

/// `2 of 5`; what is tried for as long as a disk is full has no end.
fn of_all(row: &Row) -> String {
    let Row {
        attempt,
        max_attempts,
        ..
    } = row;
    if attempt < max_attempts {
        format!("{attempt} of {max_attempts}")
    } else {
        attempt.to_string()
    }
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
        BuildOneDist::KIND => run::<BuildOneDist>(row, context).await,
        MirrorPackage::KIND => run::<MirrorPackage>(row, context).await,
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
