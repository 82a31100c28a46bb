//! Waiting for jobs: this process takes part in the work, shows how far it is, and leaves it behind on Ctrl-C.

use std::io::IsTerminal;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use futures::{StreamExt, TryStreamExt, stream};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use kapelle_registry::jobs::{self, Worker};
use kapelle_storage::db::jobs::Job;

use crate::app::{App, OPERATOR};
use crate::cli::when;
use crate::exit::Failure;
use crate::output;
use crate::signal;

/// How often a job that somebody else runs is looked at.
const LOOK: Duration = Duration::from_millis(200);
/// How often we try to get a job that is not ours.
const TRY: Duration = Duration::from_secs(1);

/// What became of a job that was waited for.
#[derive(Clone, Debug)]
pub(crate) struct Waited {
    /// Its row at the end.
    pub(crate) job: Job,
    /// Whether it did what it should. A job that failed and will be tried again later has not.
    pub(crate) succeeded: bool,
}

impl Waited {
    /// One sentence about a job that did not succeed.
    pub(crate) fn failure(&self) -> Option<String> {
        let Job {
            id, state, message, ..
        } = &self.job;
        match state.as_str() {
            _ if self.succeeded => None,
            "queued" => Some(format!(
                "job {id} failed and will be tried again at {}: {message}",
                when::rfc3339(self.job.run_at)
            )),
            "cancelled" => Some(format!("job {id} was cancelled")),
            _ => Some(format!("job {id} failed: {message}")),
        }
    }
}

/// Waits for one job; an error if it did not succeed.
pub(crate) async fn wait_for(app: &App, id: i64) -> anyhow::Result<Job> {
    let waited = wait_all(app, &[id]).await?;
    let failure = waited.iter().find_map(Waited::failure);
    match (failure, waited.into_iter().next()) {
        (None, Some(waited)) => Ok(waited.job),
        (failure, _) => Err(Failure::Job(failure.unwrap_or_default()).into()),
    }
}

/// Waits for jobs and says how each ended. Being interrupted gives back to the queue what runs here.
pub(crate) async fn wait_all(app: &App, ids: &[i64]) -> anyhow::Result<Vec<Waited>> {
    let worker = Worker::new(app.registry.clone(), app.node.clone());
    let meter = Meter::new(ids.len());
    tokio::select! {
        outcome = work_through(app, &worker, &meter, ids) => outcome,
        interrupted = signal::asked_to_stop() => {
            interrupted?;
            worker.release().await?;
            Err(Failure::Interrupted(left_behind(ids)).into())
        }
    }
}

/// Waits for jobs in a process whose log tells how they go.
pub(crate) async fn wait_quietly(app: &App, ids: &[i64]) -> anyhow::Result<Vec<Waited>> {
    let worker = Worker::new(app.registry.clone(), app.node.clone());
    work_through(app, &worker, &Meter::Silent, ids).await
}

/// As many at once as this process has slots.
async fn work_through(
    app: &App,
    worker: &Worker,
    meter: &Meter,
    ids: &[i64],
) -> anyhow::Result<Vec<Waited>> {
    stream::iter(ids)
        .map(|id| wait_one(app, worker, meter, *id))
        .buffered(app.settings().jobs.slots)
        .try_collect()
        .await
}

fn left_behind(ids: &[i64]) -> String {
    match ids {
        [id] => format!(
            "no longer waiting; job {id} stays queued: `kapelle job show {id}` says how it goes"
        ),
        _ => "no longer waiting; the jobs stay queued: `kapelle job list` shows them".to_owned(),
    }
}

/// Drives and follows one job at the same time: whoever runs it, its row says when it is over.
async fn wait_one(app: &App, worker: &Worker, meter: &Meter, id: i64) -> anyhow::Result<Waited> {
    let drive = async {
        loop {
            Box::pin(worker.run_this(id)).await?;
            tokio::time::sleep(TRY).await;
        }
    };
    tokio::select! {
        followed = follow(app, meter, id) => followed,
        failed = drive => {
            let error: Result<Waited, anyhow::Error> = failed;
            error
        }
    }
}

