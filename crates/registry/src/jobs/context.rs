//! What a running job works with: its registry, its lease, its progress and its log.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use kapelle_storage::db::job_log::{self, LogLine};
use kapelle_storage::db::jobs as rows;
use kapelle_storage::{StorageError, Transaction};

use super::slots::Slot;
use super::{JobError, Priority};
use crate::clock::Millis;
use crate::registry::Registry;

/// Longest log line and message that is kept, in characters.
const LINE: usize = 2_000;

/// A running job's view of itself.
#[derive(Clone, Debug)]
pub struct JobContext {
    /// The registry it works on.
    pub registry: Registry,
    /// Its row.
    pub id: i64,
    /// Which attempt this is; the fence of every write.
    pub attempt: i64,
    pub(super) stop: Arc<AtomicBool>,
    /// When it last said how far it is; at first, when it began.
    pub(super) told: Arc<Mutex<Instant>>,
    /// Whether it has [`conclude`](Self::conclude)d.
    pub(super) concluded: Arc<AtomicBool>,
    /// Who goes on with the next job.
    pub(super) follows: Option<Slot>,
}

impl JobContext {
    /// Fails when somebody asked for the job to stop or its lease was lost.
    pub fn check(&self) -> Result<(), JobError> {
        if self.stop.load(Ordering::SeqCst) {
            Err(JobError::Cancelled)
        } else {
            Ok(())
        }
    }

    /// Makes a transaction of this job fail if another worker has taken the job over. Call it last before commit.
    pub async fn fence(&self, transaction: &mut Transaction) -> Result<(), JobError> {
        if rows::is_held(transaction, self.id, self.attempt).await? {
            Ok(())
        } else {
            Err(JobError::Superseded)
        }
    }

    /// Ends the job well in the transaction of its last change, instead of another one after it. Fences like
    /// [`fence`](Self::fence): call it last before commit, and then let `run` give the same message.
    pub async fn conclude(
        &self,
        transaction: &mut Transaction,
        message: &str,
    ) -> Result<(), JobError> {
        let now = self.registry.now();
        if !end_well(transaction, self.id, self.attempt, &clip(message), now).await? {
            return Err(JobError::Superseded);
        }
        if let Some(slot) = &self.follows {
            slot.claim_next(transaction).await?;
        }
        self.concluded.store(true, Ordering::SeqCst);
        Ok(())
    }

    /// Adds lines to the job's log, unless another worker has taken the job over.
    pub async fn log(&self, lines: &[String]) -> Result<(), JobError> {
        if lines.is_empty() {
            return Ok(());
        }
        let now = self.registry.now();
        let lines: Vec<LogLine> = lines
            .iter()
            .map(|line| LogLine {
                job_id: self.id,
                logged_at: now,
                line: clip(line),
            })
            .collect();
        for LogLine { line, .. } in &lines {
            tracing::info!(job = self.id, "{line}");
        }
        let mut transaction = self.registry.database().write().await?;
        job_log::append(&mut transaction, &lines).await?;
        self.fence(&mut transaction).await?;
        Ok(transaction.commit().await?)
    }
}

/// Ends a job well. A routine look leaves no row then: with many packages they would be most of the database. What it
/// changed is in the audit log, and when it was, on the package. `false`: another worker has the job now.
pub(super) async fn end_well(
    transaction: &mut Transaction,
    id: i64,
    attempt: i64,
    message: &str,
    now: Millis,
) -> Result<bool, StorageError> {
    let routine = Priority::Routine as i64;
    rows::finish_or_forget(transaction, id, attempt, routine, message, now).await
}

/// Upstream text made fit for terminals, logs and PostgreSQL: no control characters, bounded.
pub(crate) fn clip(text: &str) -> String {
    text.chars()
        .map(|character| {
            if character.is_control() {
                ' '
            } else {
                character
            }
        })
        .take(LINE)
        .collect()
}
