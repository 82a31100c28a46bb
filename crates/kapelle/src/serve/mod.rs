//! `kapelle serve` and `kapelle worker`: the processes that stay.

mod accept;
mod arguments;
mod background;
mod connection;
mod demo;
mod front;
mod import;
mod job_threads;
mod listener;
mod patience;
mod service;
mod timer;
mod tls;

pub(crate) use arguments::{ServeArguments, WorkerArguments};
pub(crate) use tls::own_certificate;

use kapelle_http::{ApiSettings, AppState, GuardedMetrics, HttpService};
use kapelle_storage::db::facts;
use serde::Serialize;
use url::Url;

use crate::app::App;
use crate::logging;
use crate::output::Output;
use crate::parts;
use crate::settings::Loaded;
use crate::signal;

use background::Background;
use listener::{Listener, Serving};

/// What is printed when the server listens.
#[derive(Debug, Serialize)]
struct Listening {
    listening: String,
    public_url: String,
}

/// Serves until a signal, then lets what runs come to its end.
pub(crate) async fn serve(
    arguments: ServeArguments,
    loaded: Loaded,
    output: Output,
) -> anyhow::Result<()> {
    if arguments.demo {
        demo::make_folder(&loaded.data)?;
    }
    let app = App::open(loaded, output).await?;
    let listener = Listener::bind(&app)?;
    note_public_url(&app, &listener.url()?).await?;
    app.registry.catch_up().await?;

    let background = Background::start(&app, "serve", !arguments.no_worker).await?;
    let serving = match start(&app, listener) {
        Ok(serving) => serving,
        Err(error) => {
            background.stop(&app).await;
            return Err(error);
        }
    };
    let outcome = tokio::select! {
        ended = serving.ended() => ended,
        failed = prepare(&app, &arguments) => failed,
        signal = signal::asked_to_stop() => signal,
    };
    let stopping = async {
        serving.drain(app.settings().server.shutdown_timeout).await;
        background.stop(&app).await;
    };
    Box::pin(signal::or_at_once(stopping)).await;
    outcome
}

/// Works until a signal, then lets running jobs come to their end.
pub(crate) async fn worker(app: &App) -> anyhow::Result<()> {
    app.registry.catch_up().await?;
    let background = Background::start(app, "worker", true).await?;
    let started = serde_json::json!({ "working": app.node });
    app.output
        .item(&started, &format!("working as {}", app.node))?;
    let outcome = signal::asked_to_stop().await;
    Box::pin(signal::or_at_once(background.stop(app))).await;
    outcome
}

/// Opens the doors and says where they are.
fn start(app: &App, listener: Listener) -> anyhow::Result<Serving> {
    let listening = listener.address();
    let metrics = listener::metrics(app)?;
    let guarded = metrics.clone().zip(app.settings().metrics.token.clone());
    let guarded = guarded.map(|(handle, token)| GuardedMetrics { handle, token });
    let api = ApiSettings {
        accept_signature_v1: app.settings().api.accept_signature_v1,
        accept_packagist_token: app.settings().api.accept_packagist_token,
        accept_any_host: app.settings().server.public_url.is_none(),
    };
    let state = AppState::new(
        app.registry.clone(),
        api,
        &app.opened.random,
        guarded,
        logging::access_log(app.settings()),
    );
    let serving = listener.serve(HttpService::new(state), metrics)?;
    let listening = Listening {
        listening,
        public_url: app.registry.public_url().into(),
    };
    app.output
        .item(&listening, &format!("listening on {}", listening.listening))?;
    Ok(serving)
}

/// What the arguments ask for beside serving. Comes back only when it fails.
async fn prepare(app: &App, arguments: &ServeArguments) -> anyhow::Result<()> {
    if arguments.demo {
        demo::run(app).await?;
    }
    if let Some(file) = &arguments.import {
        import::run(app, file, arguments.organization.as_deref()).await?;
    }
    std::future::pending().await
}

/// The setting counts; without it the address we listen on, which other commands learn from the database.
async fn note_public_url(app: &App, listening: &Url) -> anyhow::Result<()> {
    let url = match &app.settings().server.public_url {
        Some(url) => parts::with_slash(url.clone()),
        None => listening.clone(),
    };
    let mut transaction = app.opened.database.write_reserved().await?;
    facts::set(&mut transaction, parts::PUBLIC_URL, url.as_str()).await?;
    transaction.commit().await?;
    app.registry.set_public_url(url);
    Ok(())
}
