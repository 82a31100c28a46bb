//! Several jobs at once: who looks for the next one, when, and which may have the last free slot.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::{Priority, Worker};

/// How often the queue is looked at when nothing woke us.
const POLL: Duration = Duration::from_secs(1);

impl Worker {
    /// Claims and runs jobs, `slots` at once, until `shutdown`; then waits for those that run. Of several slots one
    /// is kept for synchronizations, so that a push never waits for long builds to end.
    ///
    /// One task looks for all slots: what is queued wakes it once, and a queue that is empty is found so once.
    pub async fn run(&self, slots: usize, shutdown: CancellationToken) {
        let slots = slots.max(1);
        let free = Arc::new(Semaphore::new(slots));
        let running = TaskTracker::new();
        while let Some(slot) = shutdown.run_until_cancelled(slot(&free)).await {
            // Registered before looking, so that a job queued in between still wakes us.
            let woken = self.registry.job_queued.notified();
            let least_urgent = if free.available_permits() > 0 || slots == 1 {
                Priority::Patient
            } else {
                Priority::Routine
            };
            match self.claim(least_urgent).await {
                Ok(Some(row)) => {
                    let worker = self.clone();
                    running.spawn(async move {
                        if let Err(error) = worker.run_claimed(row).await {
                            tracing::error!(%error, "how a job ended could not be noted");
                        }
                        drop(slot);
                        // What had to wait for this job to end, or for a second slot.
                        worker.registry.wake_workers();
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

async fn slot(free: &Arc<Semaphore>) -> OwnedSemaphorePermit {
    let free = Arc::clone(free).acquire_owned().await;
    free.expect("this semaphore is never closed")
}
