//! An organization as its operator has it: commands with its name, its Composer repository with its token.

use std::sync::Arc;

use kapelle_testing::composer::{Composer, Project};
use serde_json::{Map, Value};

use super::library::Library;
use super::world::{Installation, Ran, eventually};
use crate::signed::ApiKey;

/// An organization with a token that may read and update.
#[derive(Clone, Debug)]
pub(super) struct Organization {
    installation: Installation,
    pub(super) name: String,
    pub(super) repository_url: String,
    pub(super) token: String,
    key: Arc<ApiKey>,
}

impl Organization {
    /// Makes an organization with `kapelle setup`.
    pub(super) async fn set_up(installation: &Installation, name: &str) -> Self {
        let arguments = ["setup", "--organization", name, "--json"];
        let setup = installation.run(&arguments).await.succeeded().json();
        let text = |key: &str| setup[key].as_str().expect("a text").to_owned();
        Self {
            installation: installation.clone(),
            name: name.to_owned(),
            repository_url: text("repository_url").trim_end_matches('/').to_owned(),
            token: text("composer_token"),
            key: Arc::new(ApiKey::of_setup(&setup)),
        }
    }

    /// Uploads a file to the management API; gives the artifact's id.
    pub(super) async fn upload(&self, path: &str, name: &str, bytes: Vec<u8>) -> i64 {
        let answer = self.call("POST", path, name, bytes).await;
        answer["id"].as_i64().expect("an id")
    }

    /// Gives the management API a package, and waits until its job has succeeded.
    pub(super) async fn define(&self, package: &Value) {
        let body = package.to_string().into_bytes();
        let job = self.call("POST", "/api/packages/", "", body).await;
        let path = job["links"]["self"].as_str().expect("a path").to_owned();
        let done = async || {
            let job = self.call("GET", &path, "", Vec::new()).await;
            assert_ne!(job["status"], "error", "{job}");
            (job["status"] == "success").then_some(())
        };
        eventually("the job", done).await;
    }

    async fn call(&self, method: &str, path: &str, name: &str, body: Vec<u8>) -> Value {
        let (base, _) = self.repository_url.split_once("/repo/").expect("our URL");
        let host = base.trim_start_matches("http://");
        let host = host.split(':').next().expect("a host");
        let signature = self.key.sign(method, host, path, &body);
        let request = client()
            .request(method.parse().expect("a method"), format!("{base}{path}"))
            .header("authorization", signature)
            .header("x-filename", name)
            .body(body);
        let response = request.send().await.expect("the server answers");
        let status = response.status().as_u16();
        let text = response.text().await.expect("the whole body");
        assert_eq!(status, 200, "{method} {path}: {text}");
        serde_json::from_str(&text).expect("JSON")
    }

    /// Runs a command with `--organization` and `--json`.
    pub(super) async fn run(&self, arguments: &[&str]) -> Ran {
        self.run_with_input(arguments, "").await
    }

    /// The same with text on standard input.
    pub(super) async fn run_with_input(&self, arguments: &[&str], input: &str) -> Ran {
        let ours = ["--organization", &self.name, "--json"];
        let arguments = [arguments, &ours].concat();
        self.installation.run_with_input(&arguments, input).await
    }

    /// Adds a repository and waits until it is synchronized and served.
    pub(super) async fn add(&self, url: &str) -> Ran {
        let name = ["--organization", &self.name];
        let arguments = [
            &["package", "add", "--wait", "--json"],
            &name[..],
            &["--", url],
        ]
        .concat();
        let added = self.installation.run(&arguments).await;
        if added.status.success() {
            let name = added.json()["name"].as_str().map(str::to_owned);
            self.wait_until_served(&name.expect("the package's name"))
                .await;
        }
        added
    }

    /// Adds libraries, which are served when this returns.
    pub(super) async fn publish(&self, libraries: &[&Library]) {
        for library in libraries {
            self.add(&library.url()).await.succeeded();
        }
    }

    /// Synchronizes a package and waits for the end of it.
    pub(super) async fn synchronize(&self, package: &str) -> Ran {
        let ran = self.run(&["package", "sync", package, "--wait"]).await;
        if ran.status.success() {
            let name = ran.json()["name"].as_str().map(str::to_owned);
            self.wait_until_served(&name.expect("the package's name"))
                .await;
        }
        ran
    }

