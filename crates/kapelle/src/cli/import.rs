//! `kapelle import`: the repositories of a satis.json.

use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Args;
use kapelle_registry::import::{self, Imported, LIMIT};
use kapelle_registry::package;
use serde::Serialize;

use super::OfOrganization;
use crate::app::{App, OPERATOR};
use crate::exit::Failure;
use crate::output::{Row, table};
use crate::progress::{self, Waited};

/// Add the repositories of a satis.json.
///
/// What it asks for and Kapelle does not have yet is listed by name.
#[derive(Debug, Args)]
pub(crate) struct ImportArguments {
    /// The satis.json
    file: PathBuf,
    #[command(flatten)]
    of: OfOrganization,
    /// Wait until every repository is fetched
    #[arg(long)]
    wait: bool,
}

/// What came of an import.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    packages: Vec<Line>,
    known: Vec<String>,
    refused: Vec<Reason>,
    left_out: Vec<Reason>,
}

#[derive(Debug, Serialize)]
struct Line {
    name: Option<String>,
    repository_url: String,
    job: i64,
    state: String,
    message: String,
}

impl Row for Line {
    const HEADINGS: &'static [&'static str] = &["PACKAGE", "STATE", "MESSAGE"];

    fn cells(&self) -> Vec<String> {
        vec![
            self.name
                .clone()
                .unwrap_or_else(|| self.repository_url.clone()),
            self.state.clone(),
            self.message.clone(),
        ]
    }
}

#[derive(Debug, Serialize)]
struct Reason {
    what: String,
    reason: String,
}

impl Row for Reason {
    const HEADINGS: &'static [&'static str] = &["NOT TAKEN OVER", "BECAUSE"];

    fn cells(&self) -> Vec<String> {
        vec![self.what.clone(), self.reason.clone()]
    }
}

impl ImportArguments {
    pub(crate) async fn run(self, app: &App) -> anyhow::Result<()> {
        let organization = self.of.find(app).await?;
        let (report, waited) = report(app, &self.file, organization.id, self.wait).await?;
        app.output.item(&report, &report.for_people())?;
        let failed = waited.iter().filter(|waited| !waited.succeeded).count();
        match (failed, report.refused.len()) {
            (0, 0) => Ok(()),
            (0, refused) => Err(anyhow::anyhow!(
                "{refused} repositories were refused; the reasons stand above"
            )),
            (failed, _) => {
                let total = waited.len();
                let advice = format!(
                    "{failed} of {total} repositories could not be fetched; the reasons stand above"
                );
                Err(Failure::Job(advice).into())
            }
        }
    }
}

async fn report(
    app: &App,
    file: &Path,
    organization_id: i64,
    wait: bool,
) -> anyhow::Result<(Report, Vec<Waited>)> {
    let imported = add(app, file, organization_id).await?;
    let jobs: Vec<i64> = imported.added.iter().map(|(_, job)| *job).collect();
    let waited = if wait {
        progress::wait_all(app, &jobs).await?
    } else {
        Vec::new()
    };
    Ok((Report::new(app, imported, &waited).await?, waited))
}

/// Adds the repositories of a file to an organization and queues their synchronization.
pub(crate) async fn add(app: &App, file: &Path, organization_id: i64) -> anyhow::Result<Imported> {
    let bytes = read(file)?;
    let plan = import::read(&bytes).with_context(|| file.display().to_string())?;
    Ok(import::run(&app.registry, OPERATOR, organization_id, plan).await?)
}

fn read(file: &Path) -> anyhow::Result<Vec<u8>> {
    let failed = || format!("{} cannot be read", file.display());
    let mut bytes = Vec::new();
    let open = std::fs::File::open(file).with_context(failed)?;
    open.take(LIMIT + 1)
        .read_to_end(&mut bytes)
        .with_context(failed)?;
    if bytes.len() as u64 > LIMIT {
        anyhow::bail!(
            "{} is larger than {} MiB, more than any satis.json",
            file.display(),
            LIMIT >> 20
        );
    }
    Ok(bytes)
}

impl Report {
    /// `waited` belongs to the added packages, in their order; it may be empty.
    pub(crate) async fn new(
        app: &App,
        imported: Imported,
        waited: &[Waited],
    ) -> anyhow::Result<Self> {
        let mut packages = Vec::new();
        for (at, (added, job)) in imported.added.into_iter().enumerate() {
            let id = added.id.to_string();
            let now = package::find(&app.registry, OPERATOR, added.organization_id, &id).await?;
            let (state, message) = waited.get(at).map_or(("queued", ""), |waited| {
                (waited.job.state.as_str(), waited.job.message.as_str())
            });
            packages.push(Line {
                name: now.name,
                repository_url: now.repository_url,
                job,
                state: state.to_owned(),
                message: message.to_owned(),
            });
        }
        let reasons = |all: Vec<(String, String)>| {
            all.into_iter()
                .map(|(what, reason)| Reason { what, reason })
                .collect()
        };
        Ok(Self {
            packages,
            known: imported.known,
            refused: reasons(imported.refused),
            left_out: reasons(imported.left_out),
        })
    }

    pub(crate) fn for_people(&self) -> String {
        let mut parts = Vec::new();
        if !self.packages.is_empty() {
            parts.push(table(&self.packages));
        }
        if !self.known.is_empty() {
            parts.push(format!(
                "{} repositories were here already",
                self.known.len()
            ));
        }
        for reasons in [&self.refused, &self.left_out] {
            if !reasons.is_empty() {
                parts.push(table(reasons));
            }
        }
        if parts.is_empty() {
            parts.push("the file names no repository".to_owned());
        }
        parts.join("\n\n")
    }
}
