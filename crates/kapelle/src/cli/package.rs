//! `kapelle package …`: what is served.

use clap::{Args, Subcommand};
use kapelle_registry::package;
use kapelle_storage::db::packages::Package;
use serde::Serialize;

use super::package_edit::Edit;
use super::package_view::{Full, Queued, Shown};
use super::{OfOrganization, when};
use crate::app::{App, OPERATOR};
use crate::exit::Failure;
use crate::progress::{self, Waited};

/// Packages read from the database at once.
const PAGE: i64 = 1_000;
/// Synchronizations that are queued in one transaction.
const QUEUED: usize = 500;

#[derive(Debug, Subcommand)]
pub(crate) enum PackageCommand {
    /// Add a git repository as a package
    Add(Add),
    /// List the packages of an organization
    List {
        #[command(flatten)]
        of: OfOrganization,
        /// Those that were removed, instead of those that are served
        #[arg(long)]
        removed: bool,
    },
    /// Show a package, its versions, and what is wrong with its tags and branches
    Show {
        #[command(flatten)]
        named: Named,
    },
    /// Look at a package's repository now
    Sync(Sync),
    /// Change where a package comes from: its repository has moved, or needs another credential
    Edit(Edit),
    /// Hide a package; it can be restored for a time
    Remove {
        #[command(flatten)]
        named: Named,
    },
    /// Restore a removed package
    Undo {
        #[command(flatten)]
        named: Named,
    },
    /// Destroy a removed package's archives for ever, for leaked secrets
    Purge {
        #[command(flatten)]
        named: Named,
        /// Really destroy them: lock files that name them can no longer be installed
        #[arg(long)]
        yes: bool,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Add {
    /// The repository: `https://host/path`, `ssh://user@host/path` or `user@host:path`
    url: String,
    #[command(flatten)]
    of: OfOrganization,
    /// The credential to use, by its id, instead of the newest one for the host
    #[arg(long, value_name = "ID")]
    credential: Option<i64>,
    /// Wait until its first synchronization is over
    #[arg(long)]
    wait: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Named {
    /// The package's name; where it has none yet, its repository's URL or its id
    name: String,
    #[command(flatten)]
    of: OfOrganization,
}

impl Named {
    /// The live package of that name.
    pub(super) async fn find(&self, app: &App) -> anyhow::Result<Package> {
        let organization = self.of.find(app).await?;
        Ok(package::find(&app.registry, OPERATOR, organization.id, &self.name).await?)
    }
}

#[derive(Debug, Args)]
pub(crate) struct Sync {
    #[command(flatten)]
    which: Which,
    #[command(flatten)]
    of: OfOrganization,
    /// Wait until it is over
    #[arg(long)]
    wait: bool,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct Which {
    /// The package's name; where it has none yet, its repository's URL or its id
    name: Option<String>,
    /// All packages of the organization
    #[arg(long)]
    all: bool,
}

impl PackageCommand {
    pub(crate) async fn run(self, app: &App) -> anyhow::Result<()> {
        match self {
            Self::Add(arguments) => arguments.run(app).await,
            Self::List { of, removed } => {
                let organization = of.find(app).await?;
                let packages = all(app, organization.id, removed).await?;
                let shown: Vec<Shown> = packages.into_iter().map(Shown::from).collect();
                let add = "there is no package yet: add one with `kapelle package add URL`";
                Ok(app.output.list(
                    &shown,
                    if removed {
                        "no package was removed"
                    } else {
                        add
                    },
                )?)
            }
            Self::Show { named } => {
                let organization = named.of.find(app).await?;
                let details =
                    package::show(&app.registry, OPERATOR, organization.id, &named.name).await?;
                let full = Full::from(details);
                Ok(app.output.item(&full, &full.for_people())?)
            }
            Self::Sync(arguments) => arguments.run(app).await,
            Self::Edit(arguments) => arguments.run(app).await,
            Self::Remove { named } => remove(app, &named).await,
            Self::Undo { named } => {
                let organization = named.of.find(app).await?;
                let package =
                    package::undo(&app.registry, OPERATOR, organization.id, &named.name).await?;
                let text = format!("{} is back", package::display_name(&package));
                Ok(app.output.item(&Shown::from(package), &text)?)
            }
            Self::Purge { named, yes } => purge(app, &named, yes).await,
        }
    }
}

impl Add {
    async fn run(self, app: &App) -> anyhow::Result<()> {
        let organization = self.of.find(app).await?;
        let added = package::add(
            &app.registry,
            OPERATOR,
            organization.id,
            &self.url,
            self.credential,
        )
        .await;
        let (package, job) = added?;
        if !self.wait {
            let text = format!(
                "{} is added; job {job} fetches it: `kapelle job wait {job}`",
                package::display_name(&package)
            );
            return Ok(app.output.item(&Queued::new(package, job), &text)?);
        }
        finish(app, vec![(package, job)], false).await
    }
}

impl Sync {
    async fn run(self, app: &App) -> anyhow::Result<()> {
        let organization = self.of.find(app).await?;
        let packages = match &self.which.name {
            Some(name) => {
                vec![package::find(&app.registry, OPERATOR, organization.id, name).await?]
            }
            None => all(app, organization.id, false).await?,
        };
        let mut jobs = Vec::with_capacity(packages.len());
        for page in packages.chunks(QUEUED) {
            jobs.extend(package::sync_page(&app.registry, OPERATOR, page).await?);
        }
        let queued: Vec<_> = packages.into_iter().zip(jobs).collect();
        if self.wait {
            return finish(app, queued, self.which.all).await;
        }
        let queued: Vec<Queued> = queued
            .into_iter()
            .map(|(package, job)| Queued::new(package, job))
            .collect();
        match &queued[..] {
            [one] if !self.which.all => Ok(app.output.item(one, &one.for_people())?),
            several => Ok(app
                .output
                .list(several, "there is no package to synchronize")?),
        }
    }
}

/// Waits for the synchronizations and shows the packages as they are afterwards.
pub(super) async fn finish(
    app: &App,
    queued: Vec<(Package, i64)>,
    as_list: bool,
) -> anyhow::Result<()> {
    let jobs: Vec<i64> = queued.iter().map(|(_, job)| *job).collect();
    let waited = progress::wait_all(app, &jobs).await?;
    let mut results = Vec::new();
    for ((package, _), waited) in queued.iter().zip(&waited) {
        let id = package.id.to_string();
        let now = package::find(&app.registry, OPERATOR, package.organization_id, &id).await?;
        results.push(Queued::ended(now, &waited.job));
    }
    let failures: Vec<String> = waited.iter().filter_map(Waited::failure).collect();
    let sentence = match (&failures[..], waited.len()) {
        ([], _) => None,
        ([only], 1) => Some(only.clone()),
        (failures, total) => Some(format!(
            "{} of {total} packages could not be synchronized; the reasons stand above",
            failures.len()
        )),
    };
    match &results[..] {
        // People read the same in the error.
        [_] if sentence.is_some() && !app.output.is_json() => {}
        [one] if !as_list => app.output.item(one, &one.for_people())?,
        several => app
            .output
            .list(several, "there is no package to synchronize")?,
    }
    sentence.map_or(Ok(()), |sentence| Err(Failure::Job(sentence).into()))
}

/// Every live or removed package of an organization.
async fn all(app: &App, organization_id: i64, removed: bool) -> anyhow::Result<Vec<Package>> {
    let mut packages: Vec<Package> = Vec::new();
    loop {
        let after = packages.last().map_or(0, |last| last.id);
        let page = package::list(
            &app.registry,
            OPERATOR,
            organization_id,
            removed,
            after,
            PAGE,
        )
        .await?;
        if page.is_empty() {
            return Ok(packages);
        }
        packages.extend(page);
    }
}

async fn remove(app: &App, named: &Named) -> anyhow::Result<()> {
    let package = named.find(app).await?;
    package::remove(&app.registry, OPERATOR, &package).await?;
    let undo = i64::try_from(app.registry.limits().undo.as_millis()).unwrap_or(i64::MAX);
    let until = when::rfc3339(app.registry.now().saturating_add(undo));
    let name = package::display_name(&package);
    let removed = Removed {
        name: &name,
        restorable_until: &until,
    };
    let text =
        format!("{name} is removed; `kapelle package undo {name}` restores it until {until}");
    Ok(app.output.item(&removed, &text)?)
}

#[derive(Debug, Serialize)]
struct Removed<'r> {
    name: &'r str,
    restorable_until: &'r str,
}

async fn purge(app: &App, named: &Named, yes: bool) -> anyhow::Result<()> {
    if !yes {
        let advice = format!(
            "purging destroys the archives of {} for ever, and lock files that name them can no longer be installed: \
             add --yes if that is meant",
            named.name
        );
        return Err(Failure::Usage(advice).into());
    }
    let organization = named.of.find(app).await?;
    package::purge(&app.registry, OPERATOR, organization.id, &named.name).await?;
    let purged = serde_json::json!({ "name": named.name, "purged": true });
    Ok(app
        .output
        .item(&purged, &format!("{} is destroyed", named.name))?)
}
