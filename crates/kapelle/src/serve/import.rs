//! `serve --import`: the repositories of a satis.json, added to a server that runs already.

use std::path::Path;

use kapelle_registry::organization;
use kapelle_storage::db::organizations::Organization;
use secrecy::ExposeSecret;

use crate::app::{App, OPERATOR};
use crate::cli::{Report, import_file};
use crate::output;
use crate::progress;

/// The organization that is made when there is none and none is named.
const MAIN: &str = "main";

/// Imports the file, fetches everything and prints what came of it. Repositories that fail do not stop the server.
pub(super) async fn run(app: &App, file: &Path, organization: Option<&str>) -> anyhow::Result<()> {
    let organization = find_or_make(app, organization).await?;
    let imported = import_file(app, file, organization.id).await?;
    let jobs: Vec<i64> = imported.added.iter().map(|(_, job)| *job).collect();
    let waited = progress::wait_quietly(app, &jobs).await?;
    let report = Report::new(app, imported, &waited).await?;
    Ok(app.output.item(&report, &report.for_people())?)
}

async fn find_or_make(app: &App, name: Option<&str>) -> anyhow::Result<Organization> {
    let all = organization::list(&app.registry, OPERATOR).await?;
    let name = name.or_else(|| all.is_empty().then_some(MAIN));
    if let Some(name) = name
        && !all.iter().any(|one| one.slug == name)
    {
        let made = organization::setup(&app.registry, OPERATOR, name, None).await?;
        let url = app.registry.repository_url(name);
        let token = made.composer_token.expose_secret();
        output::note(&format!(
            "organization {name} is made: repository {url}, Composer token {token}"
        ));
        return Ok(made.organization);
    }
    app.organization(name).await
}
