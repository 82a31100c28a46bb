//! How far a job is, told not more often than people look.

use std::sync::PoisonError;
use std::time::{Duration, Instant};

use kapelle_storage::StorageError;
use kapelle_storage::db::jobs as rows;

use super::JobContext;
use super::context::clip;

/// How often people look at a progress bar.
const LOOK: Duration = Duration::from_millis(200);

impl JobContext {
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
}
