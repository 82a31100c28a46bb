//! One run of the scenario: a package is published, installed, pushed to, and installed again, and whenever the server
//! is killed in between, another one goes on.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use kapelle_composer::minify::expand;
use serde_json::{Map, Value, json};
use tokio::time::{Instant, interval};

use super::ledger::{Ledger, text};
use super::server::Server;
use super::upstream::PACKAGE;
use super::world::{Kill, OLD, World, take_hits};

/// How long a server may take for anything.
const PATIENCE: Duration = Duration::from_secs(40);
const PERIOD: Duration = Duration::from_millis(40);

/// What a run came to.
#[derive(Debug)]
pub(super) struct Outcome {
    /// The metadata at the end.
    pub(super) metadata: Vec<Value>,
    /// How often the first server reached each point.
    pub(super) hits: BTreeMap<String, usize>,
    /// Whether it was killed.
    pub(super) killed: bool,
}

struct Play<'w> {
    world: &'w World,
    client: reqwest::Client,
    server: Server<'w>,
    pushed: bool,
    ledger: Ledger,
}

/// Runs the scenario from its beginning to its end, with a server that is to die as `kill` says.
pub(super) async fn play(world: &World, kill: Option<&Kill>) -> Outcome {
    let log = world.log();
    let mut play = Play {
        world,
        client: client(),
        server: Server::new(world.serve(kill, kill.is_none().then_some(&log)), || {
            world.serve(None, None)
        }),
        pushed: false,
        ledger: Ledger::default(),
    };
    play.until("everything of before the push", false, false)
        .await;
    play.install().await;
    play.until("checksums of before the push", false, true)
        .await;
    world.upstream.push();
    play.pushed = true;
    play.tell().await;
    let metadata = play.until("everything of after the push", true, true).await;
    play.install().await;
    play.end(metadata, &log).await
}

impl Play<'_> {
    /// Looks until the package is published with all its versions, and with their checksums if they are wanted.
    async fn until(&mut self, what: &str, after: bool, with_shasums: bool) -> Vec<Value> {
        let expected = self.world.upstream.expected(after);
        let deadline = Instant::now() + PATIENCE;
        let mut ticks = interval(PERIOD);
        loop {
            ticks.tick().await;
            let metadata = self.metadata().await;
            let mut published: Vec<_> = metadata
                .iter()
                .map(|version| {
                    let reference = text(&version["dist"]["reference"]);
                    (text(&version["version"]), reference)
                })
                .collect();
            published.sort();
            let mut dists = metadata.iter().map(|version| &version["dist"]["shasum"]);
            if published == expected && (!with_shasums || dists.all(|shasum| shasum != "")) {
                return metadata;
            }
            assert!(
                Instant::now() < deadline,
                "in vain waited for {what}; published is {metadata:#?}\n{}",
                self.server.log()
            );
        }
    }

    /// What Composer is told, taken down in the ledger.
    async fn metadata(&mut self) -> Vec<Value> {
        let mut metadata = Vec::new();
        for file in [
            format!("p2/{PACKAGE}.json"),
            format!("p2/{PACKAGE}~dev.json"),
        ] {
            let path = format!("repo/acme/{file}");
            let (status, body) = self.ask(reqwest::Method::GET, &path, None).await;
            if status == 404 {
                continue;
            }
            assert_eq!(status, 200, "{path}: {}", String::from_utf8_lossy(&body));
            let document: Value = serde_json::from_slice(&body).expect("metadata is JSON");
            let versions: Vec<Map<String, Value>> =
                serde_json::from_value(document["packages"][PACKAGE].clone())
                    .expect("a list of versions");
            metadata.extend(expand(&versions).into_iter().map(Value::Object));
        }
        let deleted = if self.pushed {
            self.world.upstream.deleted()
        } else {
            Vec::new()
        };
        self.ledger.see(&metadata, &deleted);
        metadata
    }

    /// Downloads every dist that was ever published, beginning with the root as Composer does.
    async fn install(&mut self) {
        let (status, root) = self
            .ask(reqwest::Method::GET, "repo/acme/packages.json", None)
            .await;
        assert_eq!(status, 200, "{}", String::from_utf8_lossy(&root));
        let references: Vec<String> = self.ledger.shasums.keys().cloned().collect();
        for reference in references {
            let path = format!("repo/acme/dists/{PACKAGE}/{reference}.zip");
            let (status, bytes) = self.ask(reqwest::Method::GET, &path, None).await;
            assert_eq!(status, 200, "{path}: {}", String::from_utf8_lossy(&bytes));
            self.ledger.got(&reference, bytes);
        }
    }

    /// Calls the hook, and again until it is answered.
    async fn tell(&mut self) {
        let path = format!("api/update-package?apiToken={}", self.world.token);
        let body = json!({"repository": self.world.upstream.url()}).to_string();
        let (status, answer) = self.ask(reqwest::Method::POST, &path, Some(body)).await;
        assert_eq!(status, 202, "{}", String::from_utf8_lossy(&answer));
    }

    /// An answer with a token; whoever is cut off asks again.
    async fn ask(
        &mut self,
        method: reqwest::Method,
        path: &str,
        body: Option<String>,
    ) -> (u16, Vec<u8>) {
        let (client, token) = (&self.client, &self.world.token);
        let request = |base: &str| {
            client
                .request(method.clone(), format!("{base}/{path}"))
                .basic_auth("token", Some(token))
                .header("content-type", "application/json")
                .body(body.clone().unwrap_or_default())
        };
        self.server.ask(request).await
    }

    /// Ends the server once nothing is left to do, and looks at what remains.
    async fn end(mut self, metadata: Vec<Value>, log: &Path) -> Outcome {
        let deadline = Instant::now() + PATIENCE;
        let mut ticks = interval(PERIOD);
        let old = format!("repo/acme/p2/{OLD}.json");
        loop {
            let (status, body) = self.ask(reqwest::Method::GET, &old, None).await;
            let body = String::from_utf8_lossy(&body).into_owned();
            assert_eq!(status, 200, "{body}");
            let lacks_dist = body.contains(r#""shasum":"""#);
            if !lacks_dist && !self.world.keeps_orphan().await {
                break;
            }
            assert!(
                Instant::now() < deadline,
                "nobody tidies up: {body}\n{}",
                self.server.log()
            );
            ticks.tick().await;
        }
        let killed = self.server.end().await;
        assert_eq!(self.world.broken().await, Vec::<Value>::new());
        assert_eq!(self.world.leftovers(), Vec::<PathBuf>::new());
        Outcome {
            metadata,
            hits: take_hits(log),
            killed,
        }
    }
}

/// A client for requests to our own server.
#[expect(
    clippy::disallowed_methods,
    reason = "a test speaks to its own server on loopback"
)]
pub(super) fn client() -> reqwest::Client {
    let builder = reqwest::Client::builder()
        .no_proxy()
        .pool_max_idle_per_host(0);
    builder.build().expect("a plain client")
}
