//! The checks of the doctor, each as far as those before it allow.

use std::time::Duration;

use anyhow::Context;
use kapelle_outbound::{AddressPolicy, Client, ClientConfig, HeaderMap, OutboundError};
use kapelle_vcs::Protocol;
use url::Url;

use super::{Check, folder};
use crate::app::App;
use crate::output::Output;
use crate::parts;
use crate::serve;
use crate::settings::Loaded;

/// A node further off the database's clock than this is not ready, in milliseconds.
const SKEW: i64 = 2_000;
/// How long the server's own address may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// Runs the checks in their order.
pub(super) async fn run(loaded: Loaded, output: Output) -> Vec<Check> {
    let mut diagnosis = vec![settings(&loaded)];
    diagnosis.push(ssh().await);
    let data = match parts::open_data_folder(&loaded.data) {
        Ok(data) => data,
        Err(error) => {
            diagnosis.push(folder::unusable(&error));
            return diagnosis;
        }
    };
    diagnosis.push(folder::look(&data));
    diagnosis.push(folder::disk(&parts::disk(&loaded.settings, &data)));
    match App::open(loaded, output).await {
        Ok(app) => diagnosis.extend(opened(&app).await),
        Err(error) => diagnosis.push(Check::fail(
            "installation",
            format!("it cannot be opened: {error:#}"),
            "the checks of database, archives, git and public URL were left out",
        )),
    }
    diagnosis
}

async fn opened(app: &App) -> Vec<Check> {
    vec![
        git(app).await,
        protocols(app),
        database(app),
        clock(app).await,
        blobs(app).await,
        public_url(app).await,
    ]
}

fn settings(loaded: &Loaded) -> Check {
    let file = loaded
        .file
        .as_ref()
        .map_or_else(|| "no file".to_owned(), |path| path.display().to_string());
    Check::ok("settings", format!("right ({file})"))
}

async fn git(app: &App) -> Check {
    match app.opened.git.check().await {
        Ok(version) => Check::ok("git", version),
        Err(error) => Check::fail(
            "git",
            error.to_string(),
            "install git 2.39 or newer, or set vcs.git",
        ),
    }
}

/// Only whether it is there: repositories over https do without.
async fn ssh() -> Check {
    let started = tokio::process::Command::new("ssh")
        .arg("-V")
        .stdin(std::process::Stdio::null())
        .kill_on_drop(true)
        .output();
    match tokio::time::timeout(PATIENCE, started).await {
        Ok(Ok(output)) if output.status.success() => Check::ok(
            "ssh",
            String::from_utf8_lossy(&output.stderr).trim().to_owned(),
        ),
        _ => Check::warn(
            "ssh",
            "there is no working ssh command",
            "install openssh-client to fetch over ssh",
        ),
    }
}

fn protocols(app: &App) -> Check {
    let allowed: Vec<&str> = app
        .settings()
        .vcs
        .protocols
        .iter()
        .map(Protocol::name)
        .collect();
    let shown = allowed.join(", ");
    if allowed.contains(&"file") {
        let advice = "whoever adds packages can read what this process can read: take it out of vcs.protocols";
        return Check::warn("protocols", shown, advice);
    }
    if allowed.contains(&"http") || allowed.contains(&"git") {
        let advice = "http and git are neither private nor authentic: take them out of vcs.protocols if you can";
        return Check::warn("protocols", shown, advice);
    }
    Check::ok("protocols", shown)
}

/// It was opened and brought up to date before this.
fn database(app: &App) -> Check {
    let database = &app.opened.database;
    Check::ok(
        "database",
        format!(
            "{database} answers and is up to date ({})",
            database.engine()
        ),
    )
}

async fn clock(app: &App) -> Check {
    let theirs = match app.opened.database.server_time().await {
        Ok(Some(theirs)) => theirs,
        Ok(None) => return Check::ok("clock", "the database is on this machine"),
        Err(error) => return Check::fail("clock", error.to_string(), "see the database"),
    };
    let skew = app.registry.now() - theirs;
    let shown = format!("{skew} ms off the database's clock");
    if skew.abs() > SKEW {
        Check::fail("clock", shown, "let both machines follow a time server")
    } else {
        Check::ok("clock", shown)
    }
}

async fn blobs(app: &App) -> Check {
    match app.opened.blobs.check().await {
        Ok(()) => Check::ok(
            "archives",
            format!("{} can be written, read and deleted", app.opened.blobs),
        ),
        Err(error) => Check::fail("archives", error.to_string(), "see blobs.url and its keys"),
    }
}

/// Asks the address that stands in every link we write. It is the operator's own, so private ones are fine.
async fn public_url(app: &App) -> Check {
    let url = app.registry.public_url();
    let advice = "start `kapelle serve`, or correct server.public_url";
    match health(app, &url).await {
        Ok(200) => Check::ok("public URL", format!("{url} answers")),
        Ok(status) => Check::warn(
            "public URL",
            format!("{url}healthz answers {status}"),
            advice,
        ),
        Err(error) if is_distrust(&error) => Check::warn(
            "public URL",
            format!("the certificate is not trusted here: {error:#}"),
            "where an own authority signed it, name that authority's certificate in network.ca_file \
             (KAPELLE_NETWORK__CA_FILE); clients have to trust it, too",
        ),
        Err(error) => Check::warn(
            "public URL",
            format!("no server answers: {error:#}"),
            advice,
        ),
    }
}

/// Somebody answers, and we do not believe who it is.
fn is_distrust(error: &anyhow::Error) -> bool {
    matches!(
        error.downcast_ref(),
        Some(OutboundError::Connect { reason, .. }) if reason.contains("certificate")
    )
}

async fn health(app: &App, url: &Url) -> anyhow::Result<u16> {
    let own = Some(serve::own_certificate(&app.data)).filter(|file| file.exists());
    let named = app.settings().network.ca_file.clone();
    let mut extra_roots = Vec::new();
    for file in own.into_iter().chain(named) {
        let read = std::fs::read(&file);
        extra_roots.push(read.with_context(|| format!("{} cannot be read", file.display()))?);
    }
    let everywhere = vec!["0.0.0.0/0".parse()?, "::/0".parse()?];
    let client = Client::new(ClientConfig {
        policy: AddressPolicy::new(everywhere),
        first_byte: PATIENCE,
        total: PATIENCE,
        extra_roots,
        ..ClientConfig::default()
    })?;
    let answer = client
        .get(&url.join("healthz")?, HeaderMap::new(), 64 * 1024)
        .await?;
    Ok(answer.status.as_u16())
}
