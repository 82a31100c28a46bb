//! A disk that is full, or that cannot be written, under each of the things that a server keeps there.
//!
//! A limit on the size of files stands for the disk that is full: a write fails in its middle. What is larger than
//! [`ROOM`] is the one thing that does not fit.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use kapelle_testing::full_disk::{enduring, unprivileged};
use kapelle_testing::git::GitRepository;
use kapelle_testing::process::Process;
use serde_json::{Value, json};

use crate::fleet::world::{client, eventually, get, references};
use crate::world::{Installation, library};

const LIB: &str = r#"{"name": "acme/lib", "description": "A library."}"#;
/// More than a new database and its log.
const ROOM: u64 = 8 << 20;
const LARGE: usize = 12 << 20;

/// A server that has published and built `acme/lib` 1.0.0.
struct Scene {
    installation: Installation,
    repository: GitRepository,
    server: Process,
    url: String,
    token: String,
}

impl Scene {
    async fn new(serve: &[&str]) -> Self {
        let installation = Installation::new().set("KAPELLE_LOG__LEVEL", "info");
        let setup = ["setup", "--organization", "acme"];
        let token = installation.json(&setup).await["composer_token"].clone();
        let token = token.as_str().expect("a token").to_owned();
        let arguments = [&["serve", "--listen", "127.0.0.1:0"], serve].concat();
        let command = enduring(&unprivileged(&installation.command(&arguments)));
        let server = Process::start(command);
        let url = server.url("listening on").await;
        let repository = library("acme/lib", &["1.0.0"]);
        installation
            .run(&["package", "add", &repository.url(), "--wait"])
            .await
            .succeeded();
        let scene = Self {
            installation,
            repository,
            server,
            url,
            token,
        };
        let first = scene.repository.resolve("refs/tags/1.0.0").unwrap();
        assert_eq!(scene.download(&first).await.0, 200);
        scene
    }

    /// Tags a commit whose one file does not fit; gives the commit.
    fn release_large(&self) -> String {
        let commit = self
            .repository
            .commit("main")
            .file("composer.json", LIB)
            .file("large", noise(LARGE))
            .create();
        self.repository.tag("2.0.0", &commit);
        commit
    }

    async fn metadata(&self) -> Vec<String> {
        let found = references(&self.url, &self.token, "p2/acme/lib.json").await;
        found.into_iter().map(|(version, _)| version).collect()
    }

    async fn download(&self, commit: &str) -> (u16, Vec<u8>) {
        let path = format!("dists/acme/lib/{commit}.zip");
        get(&self.url, &self.token, &path).await
    }

    /// Status and sentence of a hook.
    async fn push(&self) -> (u16, String) {
        let url = format!("{}/api/update-package?apiToken={}", self.url, self.token);
        let body = json!({"repository": self.repository.url()});
        let answer = client().post(url).json(&body).send().await.unwrap();
        let status = answer.status().as_u16();
        let body: Value = answer.json().await.unwrap();
        (
            status,
            body["message"].as_str().unwrap_or_default().to_owned(),
        )
    }

    async fn is_sound(&self) {
        let report = self.installation.json(&["verify"]).await;
        assert_eq!(report["broken"], json!([]), "{report:#}");
    }
}

/// Bytes that do not get smaller.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 7_u64;
    let mut next = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        state.to_be_bytes()[0]
    };
    (0..length).map(|_| next()).collect()
}

fn set_mode(folder: &Path, mode: u32) {
    fs::set_permissions(folder, fs::Permissions::from_mode(mode)).unwrap();
}

#[tokio::test]
async fn a_full_disk_under_the_database_stops_changes_and_nothing_else_and_is_over_by_itself() {
    let scene = Scene::new(&["--no-worker"]).await;
    let first = scene.repository.resolve("refs/tags/1.0.0").unwrap();
    let built = scene.download(&first).await.1;
    scene.server.limit_files(Some(0));
    for _ in 0..3 {
        let (status, sentence) = scene.push().await;
        assert_eq!(status, 503, "{sentence}");
        assert!(sentence.contains("disk"), "{sentence}");
        assert_eq!(scene.metadata().await, ["1.0.0"]);
        assert_eq!(scene.download(&first).await, (200, built.clone()));
    }
    scene.server.limit_files(None);
    assert_eq!(scene.push().await.0, 202);
    scene.is_sound().await;
}

