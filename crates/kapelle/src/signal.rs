//! Being asked to stop: SIGTERM from the system, SIGINT from the terminal.

use anyhow::Context;
use tokio::signal::unix::{SignalKind, signal};

/// Waits for the first request.
pub(crate) async fn asked_to_stop() -> anyhow::Result<()> {
    let doing = "signals cannot be listened to";
    let mut terminate = signal(SignalKind::terminate()).context(doing)?;
    let mut interrupt = signal(SignalKind::interrupt()).context(doing)?;
    tokio::select! {
        _ = terminate.recv() => tracing::info!("asked to stop by SIGTERM; once more to stop at once"),
        _ = interrupt.recv() => tracing::info!("asked to stop by SIGINT; once more to stop at once"),
    }
    Ok(())
}

/// Does what there is to do before the end, unless a second request comes.
pub(crate) async fn or_at_once(stopping: impl Future<Output = ()>) {
    tokio::select! {
        () = stopping => tracing::info!("stopped"),
        _ = asked_to_stop() => tracing::warn!("stopped at once; jobs that ran are taken over after a minute"),
    }
}
