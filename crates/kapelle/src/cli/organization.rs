//! `kapelle organization …`

use clap::Subcommand;
use kapelle_registry::organization;
use serde::Serialize;

use super::when;
use crate::app::{App, OPERATOR};
use crate::output::Row;

#[derive(Debug, Subcommand)]
pub(crate) enum OrganizationCommand {
    /// List all organizations
    List,
}

#[derive(Debug, Serialize)]
struct Shown {
    id: i64,
    name: String,
    repository_url: String,
    created_at: String,
}

impl Row for Shown {
    const HEADINGS: &'static [&'static str] = &["NAME", "REPOSITORY URL", "CREATED"];

    fn cells(&self) -> Vec<String> {
        vec![
            self.name.clone(),
            self.repository_url.clone(),
            self.created_at.clone(),
        ]
    }
}

impl OrganizationCommand {
    pub(crate) async fn run(self, app: &App) -> anyhow::Result<()> {
        let Self::List = self;
        let all = organization::list(&app.registry, OPERATOR).await?;
        let shown: Vec<Shown> = all
            .into_iter()
            .map(|one| Shown {
                id: one.id,
                repository_url: app.registry.repository_url(&one.slug),
                name: one.slug,
                created_at: when::rfc3339(one.created_at),
            })
            .collect();
        app.output.list(
            &shown,
            "there is no organization yet: make one with `kapelle setup --organization NAME`",
        )?;
        Ok(())
    }
}
