//! The log: structured lines on standard error, as text or JSON.

mod access;
mod output;

use std::io::IsTerminal;

use kapelle_http::AccessLog;
use tracing_subscriber::prelude::*;
use tracing_subscriber::{EnvFilter, Layer, fmt};

use crate::settings::{LogFormat, Settings};
use access::AccessLines;

pub(crate) use output::flush;

/// Starts the log; `level` counts where the settings name none. Lines about requests may wait a moment in memory, so
/// [`flush`] is called at the end.
pub(crate) fn start(settings: &Settings, level: &str) -> anyhow::Result<()> {
    let filter = EnvFilter::try_new(settings.log.level.as_deref().unwrap_or(level))?;
    let lines = fmt::layer().with_writer(|| output::Direct);
    let lines = match settings.log.format {
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
        LogFormat::Text => lines.with_ansi(std::io::stderr().is_terminal()).boxed(),
    };
    let started = tracing_subscriber::registry()
        .with(filter)
        .with(lines)
        .try_init();
    started.map_err(|error| anyhow::anyhow!("the log cannot be started: {error}"))
}

/// Lines about requests, if the log that was started wants events of their target and level.
pub(crate) fn access_log(settings: &Settings) -> Box<dyn AccessLog> {
    let is_wanted = tracing::enabled!(target: access::TARGET, tracing::Level::INFO);
    Box::new(AccessLines::new(is_wanted.then_some(settings.log.format)))
}
