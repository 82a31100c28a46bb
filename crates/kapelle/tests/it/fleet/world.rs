//! Machines with data folders of their own, on one PostgreSQL database and one store of archives.

use std::time::Duration;

use kapelle_storage::Database;
use kapelle_storage::db::audit;
use kapelle_storage::db::changes;
use kapelle_storage::db::jobs::{self, Filter, Job};
use kapelle_testing::postgres::TestPostgres;
use kapelle_testing::process::Process;
use kapelle_testing::tcp_proxy::TcpProxy;
use serde_json::Value;
use tempfile::TempDir;
use tokio::time::{Instant, interval};

use crate::world::Installation;

/// How long a test waits for what happens in the background.
const PATIENCE: Duration = Duration::from_secs(40);
const PERIOD: Duration = Duration::from_millis(50);

/// One installation on several machines, with the organization `acme`.
#[derive(Debug)]
pub(crate) struct Fleet {
    server: TestPostgres,
    archives: TempDir,
    pub(crate) token: String,
}

impl Fleet {
    pub(crate) async fn new() -> Self {
        let mut fleet = Self {
            server: TestPostgres::create().await,
            archives: TempDir::new().expect("a temporary folder"),
            token: String::new(),
        };
        let setup = ["setup", "--organization", "acme"];
        let made = fleet.machine().json(&setup).await;
        let token = made["composer_token"].as_str().expect("a token");
        token.clone_into(&mut fleet.token);
        fleet
    }

    /// A machine, whose data folder is new.
    pub(crate) fn machine(&self) -> Installation {
        let archives = format!("file:{}", self.archives.path().display());
        Installation::new()
            .set("DATABASE_URL", self.server.url())
            .set("KAPELLE_BLOBS__URL", &archives)
            .set("KAPELLE_SECRETS__KEY", &"5a".repeat(32))
            .set(
                "KAPELLE_SERVER__PUBLIC_URL",
                "https://packages.example.org/",
            )
            .set("KAPELLE_VCS__PROTOCOLS", "file,http")
            .set("KAPELLE_NETWORK__ALLOW", "127.0.0.0/8")
            .set("KAPELLE_JOBS__LEASE", "5s")
    }

    /// A machine that reaches the database through a proxy.
    pub(crate) async fn proxied(&self) -> (TcpProxy, Installation) {
        let (proxy, url) = self.server.proxied().await;
        (proxy, self.machine().set("DATABASE_URL", &url))
    }

    /// Ends every session on the database, as a server that restarts.
    pub(crate) async fn end_sessions(&self) {
        self.server.end_sessions().await;
    }

    pub(crate) async fn database(&self) -> Database {
        let connected = Database::connect(self.server.url()).await;
        connected.expect("the test server answers")
    }

    /// The newest job of a kind.
    pub(crate) async fn job(&self, kind: &str) -> Option<Job> {
        let database = self.database().await;
        let mut on = database.read().await.expect("a connection");
        let filter = Filter {
            kind: Some(kind),
            ..Filter::default()
        };
        let found = jobs::list(&mut on, filter, 1).await.expect("the jobs");
        found.into_iter().next()
    }

    /// How often something was done, by the audit log.
    pub(crate) async fn done(&self, action: &str) -> usize {
        let database = self.database().await;
        let mut on = database.read().await.expect("a connection");
        let rows = audit::list(&mut on, None, None, 1_000).await;
        let rows = rows.expect("the audit log");
        rows.iter().filter(|row| row.action == action).count()
    }

    /// Every change of a package, as `action name`.
    pub(crate) async fn changes(&self) -> Vec<String> {
        let database = self.database().await;
        let mut on = database.read().await.expect("a connection");
        let changes = changes::since(&mut on, 0, 1_000)
            .await
            .expect("the changes");
        changes
            .into_iter()
            .filter(|change| change.subject == "package")
            .map(|change| format!("{} {}", change.action, change.name))
            .collect()
    }
}

/// Starts a worker; it is at work when this returns.
pub(crate) async fn worker(machine: &Installation) -> Process {
    let worker = Process::start(machine.command(&["worker"]));
    worker.line("working as").await;
    worker
}

/// Status and body of a path in the repository of `acme`, asked for with a token.
pub(crate) async fn get(server: &str, token: &str, path: &str) -> (u16, Vec<u8>) {
    let response = client()
        .get(format!("{server}/repo/acme/{path}"))
        .basic_auth("token", Some(token))
        .send()
        .await
        .expect("the server answers");
    let status = response.status().as_u16();
    let body = response.bytes().await.expect("the whole body");
    (status, body.to_vec())
}

/// The references in a document, by version; empty where there is none.
pub(crate) async fn references(server: &str, token: &str, path: &str) -> Vec<(String, String)> {
    let (status, body) = get(server, token, path).await;
    if status == 404 {
        return Vec::new();
    }
    assert_eq!(status, 200, "{}", String::from_utf8_lossy(&body));
    let document: Value = serde_json::from_slice(&body).expect("metadata is JSON");
    let packages = document["packages"].as_object().expect("packages");
    let versions = packages
        .values()
        .flat_map(|list| list.as_array().expect("a list"));
    versions
        .map(|version| {
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            (
                text(&version["version"]),
                text(&version["source"]["reference"]),
            )
        })
        .collect()
}

/// A client for the tests' own requests.
#[expect(
    clippy::disallowed_methods,
    reason = "a test speaks to its own servers on loopback"
)]
pub(crate) fn client() -> reqwest::Client {
    let builder = reqwest::Client::builder()
        .no_proxy()
        .timeout(Duration::from_mins(1));
    builder.build().expect("a plain client")
}

/// Asks again and again until there is an answer; fails when there is none after a while.
pub(crate) async fn eventually<T>(what: &str, ask: impl AsyncFnMut() -> Option<T>) -> T {
    within(PATIENCE, what, ask).await
}

/// The same with another patience.
pub(crate) async fn within<T>(
    patience: Duration,
    what: &str,
    mut ask: impl AsyncFnMut() -> Option<T>,
) -> T {
    let deadline = Instant::now() + patience;
    let mut ticks = interval(PERIOD);
    loop {
        ticks.tick().await;
        if let Some(answer) = ask().await {
            return answer;
        }
        assert!(Instant::now() < deadline, "in vain waited for {what}");
    }
}
