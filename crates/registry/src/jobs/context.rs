//! What a running job works with: its registry, its lease, its progress and its log.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use kapelle_storage::db::job_log::{self, LogLine};
use kapelle_storage::db::jobs as rows;
use kapelle_storage::{StorageError, Transaction};

use super::JobError;
use crate::registry::Registry;

/// Longest log line and message that is kept, in characters.
const LINE: usize = 2_000;
/// How often people look at a progress bar.
const LOOK: Duration = Duration::from_millis(200);

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

    /// Says how far the job is, for progress bars: not more often than people look.
    pub async fn progress(
        &self,
        done: usize,
        total: usize,
        message: &str,
    ) -> Result<(), StorageError> {
        if !self.is_time_to_tell() {
            return Ok(());
        }
        let [done, total] = [done, total].map(|count| i64::try_from(count).unwrap_or(i64::MAX));
        let mut transaction = self.registry.database().write().await?;
        rows::progress(
            &mut transaction,
            self.id,
            self.attempt,
            done,
            total,
            &clip(message),
        )
        .await?;
        transaction.commit().await
    }

    fn is_time_to_tell(&self) -> bool {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let is_time = told.elapsed() >= LOOK;
        if is_time {
            *told = Instant::now();
        }
        is_time
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
