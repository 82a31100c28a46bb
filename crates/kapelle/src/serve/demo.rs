//! `serve --demo`: an organization with two small packages, and the lines to paste into a project.

use std::path::Path;
use std::process::Stdio;

use anyhow::Context;
use kapelle_registry::actor::TokenAccess;
use kapelle_registry::package::PackageError;
use kapelle_registry::token::{self, NewToken};
use kapelle_registry::{Registry, organization, package};
use kapelle_vcs::Protocol;
use serde::Serialize;
use url::Url;

use super::tls;
use crate::app::{App, OPERATOR};
use crate::parts;
use crate::progress::{self, Waited};

/// The organization of the demonstration.
const ORGANIZATION: &str = "demo";
/// What marks the token that each start replaces.
const TOKEN: &str = "serve --demo";
/// Made by `scripts/make-demo-bundles`.
const BUNDLES: [(&str, &[u8]); 2] = [
    ("demo-clock", include_bytes!("../../demo/demo-clock.bundle")),
    (
        "demo-greeting",
        include_bytes!("../../demo/demo-greeting.bundle"),
    ),
];

/// What is printed when the packages can be installed.
#[derive(Debug, Serialize)]
struct Ready {
    organization: &'static str,
    repository_url: String,
    token: String,
    commands: Vec<String>,
}

/// Makes the folder of the demonstration's repositories. Git may read local paths only if it is there when it starts.
pub(super) fn make_folder(data: &Path) -> anyhow::Result<()> {
    let folder = parts::open_data_folder(data)?.join(parts::DEMO);
    std::fs::create_dir_all(&folder).with_context(|| format!("{} cannot be made", folder.display()))
}

/// Makes organization and packages where they are not there yet, synchronizes them, and prints the lines.
pub(super) async fn run(app: &App) -> anyhow::Result<()> {
    let organization_id = make_organization(app).await?;
    let protocols = app
        .settings()
        .vcs
        .protocols
        .iter()
        .chain([Protocol::File])
        .collect();
    // Only this registry takes local paths: nobody else can add one.
    let registry = app.opened.registry(protocols, app.registry.public_url());
    let mut jobs = Vec::new();
    for (name, bundle) in BUNDLES {
        let repository = unpack(app, name, bundle).await?;
        jobs.push(add(&registry, organization_id, name, &repository).await?);
    }
    app.registry.catch_up().await?;
    let waited = progress::wait_quietly(app, &jobs).await?;
    if let Some(failure) = waited.iter().find_map(Waited::failure) {
        anyhow::bail!("the demonstration's packages could not be synchronized: {failure}");
    }
    let ready = Ready::new(app, replace_token(app, organization_id).await?)?;
    Ok(app.output.item(&ready, &ready.for_people())?)
}

async fn make_organization(app: &App) -> anyhow::Result<i64> {
    let all = organization::list(&app.registry, OPERATOR).await?;
    if let Some(known) = all.into_iter().find(|one| one.slug == ORGANIZATION) {
        return Ok(known.id);
    }
    let made = organization::setup(&app.registry, OPERATOR, ORGANIZATION, None)
        .await?
        .organization;
    // Its first token was shown to nobody.
    for token in token::list(&app.registry, OPERATOR, made.id).await? {
        token::remove(&app.registry, OPERATOR, made.id, token.id).await?;
    }
    Ok(made.id)
}

/// Puts a bundle into a bare repository in the data folder, once; gives its URL.
async fn unpack(app: &App, name: &str, bundle: &[u8]) -> anyhow::Result<Url> {
    let folder = app.data.join(parts::DEMO);
    let repository = folder.join(format!("{name}.git"));
    if !repository.exists() {
        let fresh = tempfile::Builder::new()
            .prefix(".new-")
            .tempdir_in(&folder)?;
        let (file, git) = (fresh.path().join("bundle"), fresh.path().join("git"));
        std::fs::write(&file, bundle)?;
        clone(app, &file, &git).await?;
        match std::fs::rename(git, &repository) {
            Err(_) if repository.exists() => {}
            outcome => {
                outcome.with_context(|| format!("{} cannot be made", repository.display()))?;
            }
        }
    }
    Url::from_file_path(&repository)
        .map_err(|()| anyhow::anyhow!("{} is not a full path", repository.display()))
}

