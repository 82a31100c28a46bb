//! `[log]`: what is logged, and how.

use serde_json::{Value as Json, json};

use super::section::section;
use super::value::Value;

/// How a line of the log looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LogFormat {
    /// For people.
    Text,
    /// One JSON object per line.
    Json,
}

impl Value for LogFormat {
    fn expects() -> String {
        "text or json".to_owned()
    }

    fn parse(text: &str) -> Option<Self> {
        match text {
            "text" => Some(Self::Text),
            "json" => Some(Self::Json),
            _ => None,
        }
    }

    fn show(&self) -> Json {
        match self {
            Self::Text => json!("text"),
            Self::Json => json!("json"),
        }
    }
}

section! {
    /// The log, which goes to standard error.
    log: Log {
        /// `text`, or `json` for one object per line.
        format: LogFormat = LogFormat::Text,
        /// `error`, `warn`, `info`, `debug` or `trace`; also for single parts: `info,kapelle_vcs=debug`.
        ///
        /// `serve` and `worker` log from `info` on, other commands from `warn` on, unless this is set.
        level: Option<String> = None,
    }
}
