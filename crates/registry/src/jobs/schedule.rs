//! What happens by the clock: each entry queues its jobs when its time has come, on exactly one process.

use std::time::Duration;

use kapelle_storage::StorageError;
use kapelle_storage::db::{jobs, packages, schedules};
use tokio_util::sync::CancellationToken;

use super::{LONGEST_WAIT, Priority, SyncPackage, Tidy, enqueue, enqueue_as};
use crate::clock::{DAY, HOUR, MINUTE, Millis};
use crate::registry::Registry;
use crate::statistics;

/// What is due, and how often.
const SCHEDULES: [(Due, &str, Millis); 2] = [
    (Due::Tidy, "tidy", DAY),
    (Due::Synchronize, "synchronize", 5 * MINUTE),
];
/// A package whose hook never calls is looked at this often.
const POLL_PACKAGES: Millis = HOUR;
/// What lies further ahead than it could be was written by a clock that has been set back since. So much may another
/// process's clock be ahead of ours.
const AHEAD: Millis = MINUTE;
/// Packages queued per transaction.
const BATCH: i64 = 500;
/// How often the schedule is looked at and the buffers are flushed.
const TICK: Duration = Duration::from_secs(5);

#[derive(Clone, Copy, PartialEq, Eq)]
enum Due {
    Tidy,
    Synchronize,
}

impl Registry {
    /// Runs the schedule and flushes buffers until `shutdown`, then flushes once more.
    pub async fn keep_house(&self, shutdown: CancellationToken) {
        loop {
            if let Err(error) = self.tick().await {
                tracing::error!(%error, "the schedule could not be worked off");
            }
            if let Err(error) = self.check_clock().await {
                tracing::error!(%error, "the database's clock could not be read");
            }
            tokio::select! {
                () = shutdown.cancelled() => break,
                () = tokio::time::sleep(TICK) => {}
            }
        }
        if let Err(error) = statistics::flush(self).await {
            tracing::error!(%error, "the last statistics could not be written");
        }
    }

    /// One round: flush the buffers, look whether there is room on the disks, and if so queue what is due.
    pub async fn tick(&self) -> Result<(), StorageError> {
        let flushed = statistics::flush(self).await;
        if self.check_disk().await.is_some() {
            return flushed;
        }
        self.bring_forward().await?;
        for (due, name, every) in SCHEDULES {
            if self.claim_schedule(due, name, every).await? && due == Due::Synchronize {
                self.queue_synchronizations().await?;
            }
        }
        flushed
    }

    async fn claim_schedule(
        &self,
        due: Due,
        name: &str,
        every: Millis,
    ) -> Result<bool, StorageError> {
        let now = self.now();
        let mut transaction = self.database().write().await?;
        schedules::ensure(&mut transaction, name, now).await?;
        let next = now + every;
        let claimed = schedules::claim_due(&mut transaction, name, now, next, next + AHEAD).await?;
        // What comes once a day is queued with its claim, so that no crash in between skips a day.
        if claimed && due == Due::Tidy {
            enqueue(self, &mut transaction, &Tidy {}).await?;
        }
        transaction.commit().await?;
        if claimed {
            self.wake_workers();
        }
        Ok(claimed)
    }

    /// What was written by a clock that has been set back since would wait until that time comes again.
    async fn bring_forward(&self) -> Result<(), StorageError> {
        let now = self.now();
        let mut transaction = self.database().write().await?;
        let lease = now + self.lease() + AHEAD;
        let forward =
            jobs::bring_forward(&mut transaction, now, lease, now + LONGEST_WAIT + AHEAD).await?;
        transaction.commit().await?;
        if forward > 0 {
            tracing::warn!(
                jobs = forward,
                "jobs were put off by a clock that was ahead; they are not any more"
            );
            self.wake_workers();
        }
        Ok(())
    }

    async fn queue_synchronizations(&self) -> Result<(), StorageError> {
        let now = self.now();
        self.queue_waiting(i64::MIN, now - POLL_PACKAGES).await?;
        self.queue_waiting(now + AHEAD + 1, i64::MAX).await
    }

    /// Queues the packages that were last looked at from `from` to before `until`.
    async fn queue_waiting(&self, from: Millis, until: Millis) -> Result<(), StorageError> {
        let mut after = (from, 0);
        loop {
            let mut connection = self.database().read().await?;
            let mut page = packages::list_waiting(&mut connection, after, until, BATCH).await?;
            drop(connection);
            let Some(last) = page.last() else {
                return Ok(());
            };
            after = (last.since, last.id);
            // As hooks queue them, so that neither waits for the other.
            page.sort_unstable_by_key(|package| package.id);
            let mut transaction = self.database().write().await?;
            for package in &page {
                let job = SyncPackage {
                    organization_id: package.organization_id,
                    package_id: package.id,
                };
                enqueue_as(self, &mut transaction, &job, Priority::Routine).await?;
            }
            transaction.commit().await?;
            self.wake_workers();
        }
    }
}
