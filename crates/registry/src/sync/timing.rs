//! How long the steps of a synchronization take: `kapelle_sync_seconds{step}`.

use std::time::Instant;

use futures::future::BoxFuture;

/// Does a step's work and notes how long it took, however it ended. The work is boxed: a synchronization would otherwise
/// carry the room of its largest step through all of them.
pub(super) async fn timed<T>(step: &'static str, work: BoxFuture<'_, T>) -> T {
    let started = Instant::now();
    let outcome = work.await;
    metrics::histogram!("kapelle_sync_seconds", "step" => step)
        .record(started.elapsed().as_secs_f64());
    outcome
}