#[tokio::test]
async fn a_full_disk_under_the_temporary_files_refuses_what_needs_one_and_leaves_nothing_there() {
    let scene = Scene::new(&["--no-worker"]).await;
    let commit = scene.release_large();
    let sync = ["package", "sync", "acme/lib", "--wait"];
    scene.installation.run(&sync).await.succeeded();
    scene.server.limit_files(Some(ROOM));
    let (status, body) = scene.download(&commit).await;
    let body = String::from_utf8_lossy(&body).into_owned();
    assert_eq!(status, 503, "{body}");
    assert!(body.contains("temporary file"), "{body}");
    let first = scene.repository.resolve("refs/tags/1.0.0").unwrap();
    assert_eq!(scene.download(&first).await.0, 200);
    let folders = fs::read_dir(scene.installation.data().join("tmp")).unwrap();
    let left: Vec<_> = folders
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_dir())
        .flat_map(|folder| fs::read_dir(folder).unwrap())
        .map(|entry| entry.unwrap().file_name())
        .filter(|name| name != "lock")
        .collect();
    assert!(left.is_empty(), "{left:?}");

    scene.server.limit_files(None);
    let (status, archive) = scene.download(&commit).await;
    assert!(status == 200 && archive.len() > LARGE, "{status}");
    scene.is_sound().await;
}

#[tokio::test]
async fn a_full_or_read_only_disk_under_the_archives_refuses_new_ones_and_serves_the_others() {
    let scene = Scene::new(&["--no-worker"]).await;
    let first = scene.repository.resolve("refs/tags/1.0.0").unwrap();
    let commit = scene.repository.release("1.1.0", LIB);
    let sync = ["package", "sync", "acme/lib", "--wait"];
    scene.installation.run(&sync).await.succeeded();
    let blobs = scene.installation.data().join("blobs");
    set_mode(&blobs, 0o555);
    for _ in 0..2 {
        let (status, body) = scene.download(&commit).await;
        let body = String::from_utf8_lossy(&body).into_owned();
        assert_eq!(status, 503, "{body}");
        assert!(body.contains("Permission denied"), "{body}");
        assert_eq!(scene.download(&first).await.0, 200);
    }
    set_mode(&blobs, 0o755);
    assert_eq!(scene.download(&commit).await.0, 200);
    scene.is_sound().await;
}

#[tokio::test]
async fn a_read_only_disk_under_everything_is_named_at_the_start_and_endured_afterwards() {
    let scene = Scene::new(&[]).await;
    let data = scene.installation.data();
    let folders = ["", "mirrors", "blobs", "tmp"].map(|name| data.join(name));
    scene.repository.release("1.1.0", LIB);
    for folder in &folders {
        set_mode(folder, 0o555);
    }
    let list = unprivileged(&scene.installation.command(&["package", "list"]));
    let refused = tokio::process::Command::from(list).output().await.unwrap();
    let sentence = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(1), "{sentence}");
    assert!(
        sentence.contains("cannot be used") && sentence.contains("Permission denied"),
        "{sentence}"
    );
    let first = scene.repository.resolve("refs/tags/1.0.0").unwrap();
    assert_eq!(scene.download(&first).await.0, 200);
    assert_eq!(scene.metadata().await, ["1.0.0"]);
    scene.push().await;

    for folder in &folders {
        set_mode(folder, 0o755);
    }
    let both = async || (scene.metadata().await == ["1.1.0", "1.0.0"]).then_some(());
    eventually("the next attempt", both).await;
    scene.is_sound().await;
}

#[tokio::test]
async fn less_room_than_the_reserve_is_told_by_the_whole_program() {
    let installation = Installation::with_organization().await;
    let (server, url) = installation.serve(&[]).await;
    let ready = async |url: &str| {
        let answer = client().get(format!("{url}/readyz")).send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    };
    assert_eq!(ready(&url).await.0, 200);
    server.terminate().await;

    let installation = installation.set("KAPELLE_LIMITS__FREE_DISK", "1048576 GiB");
    let (server, url) = installation.serve(&[]).await;
    let (status, body) = ready(&url).await;
    assert_eq!(status, 503);
    assert!(
        body.contains("of limits.free_disk: nothing is changed"),
        "{body}"
    );
    let refused = installation.run(&["token", "create"]).await.refused(1);
    assert!(
        refused.contains("nothing is changed until there is room"),
        "{refused}"
    );
    server.terminate().await;
}
