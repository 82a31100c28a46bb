//! `kapelle package edit`: a repository has moved, or needs another credential.

use std::str::FromStr;

use clap::Args;
use kapelle_registry::package;

use super::package::{Named, finish};
use super::package_view::Queued;
use crate::app::{App, OPERATOR};

#[derive(Debug, Args)]
pub(crate) struct Edit {
    #[command(flatten)]
    named: Named,
    #[command(flatten)]
    change: Change,
    /// Wait until the synchronization that follows is over
    #[arg(long)]
    wait: bool,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = true)]
struct Change {
    /// Where the repository is now; what only the old one had stays installable
    #[arg(long)]
    url: Option<String>,
    /// The credential to use, by its id, or `none` for the newest one for the host
    #[arg(long, value_name = "ID|none")]
    credential: Option<Choice>,
}

/// A certain credential, or whichever fits.
#[derive(Clone, Copy, Debug)]
struct Choice(Option<i64>);

impl FromStr for Choice {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match (text, text.parse()) {
            ("none", _) => Ok(Self(None)),
            (_, Ok(id)) => Ok(Self(Some(id))),
            _ => Err("write an id as `kapelle credential list` shows it, or none"),
        }
    }
}

impl Edit {
    pub(crate) async fn run(self, app: &App) -> anyhow::Result<()> {
        let package = self.named.find(app).await?;
        let source = self.change.url.map(|url| package::Source::Repository {
            kind: package.repository_type.clone(),
            url,
        });
        let edit = package::Edit {
            source,
            credential_id: self.change.credential.map(|Choice(id)| id),
            ..package::Edit::default()
        };
        let (package, job) = package::edit(&app.registry, OPERATOR, &package, &edit).await?;
        if self.wait {
            return finish(app, vec![(package, job)], false).await;
        }
        let text = format!(
            "{} comes from {} now; job {job} looks at it: `kapelle job wait {job}`",
            package::display_name(&package),
            package.repository_url
        );
        Ok(app.output.item(&Queued::new(package, job), &text)?)
    }
}