    /// Waits until the server, which learns within moments what other processes have changed, serves what is published.
    pub(super) async fn wait_until_served(&self, package: &str) {
        let published = self.show(package).await;
        let published = published["versions"]
            .as_array()
            .expect("a list of versions");
        let pair = |version: &Value, reference: &Value| format!("{version} {reference}");
        let mut expected: Vec<_> = published
            .iter()
            .map(|version| pair(&version["version"], &version["reference"]))
            .collect();
        expected.sort();
        let is_served = async || {
            let served = self.metadata(package).await;
            let served = served.iter();
            let mut served: Vec<_> = served
                .map(|version| pair(&version["version"], &version["source"]["reference"]))
                .collect();
            served.sort();
            (served == expected).then_some(())
        };
        eventually(&format!("{package} to be served"), is_served).await;
    }

    /// What `package show` tells.
    pub(super) async fn show(&self, package: &str) -> Value {
        self.run(&["package", "show", package])
            .await
            .succeeded()
            .json()
    }

    /// A project that installs from this organization with its token.
    pub(super) fn project(&self, composer: &Composer) -> Project {
        Project::new(composer, &self.repository_url).log_in("token", &self.token)
    }

    /// Status and body of a path in the repository, asked for with a token.
    pub(super) async fn get_with(&self, token: &str, path: &str) -> (u16, Vec<u8>) {
        let response = client()
            .get(format!("{}/{path}", self.repository_url))
            .basic_auth("token", Some(token))
            .send()
            .await
            .expect("the server answers");
        let status = response.status().as_u16();
        let body = response.bytes().await.expect("the whole body");
        (status, body.to_vec())
    }

    /// The served versions of a package, with dev versions, newest first; empty when there are none.
    pub(super) async fn metadata(&self, package: &str) -> Vec<Value> {
        let mut versions = Vec::new();
        for file in [
            format!("p2/{package}.json"),
            format!("p2/{package}~dev.json"),
        ] {
            let (status, body) = self.get_with(&self.token, &file).await;
            if status == 404 {
                continue;
            }
            assert_eq!(status, 200, "{file}");
            let document: Value = serde_json::from_slice(&body).expect("metadata is JSON");
            let list = document["packages"][package].as_array();
            versions.extend(expand(list.expect("a list of versions")));
        }
        versions
    }

    /// The version numbers in a package's metadata.
    pub(super) async fn versions(&self, package: &str) -> Vec<String> {
        let versions = self.metadata(package).await;
        versions
            .iter()
            .map(|version| version["version"].as_str().expect("a version").to_owned())
            .collect()
    }

    /// Waits until every published version has its dist, and the metadata its checksum.
    pub(super) async fn wait_for_dists(&self, package: &str) {
        let is_built = async || {
            let versions = self.metadata(package).await;
            let mut dists = versions.iter().map(|version| &version["dist"]);
            dists.all(|dist| dist["shasum"] != "").then_some(())
        };
        eventually(&format!("the checksums of {package}"), is_built).await;
    }

    /// What `package show` tells about refs that give no version: each with its reason.
    pub(super) async fn faults(&self, package: &str) -> Vec<(String, String)> {
        let shown = self.show(package).await;
        let text = |value: &Value| value.as_str().expect("a text").to_owned();
        let faults = shown["faults"].as_array().expect("a list of faults");
        faults
            .iter()
            .map(|fault| (text(&fault["ref"]), text(&fault["error"])))
            .collect()
    }
}

/// Minified metadata in full: each version has what differs from the one before.
fn expand(minified: &[Value]) -> Vec<Value> {
    let mut current = Map::new();
    let mut versions = Vec::new();
    for version in minified {
        for (key, value) in version.as_object().expect("a version is an object") {
            if value == "__unset" {
                current.remove(key);
            } else {
                current.insert(key.clone(), value.clone());
            }
        }
        versions.push(Value::Object(current.clone()));
    }
    versions
}

/// A client for the tests' own requests.
#[expect(
    clippy::disallowed_methods,
    reason = "a test speaks to its own server on loopback"
)]
pub(super) fn client() -> reqwest::Client {
    let builder = reqwest::Client::builder().no_proxy();
    builder.build().expect("a plain client")
}
