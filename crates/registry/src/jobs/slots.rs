//! Several jobs at once: who looks for the next one, when, and how many of them nobody may wait for.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use kapelle_storage::db::jobs::Job as Row;
use kapelle_storage::{StorageError, Transaction};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::{Priority, Worker};

/// How often the queue is looked at when nothing woke us.
const POLL: Duration = Duration::from_secs(1);
/// How long a slot goes on from job to job before it is free again: who looks for all slots also takes over what lost
/// workers have left.
const IN_A_ROW: Duration = Duration::from_secs(5);

impl Worker {
    /// Claims and runs jobs, `slots` at once, until `shutdown`; then waits for those that run. Of several slots one
    /// is kept for synchronizations, so that a push never waits for long builds to end.
    ///
    /// One task looks for all slots: what is queued wakes it once, and a queue that is empty is found so once.
    pub async fn run(&self, slots: usize, shutdown: CancellationToken) {
        let slots = slots.max(1);
        let free = Arc::new(Semaphore::new(slots));
        // What patient jobs may have.
        let spare = Arc::new(Semaphore::new((slots - 1).max(1)));
        let running = TaskTracker::new();
        while let Some(permit) = shutdown.run_until_cancelled(permit(&free)).await {
            // Registered before looking, so that a job queued in between still wakes us.
            let woken = self.registry.job_queued.notified();
            let patient = Arc::clone(&spare).try_acquire_owned().ok();
            let least_urgent = match patient {
                Some(_) => Priority::Patient,
                None => Priority::Routine,
            };
            match self.claim(least_urgent).await {
                Ok(Some(row)) => {
                    let patient = patient.filter(|_| row.priority == Priority::Patient as i64);
                    let slot = Slot {
                        worker: self.clone(),
                        shutdown: shutdown.clone(),
                        next: Arc::default(),
                    };
                    running.spawn(async move {
                        slot.run(row).await;
                        drop((permit, patient));
                        // What had to wait for this job to end, or for a second slot.
                        slot.worker.registry.wake_workers();
                    });
                    continue;
                }
                Ok(None) => {}
                Err(error) => tracing::error!(%error, "the job queue cannot be read"),
            }
            tokio::select! {
                () = shutdown.cancelled() => {}
                () = woken => {}
                () = tokio::time::sleep(POLL) => {}
            }
        }
        running.close();
        running.wait().await;
    }
}

async fn permit(free: &Arc<Semaphore>) -> OwnedSemaphorePermit {
    let permit = Arc::clone(free).acquire_owned().await;
    permit.expect("this semaphore is never closed")
}

/// One of the jobs at once, and what comes after it.
#[derive(Clone, Debug)]
pub(super) struct Slot {
    worker: Worker,
    shutdown: CancellationToken,
    /// Claimed by the job that runs, in the transaction that ends it.
    next: Arc<Mutex<Option<Row>>>,
}

impl Slot {
    /// Claims the next job in the transaction that ends the one that runs: a look at a repository where nothing has
    /// changed takes hardly longer than another such transaction.
    pub(super) async fn claim_next(
        &self,
        transaction: &mut Transaction,
    ) -> Result<(), StorageError> {
        let registry = &self.worker.registry;
        if self.shutdown.is_cancelled() || registry.database().writable().is_err() {
            return Ok(());
        }
        let row = self.worker.claim_in(transaction, Priority::Routine).await?;
        *self.next.lock().unwrap_or_else(PoisonError::into_inner) = row;
        Ok(())
    }

    /// Runs a job, and those that are claimed with the end of the one before.
    async fn run(&self, first: Row) {
        let begun = Instant::now();
        let mut row = first;
        loop {
            let follows = (begun.elapsed() < IN_A_ROW).then_some(self);
            if let Err(error) = self.worker.run_claimed(row, follows).await {
                tracing::error!(%error, "how a job ended could not be noted");
            }
            match self.take_next() {
                Some(next) if self.shutdown.is_cancelled() => {
                    return self.worker.give_up(&next).await;
                }
                Some(next) => row = next,
                None => return,
            }
        }
    }

    /// What was claimed, if it was.
    pub(super) fn take_next(&self) -> Option<Row> {
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        next.take()
    }
}
