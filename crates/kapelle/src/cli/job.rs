//! `kapelle job …`: the work in the background.

use std::collections::HashMap;
use std::fmt::Write;

use anyhow::Context;
use clap::{Subcommand, ValueEnum};
use kapelle_registry::jobs::{self, Filter};
use kapelle_registry::package;
use kapelle_storage::db::jobs::Job;
use kapelle_storage::db::packages;
use serde::Serialize;

use super::when;
use crate::app::{App, OPERATOR};
use crate::output::Row;
use crate::progress;

#[derive(Debug, Subcommand)]
pub(crate) enum JobCommand {
    /// List jobs, newest first
    List {
        /// Only those of this organization
        #[arg(long, value_name = "NAME")]
        organization: Option<String>,
        /// Only those in this state
        #[arg(long, value_enum)]
        state: Option<State>,
        /// Only those of this package
        #[arg(long, value_name = "PACKAGE")]
        package: Option<String>,
        /// How many at most
        #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(i64).range(1..=10_000))]
        limit: i64,
    },
    /// Show a job and what it wrote to its log
    Show {
        /// The id that `job list` shows
        id: i64,
    },
    /// Ask a job to stop: a queued one ends at once, a running one at its next step
    Cancel {
        /// The id that `job list` shows
        id: i64,
    },
    /// Wait for a job, and do it here if nobody else does
    Wait {
        /// The id that `job list` shows
        id: i64,
    },
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum State {
    /// Waits for a worker
    Queued,
    /// Is being done
    Running,
    /// Did what it should
    Success,
    /// Did not, and is not tried again
    Error,
    /// Was asked to stop
    Cancelled,
}

impl State {
    fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Success => "success",
            Self::Error => "error",
            Self::Cancelled => "cancelled",
        }
    }
}

/// A job as it is printed.
#[derive(Debug, Serialize)]
pub(super) struct Shown {
    id: i64,
    kind: String,
    state: String,
    message: String,
    package_id: Option<i64>,
    package: Option<String>,
    attempt: i64,
    max_attempts: i64,
    progress: [i64; 2],
    created_at: String,
    run_at: String,
    started_at: Option<String>,
    finished_at: Option<String>,
}

impl Shown {
    fn new(job: Job, package: Option<String>) -> Self {
        Self {
            id: job.id,
            kind: job.kind,
            state: job.state,
            message: job.message,
            package_id: job.package_id,
            package,
            attempt: job.attempt,
            max_attempts: job.max_attempts,
            progress: [job.progress_done, job.progress_total],
            created_at: when::rfc3339(job.created_at),
            run_at: when::rfc3339(job.run_at),
            started_at: when::optional(job.started_at),
            finished_at: when::optional(job.finished_at),
        }
    }

    /// When it runs, as long as it waits for that.
    fn next_run(&self) -> Option<&String> {
        Some(&self.run_at).filter(|_| self.state == "queued")
    }
}

impl Row for Shown {
    const HEADINGS: &'static [&'static str] = &[
        "ID", "KIND", "PACKAGE", "STATE", "ATTEMPT", "CREATED", "NEXT RUN", "MESSAGE",
    ];

    fn cells(&self) -> Vec<String> {
        vec![
            self.id.to_string(),
            self.kind.clone(),
            when::or(self.package.as_ref(), "–"),
            self.state.clone(),
            format!("{}/{}", self.attempt, self.max_attempts),
            self.created_at.clone(),
            when::or(self.next_run(), "–"),
            self.message.clone(),
        ]
    }
}

/// Jobs with the names of their packages, which may be removed by now.
async fn shown(app: &App, jobs: Vec<Job>) -> anyhow::Result<Vec<Shown>> {
    let mut connection = app.opened.database.read().await?;
    let mut names: HashMap<i64, Option<String>> = HashMap::new();
    let mut shown = Vec::new();
    for job in jobs {
        let name = match job.package_id.map(|id| (id, names.get(&id))) {
            None => None,
            Some((_, Some(known))) => known.clone(),
            Some((id, None)) => {
                let package = packages::find_by_id(&mut connection, id).await?;
                let name = package.as_ref().map(package::display_name);
                names.insert(id, name.clone());
                name
            }
        };
        shown.push(Shown::new(job, name));
    }
    Ok(shown)
}

