//! Archives as people upload them, and a server that others' archives are on.

use std::io::{Cursor, Write};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::IntoResponse;
use tokio::net::TcpListener;
use tokio::sync::{Notify, Semaphore};
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

/// A zip of files.
pub(super) fn zip(files: &[(&str, &str)]) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content) in files {
        zip.start_file(*name, SimpleFileOptions::default())
            .expect("a name");
        zip.write_all(content.as_bytes()).expect("memory");
    }
    zip.finish().expect("memory").into_inner()
}

/// The zip of one version of a package, in one top folder as hosts make it.
pub(super) fn release(name: &str, version: &str) -> Vec<u8> {
    let manifest =
        format!(r#"{{"name": "{name}", "version": "{version}", "require": {{"php": ">=8"}}}}"#);
    zip(&[("top/composer.json", &manifest), ("top/src/A.php", "<?php")])
}

/// A server with one archive on every path; opens to those who show `Authorization`, if it wants one.
pub(super) struct Shelf {
    pub(super) address: String,
    held: Arc<Held>,
}

struct Held {
    archive: Mutex<Vec<u8>>,
    /// Closed while answers are held back.
    gate: Semaphore,
    was_asked: Notify,
    wants: Option<&'static str>,
    asked: Mutex<Vec<Option<String>>>,
}

impl Shelf {
    pub(super) async fn with(archive: Vec<u8>, wants: Option<&'static str>) -> Self {
        let held = Arc::new(Held {
            archive: Mutex::new(archive),
            gate: Semaphore::new(1),
            was_asked: Notify::new(),
            wants,
            asked: Mutex::default(),
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("bound").to_string();
        let router = Router::new().fallback(give).with_state(Arc::clone(&held));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { address, held }
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}/acme.zip", self.address)
    }

    /// From here on nothing is answered.
    pub(super) fn hold(&self) {
        self.held.gate.forget_permits(1);
    }

    /// What was held back is answered.
    pub(super) fn release(&self) {
        self.held.gate.add_permits(1);
    }

    /// Waits until somebody asks.
    pub(super) async fn asked_once(&self) {
        self.held.was_asked.notified().await;
    }

    pub(super) fn change(&self, archive: Vec<u8>) {
        *self.held.archive.lock().unwrap() = archive;
    }

    /// The `Authorization` of every request so far.
    pub(super) fn asked(&self) -> Vec<Option<String>> {
        self.held.asked.lock().unwrap().clone()
    }
}

async fn give(State(held): State<Arc<Held>>, request: Request) -> impl IntoResponse {
    let shown = request.headers().get("authorization");
    let shown = shown.and_then(|header| header.to_str().ok().map(str::to_owned));
    held.asked.lock().unwrap().push(shown.clone());
    held.was_asked.notify_one();
    let _open = held.gate.acquire().await.expect("it is never closed");
    if held.wants.is_some() && shown.as_deref() != held.wants {
        return (StatusCode::UNAUTHORIZED, Vec::new());
    }
    (StatusCode::OK, held.archive.lock().unwrap().clone())
}