async fn follow(app: &App, meter: &Meter, id: i64) -> anyhow::Result<Waited> {
    let first = jobs::show(&app.registry, OPERATOR, id).await?;
    loop {
        let job = jobs::show(&app.registry, OPERATOR, id).await?;
        let succeeded = job.state == "success";
        let postponed =
            job.state == "queued" && job.attempt > first.attempt && job.run_at > app.registry.now();
        if succeeded || postponed || matches!(job.state.as_str(), "error" | "cancelled") {
            meter.ended(&job);
            return Ok(Waited { job, succeeded });
        }
        meter.look(&job);
        tokio::time::sleep(LOOK).await;
    }
}

/// How far the jobs are: for one its own progress, for several how many are over.
enum Meter {
    /// On a terminal.
    Bar { bar: ProgressBar, jobs: usize },
    /// Lines elsewhere; the last one is not repeated.
    Lines { said: Mutex<String>, jobs: usize },
    /// Somebody else tells.
    Silent,
}

impl Meter {
    fn new(jobs: usize) -> Self {
        if !std::io::stderr().is_terminal() {
            return Self::Lines {
                said: Mutex::default(),
                jobs,
            };
        }
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
        if jobs > 1 {
            bar.set_length(jobs as u64);
        }
        bar.set_style(style(jobs > 1));
        bar.enable_steady_tick(LOOK);
        Self::Bar { bar, jobs }
    }

    /// A look at a job that is not over.
    fn look(&self, job: &Job) {
        let [done, total] =
            [job.progress_done, job.progress_total].map(|count| u64::try_from(count).unwrap_or(0));
        match self {
            Self::Bar { bar, jobs: 1 } => {
                bar.set_style(style(total > 0));
                bar.set_length(total);
                bar.set_position(done);
                bar.set_message(one_line(&job.message));
            }
            Self::Lines { said, jobs: 1 } if job.state == "running" => {
                say(said, one_line(&job.message));
            }
            _ => {}
        }
    }

    /// A job is over. What came of a single one, the caller tells.
    fn ended(&self, job: &Job) {
        match self {
            Self::Bar { bar, jobs: 2.. } => {
                bar.inc(1);
                bar.set_message(one_line(&job.message));
            }
            Self::Lines { said, jobs: 2.. } => {
                say(said, format!("job {}: {}", job.id, one_line(&job.message)));
            }
            _ => {}
        }
    }
}

/// The bar goes when waiting is over or was interrupted.
impl Drop for Meter {
    fn drop(&mut self) {
        if let Self::Bar { bar, .. } = self {
            bar.finish_and_clear();
        }
    }
}

/// How far a check of the whole installation is: a bar on a terminal, a line per stage elsewhere.
pub(crate) struct Stages {
    bar: Option<ProgressBar>,
    said: Mutex<String>,
}

impl Stages {
    pub(crate) fn new() -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
            bar.set_style(style(true));
            bar
        });
        Self {
            bar,
            said: Mutex::default(),
        }
    }

    /// `done` of the `total` things of a stage were looked at.
    pub(crate) fn at(&self, stage: &str, done: u64, total: u64) {
        let Some(bar) = &self.bar else {
            return say(&self.said, format!("looking at {stage}"));
        };
        if bar.message() != stage {
            bar.set_message(stage.to_owned());
        }
        bar.set_length(total.max(done));
        bar.set_position(done);
    }
}

/// The bar goes when the check is over.
impl Drop for Stages {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

fn say(said: &Mutex<String>, message: String) {
    let mut said = said.lock().unwrap_or_else(PoisonError::into_inner);
    if !message.is_empty() && *said != message {
        output::note(&message);
        *said = message;
    }
}

fn one_line(message: &str) -> String {
    output::clean(message).replace('\n', " ")
}

fn style(counted: bool) -> ProgressStyle {
    let template = if counted {
        "{bar:30} {pos}/{len} {wide_msg}"
    } else {
        "{spinner} {wide_msg}"
    };
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}