async fn clone(app: &App, bundle: &Path, into: &Path) -> anyhow::Result<()> {
    let config = app.opened.git.config();
    let output = tokio::process::Command::new(&config.binary)
        .args(["clone", "--bare", "--quiet", "--template=", "--"])
        .args([bundle, into])
        .env_clear()
        .env("PATH", &config.path)
        .env("HOME", &app.data)
        .env("LC_ALL", "C")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .context("git cannot be started to unpack the demonstration")?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        anyhow::bail!("git cannot unpack the demonstration: {said}");
    }
    Ok(())
}

/// Adds the package or synchronizes the one that is there; gives the job. A data folder that was moved since brings
/// other URLs, and the package is added anew.
async fn add(
    registry: &Registry,
    organization_id: i64,
    name: &str,
    repository: &Url,
) -> anyhow::Result<i64> {
    let full_name = format!("kapelle/{name}");
    match package::find(registry, OPERATOR, organization_id, &full_name).await {
        Ok(known) if known.repository_url != repository.as_str() => {
            package::remove(registry, OPERATOR, &known).await?;
        }
        Ok(known) => return Ok(package::sync(registry, OPERATOR, &known).await?),
        Err(PackageError::Unknown(_) | PackageError::Removed { .. }) => {}
        Err(error) => return Err(error.into()),
    }
    match package::add(
        registry,
        OPERATOR,
        organization_id,
        repository.as_str(),
        None,
    )
    .await
    {
        Ok((_, job)) => Ok(job),
        // Added before, and stopped before its first synchronization.
        Err(PackageError::Duplicate { .. }) => {
            let known =
                package::find(registry, OPERATOR, organization_id, repository.as_str()).await?;
            Ok(package::sync(registry, OPERATOR, &known).await?)
        }
        Err(error) => Err(error.into()),
    }
}

/// Tokens are shown once, so each start makes its own and revokes the one before.
async fn replace_token(app: &App, organization_id: i64) -> anyhow::Result<String> {
    for old in token::list(&app.registry, OPERATOR, organization_id).await? {
        if old.description == TOKEN {
            token::remove(&app.registry, OPERATOR, organization_id, old.id).await?;
        }
    }
    let new = NewToken {
        organization_id,
        description: TOKEN.to_owned(),
        access: TokenAccess::Read,
        expires_at: None,
    };
    Ok(token::create(&app.registry, OPERATOR, &new)
        .await?
        .reveal()
        .to_owned())
}

impl Ready {
    fn new(app: &App, token: String) -> anyhow::Result<Self> {
        let url = app.registry.public_url();
        let host = url.host_str().context("the public URL has no host")?;
        let authority = url
            .port()
            .map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
        let repository_url = app.registry.repository_url(ORGANIZATION);
        let mut commands = vec![
            "test -f composer.json || echo '{}' > composer.json".to_owned(),
            format!("composer config repositories.kapelle-demo composer {repository_url}"),
            format!("composer config --auth http-basic.{authority} token {token}"),
        ];
        if url.scheme() == "http" {
            commands.push("composer config secure-http false".to_owned());
        } else if app.settings().server.tls_self_signed {
            commands.extend(tls::trust(&app.data));
        }
        commands.push("composer require kapelle/demo-greeting".to_owned());
        Ok(Self {
            organization: ORGANIZATION,
            repository_url,
            token,
            commands,
        })
    }

    fn for_people(&self) -> String {
        let lines: Vec<String> = self
            .commands
            .iter()
            .map(|line| format!("    {line}"))
            .collect();
        format!(
            "\nTwo packages are served: kapelle/demo-clock and kapelle/demo-greeting.\n\
             Paste these lines into the folder of a PHP project, or into an empty folder:\n\n{}\n\n\
             Where packagist.org cannot be reached, before the last line:\n\n    \
             composer config repositories.packagist.org false\n",
            lines.join("\n")
        )
    }
}
