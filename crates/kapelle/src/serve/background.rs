//! What runs beside the server: jobs, the schedule, the change sequence, signs of life.

use std::time::Duration;

use kapelle_registry::Registry;
use kapelle_registry::jobs::Worker;
use kapelle_storage::db::nodes::{self, Node};
use kapelle_storage::db::{depots, facts};
use kapelle_storage::{Database, StorageError};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use url::Url;

use super::job_threads::JobThreads;
use crate::app::App;
use crate::parts;

/// How often a node gives a sign of life, and looks where clients reach the registry by now.
const BEAT: Duration = Duration::from_secs(5);

/// The tasks of a process that stays.
#[derive(Debug)]
pub(super) struct Background {
    worker: Worker,
    /// None where no jobs are run.
    job_threads: Option<JobThreads>,
    jobs: TaskTracker,
    others: TaskTracker,
    no_more_jobs: CancellationToken,
    no_more_others: CancellationToken,
}

impl Background {
    /// Starts everything; jobs only where `works`.
    pub(super) async fn start(app: &App, kind: &'static str, works: bool) -> anyhow::Result<Self> {
        // Before there is a thread of jobs: one that opens a connection would make it as slow as itself.
        app.opened.database.open_readers().await?;
        let background = Self {
            worker: Worker::new(app.registry.clone(), app.node.clone()),
            job_threads: works.then(JobThreads::start).transpose()?,
            jobs: TaskTracker::new(),
            others: TaskTracker::new(),
            no_more_jobs: CancellationToken::new(),
            no_more_others: CancellationToken::new(),
        };
        if let Some(threads) = &background.job_threads {
            let (worker, slots, stop) = (
                background.worker.clone(),
                app.settings().jobs.slots,
                background.no_more_jobs.clone(),
            );
            background.jobs.spawn_on(
                async move { worker.run(slots, stop).await },
                threads.handle(),
            );
        }
        let (registry, stop) = (app.registry.clone(), background.no_more_others.clone());
        background
            .others
            .spawn(async move { registry.follow(stop).await });
        let (registry, stop) = (app.registry.clone(), background.no_more_others.clone());
        background
            .others
            .spawn(async move { registry.keep_house(stop).await });
        background
            .others
            .spawn(Pulse::of(app, kind, works).beat(background.no_more_others.clone()));
        background.jobs.close();
        background.others.close();
        Ok(background)
    }

    /// Lets running jobs end, gives back those that do not in time, then stops the rest.
    pub(super) async fn stop(self, app: &App) {
        self.no_more_jobs.cancel();
        let limit = app.settings().server.shutdown_timeout;
        if tokio::time::timeout(limit, self.jobs.wait()).await.is_err() {
            tracing::warn!(
                seconds = limit.as_secs(),
                "jobs did not end in time and go back to the queue"
            );
        }
        match self.worker.release().await {
            Ok(0) => {}
            Ok(released) => tracing::info!(released, "jobs went back to the queue"),
            Err(error) => {
                tracing::error!(%error, "jobs could not be given back; they are taken over after a minute");
            }
        }
        self.no_more_others.cancel();
        self.others.wait().await;
        app.opened.database.close().await;
    }
}

/// A process's signs of life.
struct Pulse {
    database: Database,
    registry: Registry,
    node: Node,
    /// Whether this process runs jobs.
    works: bool,
    /// Whether the public URL is whatever was served last.
    follows_url: bool,
}

impl Pulse {
    fn of(app: &App, kind: &'static str, works: bool) -> Self {
        let now = app.registry.now();
        Self {
            database: app.opened.database.clone(),
            registry: app.registry.clone(),
            node: Node {
                name: app.node.clone(),
                kind: kind.to_owned(),
                started_at: now,
                seen_at: now,
            },
            works,
            follows_url: kind == "worker" && app.settings().server.public_url.is_none(),
        }
    }

    async fn beat(mut self, stop: CancellationToken) {
        while !stop.is_cancelled() {
            if let Err(error) = self.once().await {
                tracing::warn!(%error, "no sign of life could be written");
            }
            tokio::select! {
                () = stop.cancelled() => {}
                () = tokio::time::sleep(BEAT) => {}
            }
        }
        if let Err(error) = self.leave().await {
            tracing::warn!(%error, "the node's row stays behind");
        }
    }

    async fn once(&mut self) -> Result<(), StorageError> {
        self.node.seen_at = self.registry.now();
        let mut transaction = self.database.write_reserved().await?;
        nodes::beat(&mut transaction, &self.node).await?;
        let (depot, Node { name, seen_at, .. }) = (self.registry.depot(), &self.node);
        depots::beat(&mut transaction, depot, name, self.works, *seen_at).await?;
        transaction.commit().await?;
        if self.follows_url {
            let served = facts::get(&mut self.database.read().await?, parts::PUBLIC_URL).await?;
            if let Some(url) = served.and_then(|url| Url::parse(&url).ok()) {
                self.registry.set_public_url(url);
            }
        }
        Ok(())
    }

    async fn leave(&self) -> Result<(), StorageError> {
        let mut transaction = self.database.write_reserved().await?;
        nodes::remove(&mut transaction, &self.node.name).await?;
        transaction.commit().await
    }
}