async fn shown_one(app: &App, job: Job) -> anyhow::Result<Shown> {
    let one = shown(app, vec![job]).await?.pop();
    one.context("a job is shown as one row")
}

/// A job with its log.
#[derive(Debug, Serialize)]
struct Logged {
    #[serde(flatten)]
    job: Shown,
    log: Vec<Line>,
}

#[derive(Debug, Serialize)]
struct Line {
    at: String,
    line: String,
}

impl JobCommand {
    pub(crate) async fn run(self, app: &App) -> anyhow::Result<()> {
        match self {
            Self::List {
                organization,
                state,
                package,
                limit,
            } => {
                list(
                    app,
                    organization.as_deref(),
                    state,
                    package.as_deref(),
                    limit,
                )
                .await
            }
            Self::Show { id } => show(app, id).await,
            Self::Cancel { id } => {
                jobs::cancel(&app.registry, OPERATOR, id).await?;
                let job = jobs::show(&app.registry, OPERATOR, id).await?;
                let text = if job.state == "cancelled" {
                    "is cancelled"
                } else {
                    "stops at its next step"
                };
                let shown = shown_one(app, job).await?;
                Ok(app.output.item(&shown, &format!("job {id} {text}"))?)
            }
            Self::Wait { id } => {
                let job = progress::wait_for(app, id).await?;
                let text = format!("job {id}: {}", job.message);
                Ok(app.output.item(&shown_one(app, job).await?, &text)?)
            }
        }
    }
}

async fn list(
    app: &App,
    organization: Option<&str>,
    state: Option<State>,
    package: Option<&str>,
    limit: i64,
) -> anyhow::Result<()> {
    // A package's name needs an organization to be looked up in; otherwise all organizations' jobs are listed.
    let organization = match (organization, package) {
        (None, None) => None,
        (name, _) => Some(app.organization(name).await?.id),
    };
    let package_id = match (package, organization) {
        (Some(name), Some(id)) => Some(package::find(&app.registry, OPERATOR, id, name).await?.id),
        _ => None,
    };
    let filter = Filter {
        organization_id: organization,
        state: state.map(State::as_str),
        package_id,
        kind: None,
        before_id: None,
    };
    let jobs = jobs::list(&app.registry, OPERATOR, filter, limit).await?;
    let shown = shown(app, jobs).await?;
    Ok(app.output.list(&shown, "there is no such job")?)
}

async fn show(app: &App, id: i64) -> anyhow::Result<()> {
    let job = shown_one(app, jobs::show(&app.registry, OPERATOR, id).await?).await?;
    let lines = jobs::log(&app.registry, OPERATOR, id).await?;
    let log: Vec<Line> = lines
        .into_iter()
        .map(|line| Line {
            at: when::rfc3339(line.logged_at),
            line: line.line,
        })
        .collect();
    let logged = Logged { job, log };
    Ok(app.output.item(&logged, &logged.for_people())?)
}

impl Logged {
    fn for_people(&self) -> String {
        let Shown {
            id,
            kind,
            state,
            message,
            attempt,
            max_attempts,
            progress: [done, total],
            ..
        } = &self.job;
        let about = self.job.package.as_ref();
        let about = about.map_or_else(String::new, |package| format!(" of {package}"));
        let mut text =
            format!("job {id}: {kind}{about}, {state}, attempt {attempt} of {max_attempts}\n");
        if !message.is_empty() {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{message}");
        }
        if *total > 0 {
            let _ = writeln!(text, "{done} of {total} done");
        }
        let times = [
            ("created", Some(&self.job.created_at)),
            ("started", self.job.started_at.as_ref()),
            ("finished", self.job.finished_at.as_ref()),
            ("next run", self.job.next_run()),
        ];
        for (what, at) in times {
            if let Some(at) = at {
                let _ = writeln!(text, "{what:<10}{at}");
            }
        }
        for line in &self.log {
            let _ = writeln!(text, "{}  {}", line.at, line.line);
        }
        text
    }
}
