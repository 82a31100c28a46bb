//! Archives are uploaded to a server that dies on the way: whoever sends what was not answered again comes to the same end.

use std::fs;
use std::io::{Cursor, Write};
use std::time::Duration;

use kapelle_composer::minify::expand;
use kapelle_testing::process::Process;
use reqwest::Method;
use serde_json::{Map, Value, json};
use sha1::{Digest, Sha1};
use tokio::time::{Instant, interval};
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use super::ledger::text;
use super::play::client;
use super::points::{Group, Hits};
use super::server::Server;
use super::world::{Kill, PUBLIC_URL, arm, copy, take_hits};
use crate::signed::ApiKey;
use crate::world::Installation;

/// What is reached on the way of an upload, and of the package that is made of it.
pub(super) const UPLOADING: Group = &[
    "registry/src/artifact/",
    "registry/src/package/create.rs",
    "registry/src/dist/remote.rs",
    "registry/src/sync/step.rs",
    "registry/src/api_key.rs",
    " a blob is ",
];
const PACKAGE: &str = "acme/lib";
const PATIENCE: Duration = Duration::from_secs(40);
const PERIOD: Duration = Duration::from_millis(40);
const HOST: &str = "kapelle.test";

/// An installation without packages, and the keys to it.
pub(super) struct Sender {
    installation: Installation,
    key: ApiKey,
    token: String,
}

/// What a run came to.
pub(super) struct Sent {
    /// The versions at the end, each with what Composer is told of its archive.
    pub(super) published: Vec<Value>,
    pub(super) hits: Hits,
    pub(super) killed: bool,
}

impl Sender {
    pub(super) async fn new() -> Self {
        let installation = Installation::new()
            .set("KAPELLE_SERVER__PUBLIC_URL", PUBLIC_URL)
            .set("KAPELLE_JOBS__LEASE", "1h");
        let setup = ["setup", "--organization", "acme"];
        let setup = installation.json(&setup).await;
        let beginning = installation.folder().join("beginning");
        copy(&installation.data(), &beginning);
        Self {
            key: ApiKey::of_setup(&setup),
            token: text(&setup["composer_token"]),
            installation,
        }
    }

    /// Everything as [`new`](Self::new) left it.
    pub(super) fn take_back(&self) {
        let data = self.installation.data();
        fs::remove_dir_all(&data).expect("the data folder can be removed");
        copy(&self.installation.folder().join("beginning"), &data);
    }

    /// Uploads an archive, makes a package of it, uploads its next version, and installs both.
    pub(super) async fn run(&self, kill: Option<&Kill>) -> Sent {
        let log = self.installation.folder().join("points.log");
        let first = self.serve(kill, kill.is_none().then_some(&log));
        let mut run = Run {
            sender: self,
            server: Server::new(first, || self.serve(None, None)),
        };
        let uploaded = run.post("/api/packages/artifacts/", release("1.0.0")).await;
        let body = json!({ "repoType": "artifact", "artifactIds": [uploaded["id"]] });
        run.post("/api/packages/", body.to_string().into_bytes())
            .await;
        run.until(&["1.0.0"]).await;
        let next = format!("/api/packages/{PACKAGE}/artifacts/");
        run.post(&next, release("2.0.0")).await;
        let published = run.until(&["1.0.0", "2.0.0"]).await;
        for version in &published {
            let dist = &version["dist"];
            let path = text(&dist["url"]).replace(PUBLIC_URL, "/");
            let (status, bytes) = run.ask(Method::GET, &path, Vec::new()).await;
            assert_eq!(status, 200, "{path}");
            assert_eq!(hex::encode(Sha1::digest(&bytes)), text(&dist["shasum"]));
            assert_eq!(bytes, release(&text(&version["version"])));
        }
        let killed = run.server.end().await;
        let verified = self.installation.run(&["verify", "--json"]).await;
        let report: Value = serde_json::from_str(&verified.stdout).expect("JSON");
        assert_eq!(report["broken"], json!([]), "after {kill:?}");
        Sent {
            published,
            hits: take_hits(&log),
            killed,
        }
    }

    fn serve(&self, kill: Option<&Kill>, log: Option<&std::path::PathBuf>) -> Process {
        let serve = ["serve", "--listen", "127.0.0.1:0"];
        let mut command = self.installation.command(&serve);
        arm(&mut command, kill, log.map(std::path::PathBuf::as_path));
        Process::start(command)
    }
}

/// One run, with the server that is up now.
struct Run<'s> {
    sender: &'s Sender,
    server: Server<'s>,
}

impl Run<'_> {
    /// The answer to a signed POST. What is sent again may have been done the first time.
    async fn post(&mut self, path: &str, body: Vec<u8>) -> Value {
        let (status, answer) = self.ask(Method::POST, path, body).await;
        let answer: Value = serde_json::from_slice(&answer).expect("JSON");
        let message = answer["message"].as_str().unwrap_or_default();
        let is_done = ["another package's", "the name of another package"]
            .iter()
            .any(|sentence| message.contains(sentence));
        assert!(
            status == 200 || (self.server.killed() && is_done),
            "{path}: {answer}"
        );
        answer
    }

    /// Waits for versions, which are then all there are.
    async fn until(&mut self, expected: &[&str]) -> Vec<Value> {
        let deadline = Instant::now() + PATIENCE;
        let mut ticks = interval(PERIOD);
        let path = format!("/repo/acme/p2/{PACKAGE}.json");
        loop {
            ticks.tick().await;
            let (status, body) = self.ask(Method::GET, &path, Vec::new()).await;
            let document: Value = serde_json::from_slice(&body).expect("JSON");
            let versions = document["packages"][PACKAGE].clone();
            let versions: Vec<Map<String, Value>> =
                serde_json::from_value(versions).unwrap_or_default();
            let mut versions: Vec<Value> =
                expand(&versions).into_iter().map(Value::Object).collect();
            versions.sort_by_key(|version| text(&version["version"]));
            let names: Vec<String> = versions
                .iter()
                .map(|version| text(&version["version"]))
                .collect();
            if status == 200 && names == expected {
                // When it was uploaded differs from run to run.
                for version in &mut versions {
                    version["time"].take();
                }
                return versions;
            }
            assert!(
                Instant::now() < deadline,
                "in vain waited for {expected:?}: {document:#}\n{}",
                self.server.log()
            );
        }
    }

    /// An answer; whoever is cut off signs and asks again.
    async fn ask(&mut self, method: Method, path: &str, body: Vec<u8>) -> (u16, Vec<u8>) {
        let sender = self.sender;
        let request = |base: &str| {
            let url = format!("{base}{path}");
            let request = client().request(method.clone(), url).body(body.clone());
            if path.starts_with("/api/") {
                let signature = sender.key.sign(method.as_str(), HOST, path, &body);
                request
                    .header("authorization", signature)
                    .header("x-filename", "lib.zip")
            } else {
                request.basic_auth("token", Some(&sender.token))
            }
        };
        self.server.ask(request).await
    }
}

/// The archive of a version, the same bytes each time.
fn release(version: &str) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default();
    zip.start_file("composer.json", options).expect("a name");
    let manifest = json!({ "name": PACKAGE, "version": version });
    write!(zip, "{manifest}").expect("memory");
    zip.finish().expect("memory").into_inner()
}
