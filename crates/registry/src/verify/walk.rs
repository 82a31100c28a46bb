//! One run: what it works with, what it has found, and the second look that every suspicion gets.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use kapelle_storage::db::dists::Dist;
use kapelle_storage::db::organizations::{self, Organization};
use kapelle_storage::db::packages::{self, Package};
use kapelle_storage::db::versions;
use tokio::sync::Semaphore;

use super::report::Severity;
use super::{About, Checked, Finding, Kind, Options, Progress, Report, VerifyError};
use crate::clock::Millis;
use crate::package::display_name;
use crate::registry::Registry;

/// Rows that are read at once.
pub(super) const PAGE: i64 = 500;
/// Things that are looked at, and archives that are read, at once.
pub(super) const PARALLEL: usize = 4;
/// How long what looks wrong gets to move on.
const PAUSE: Duration = Duration::from_millis(250);
/// Looks at something that moves on each time.
const LOOKS: usize = 10;

/// A run.
pub(super) struct Walk<'a> {
    pub(super) registry: &'a Registry,
    pub(super) options: Options,
    /// When it began.
    pub(super) now: Millis,
    /// Whoever reads an archive or follows a mirror.
    pub(super) reading: Semaphore,
    organizations: HashMap<i64, Organization>,
    report: Mutex<Report>,
    stage: Mutex<(&'static str, u64)>,
    done: AtomicU64,
    on_progress: &'a (dyn Fn(Progress) + Send + Sync),
}

/// What one look at something found. `state` tells whether it has moved on since another look.
#[derive(Debug, Default)]
pub(super) struct Look<S> {
    pub(super) state: S,
    pub(super) suspects: Suspects,
    pub(super) checked: Checked,
}

/// What looks wrong.
#[derive(Debug, Default)]
pub(super) struct Suspects(Vec<(Severity, Finding)>);

impl Suspects {
    pub(super) fn broken(&mut self, finding: Finding) {
        self.0.push((Severity::Broken, finding));
    }

    pub(super) fn note(&mut self, finding: Finding) {
        self.0.push((Severity::Note, finding));
    }

    pub(super) fn append(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    fn keep_those_of(mut self, other: &Self) -> Self {
        self.0.retain(|suspect| other.0.contains(suspect));
        self
    }
}

impl<'a> Walk<'a> {
    pub(super) async fn begin(
        registry: &'a Registry,
        options: Options,
        on_progress: &'a (dyn Fn(Progress) + Send + Sync),
    ) -> Result<Self, VerifyError> {
        let all = organizations::list(&mut registry.database().read().await?).await?;
        let mut report = Report::default();
        report.checked.organizations = all.len() as u64;
        Ok(Self {
            registry,
            options,
            now: registry.now(),
            reading: Semaphore::new(PARALLEL),
            organizations: all.into_iter().map(|one| (one.id, one)).collect(),
            report: Mutex::new(report),
            stage: Mutex::new(("", 0)),
            done: AtomicU64::new(0),
            on_progress,
        })
    }

    pub(super) fn end(self) -> Report {
        self.report
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins to look at `total` other things.
    pub(super) fn enter(&self, stage: &'static str, total: i64) {
        let total = u64::try_from(total).unwrap_or_default();
        *self.stage.lock().unwrap_or_else(PoisonError::into_inner) = (stage, total);
        self.done.store(0, Ordering::SeqCst);
        (self.on_progress)(Progress {
            stage,
            done: 0,
            total,
        });
    }

    /// One of them was looked at.
    pub(super) fn step(&self) {
        let done = self.done.fetch_add(1, Ordering::SeqCst) + 1;
        let (stage, total) = *self.stage.lock().unwrap_or_else(PoisonError::into_inner);
        (self.on_progress)(Progress { stage, done, total });
    }

    /// An organization's name in URLs; `None`: it came after the run began.
    pub(super) fn slug(&self, organization_id: i64) -> Option<&str> {
        let found = self.organizations.get(&organization_id);
        found.map(|organization| organization.slug.as_str())
    }

    /// When an organization was made.
    pub(super) fn created_at(&self, organization_id: i64) -> Option<Millis> {
        let found = self.organizations.get(&organization_id);
        found.map(|organization| organization.created_at)
    }

    /// Every organization by its key.
    pub(super) fn organizations(&self) -> impl Iterator<Item = i64> {
        self.organizations.keys().copied()
    }

    pub(super) fn about_organization(&self, id: i64) -> About {
        About {
            organization: self.slug(id).map(str::to_owned),
            ..About::default()
        }
    }

    pub(super) fn about(&self, package: &Package) -> About {
        About {
            package: Some(display_name(package)),
            ..self.about_organization(package.organization_id)
        }
    }

    /// The package, the version and the commit of a dist.
    pub(super) async fn about_dist(&self, dist: &Dist) -> Result<About, VerifyError> {
        let mut connection = self.registry.database().read().await?;
        let package = packages::find_by_id(&mut connection, dist.package_id).await?;
        let version = versions::name_at(&mut connection, dist.package_id, &dist.reference).await?;
        let about = package.map(|package| self.about(&package));
        Ok(about
            .unwrap_or_default()
            .version(version.as_deref())
            .reference(&dist.reference))
    }

    pub(super) fn count(&self, checked: Checked) {
        let mut report = self.report.lock().unwrap_or_else(PoisonError::into_inner);
        report.checked += checked;
    }

    pub(super) fn report(&self, suspects: Suspects) {
        let mut report = self.report.lock().unwrap_or_else(PoisonError::into_inner);
        for (severity, finding) in suspects.0 {
            report.add(severity, finding);
        }
    }

    /// Reports what two looks in a row find, between which nothing moved. What moves each time is only noted.
    pub(super) async fn confirm<S: PartialEq>(
        &self,
        about: About,
        mut look: impl AsyncFnMut() -> Result<Look<S>, VerifyError>,
    ) -> Result<(), VerifyError> {
        let mut before = look().await?;
        for _ in 0..LOOKS {
            if before.suspects.0.is_empty() {
                self.count(before.checked);
                return Ok(());
            }
            tokio::time::sleep(PAUSE).await;
            let after = look().await?;
            if after.state == before.state {
                self.count(after.checked);
                self.report(after.suspects.keep_those_of(&before.suspects));
                return Ok(());
            }
            before = after;
        }
        self.count(before.checked);
        let mut suspects = Suspects::default();
        suspects.note(Finding::new(
            Kind::KeptChanging,
            about,
            "it kept changing while it was looked at",
            "verify again when less is going on",
        ));
        self.report(suspects);
        Ok(())
    }
}
