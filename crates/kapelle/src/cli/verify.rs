//! `kapelle verify`: is everything that was promised still there, and what to do where it is not.

use clap::Args;
use kapelle_registry::verify::{self, About, Checked, Finding, Options, Report, Unlisted};
use serde::Serialize;

use crate::app::{App, OPERATOR};
use crate::output::{self, Row};
use crate::progress::Stages;

/// Digits of a commit or of a blob's name that people see.
const SHORT: usize = 12;

#[derive(Debug, Args)]
pub(crate) struct VerifyArguments {
    /// Read no archive and follow no mirror: only whether files are there and how large
    #[arg(long)]
    quick: bool,
}

impl VerifyArguments {
    pub(crate) async fn run(self, app: &App) -> anyhow::Result<()> {
        let options = Options { quick: self.quick };
        let stages = Stages::new();
        let report = verify::run(&app.registry, OPERATOR, options, &|progress| {
            stages.at(progress.stage, progress.done, progress.total);
        })
        .await?;
        drop(stages);
        app.output.item(&report, &for_people(&report))?;
        match report.broken.len() as u64 + report.unlisted.broken {
            0 => Ok(()),
            1 => anyhow::bail!("one thing is broken"),
            broken => anyhow::bail!("{broken} things are broken"),
        }
    }
}

fn for_people(report: &Report) -> String {
    let mut lines = vec![counts(&report.checked)];
    let broken = report.broken.iter().map(|finding| Line("BROKEN", finding));
    let notes = report.notes.iter().map(|finding| Line("note", finding));
    let found: Vec<Line<'_>> = broken.chain(notes).collect();
    if !found.is_empty() {
        lines.push(output::table(&found));
    }
    let Unlisted { broken, notes } = report.unlisted;
    if broken + notes > 0 {
        lines.push(format!(
            "and {broken} more that are broken, and {notes} more notes"
        ));
    }
    if report.is_sound() {
        lines.push("nothing is broken".to_owned());
    }
    lines.join("\n")
}

fn counts(checked: &Checked) -> String {
    let counts = [
        (checked.organizations, "organizations"),
        (checked.packages, "packages"),
        (checked.versions, "versions"),
        (checked.references, "published commits"),
        (checked.documents, "documents"),
        (checked.blobs, "blobs"),
        (checked.archives, "archives read"),
        (checked.mirrors, "mirrors"),
        (checked.secrets, "secrets"),
        (checked.jobs, "running jobs"),
        (checked.changes, "changes"),
    ];
    let counts = counts.map(|(count, what)| format!("{count} {what}"));
    let read = checked.archive_bytes.div_ceil(1 << 20);
    format!("checked: {}; {read} MiB read", counts.join(", "))
}

/// A finding under its severity.
#[derive(Serialize)]
struct Line<'a>(&'static str, &'a Finding);

impl Row for Line<'_> {
    const HEADINGS: &'static [&'static str] = &["", "KIND", "ABOUT", "FINDING", "WHAT TO DO"];

    fn cells(&self) -> Vec<String> {
        let Self(severity, finding) = self;
        vec![
            (*severity).to_owned(),
            finding.kind.code().to_owned(),
            shown(&finding.about),
            finding.finding.clone(),
            finding.advice.clone(),
        ]
    }
}

/// What a finding is about, as short as people need it.
fn shown(about: &About) -> String {
    let package = about.package.clone().or_else(|| about.organization.clone());
    let version = about.version.clone();
    let reference = about.reference.as_deref().map(short);
    let document = about.document.clone();
    let job = about.job.map(|id| format!("job {id}"));
    let named: Vec<String> = [package, version, reference, document, job]
        .into_iter()
        .flatten()
        .collect();
    let blob = about.blob.as_deref().filter(|_| named.is_empty());
    blob.map_or_else(|| named.join(" "), str::to_owned)
}

fn short(digits: &str) -> String {
    digits.chars().take(SHORT).collect()
}
