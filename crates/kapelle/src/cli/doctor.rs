//! `kapelle doctor`: is everything there that Kapelle needs, and what to do where it is not.

mod checks;
mod folder;

use serde::Serialize;

use crate::exit::Failure;
use crate::output::{Output, Row};
use crate::settings::Loaded;

/// How a check went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Verdict {
    Ok,
    /// Works, and should be looked at.
    Warn,
    /// Does not work.
    Fail,
}

/// One line of the diagnosis.
#[derive(Debug, Serialize)]
struct Check {
    name: &'static str,
    verdict: Verdict,
    finding: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    advice: Option<String>,
}

impl Check {
    fn ok(name: &'static str, finding: impl Into<String>) -> Self {
        Self {
            name,
            verdict: Verdict::Ok,
            finding: finding.into(),
            advice: None,
        }
    }

    fn warn(name: &'static str, finding: impl Into<String>, advice: impl Into<String>) -> Self {
        Self {
            name,
            verdict: Verdict::Warn,
            finding: finding.into(),
            advice: Some(advice.into()),
        }
    }

    fn fail(name: &'static str, finding: impl Into<String>, advice: impl Into<String>) -> Self {
        Self {
            name,
            verdict: Verdict::Fail,
            finding: finding.into(),
            advice: Some(advice.into()),
        }
    }
}

impl Row for Check {
    const HEADINGS: &'static [&'static str] = &["", "CHECK", "FINDING", "WHAT TO DO"];

    fn cells(&self) -> Vec<String> {
        let verdict = match self.verdict {
            Verdict::Ok => "ok",
            Verdict::Warn => "warn",
            Verdict::Fail => "FAIL",
        };
        let advice = self.advice.clone().unwrap_or_default();
        vec![
            verdict.to_owned(),
            self.name.to_owned(),
            self.finding.clone(),
            advice,
        ]
    }
}

/// Runs every check; fails when one of them does.
pub(super) async fn run(loaded: Loaded, output: Output) -> anyhow::Result<()> {
    let diagnosis = checks::run(loaded, output).await;
    output.list(&diagnosis, "")?;
    let failed = diagnosis.iter().any(|check| check.verdict == Verdict::Fail);
    if failed {
        Err(Failure::Told.into())
    } else {
        Ok(())
    }
}
