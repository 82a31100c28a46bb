//! An installation that can be brought back to its beginning, and servers on it that die where they are told.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use kapelle_storage::Database;
use kapelle_storage::blobs::{Blobs, BlobsConfig};
use kapelle_storage::db::{blobs, packages};
use kapelle_testing::git::GitRepository;
use kapelle_testing::process::Process;
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::ledger::text;
use super::upstream::{Shape, Upstream};
use crate::world::{Installation, library};

/// Where clients reach the registry, whatever its port.
pub(super) const PUBLIC_URL: &str = "http://kapelle.test/";
/// The package that was published long ago.
pub(super) const OLD: &str = "acme/kit";
/// Bytes that nobody refers to any more.
const ORPHAN: &[u8] = b"left over";

/// A point, and which time that it is reached, counted from 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Kill {
    pub(super) point: String,
    pub(super) hit: usize,
}

/// An installation with a package that was added and not looked at yet, another one that was published long ago and
/// lacks an archive, and bytes that nobody refers to.
#[derive(Debug)]
pub(super) struct World {
    pub(super) installation: Installation,
    pub(super) upstream: Upstream,
    pub(super) token: String,
    database: Option<String>,
    old: GitRepository,
}

impl World {
    pub(super) async fn new(shape: Shape, database: Option<&str>) -> Self {
        let upstream = Upstream::new(shape);
        // On a slow machine a heartbeat would come into some runs and not into others.
        let mut installation = Installation::new()
            .set("KAPELLE_SERVER__PUBLIC_URL", PUBLIC_URL)
            .set("KAPELLE_JOBS__LEASE", "1h");
        if let Some(url) = database {
            installation = installation.set("DATABASE_URL", url);
        }
        let setup = installation
            .json(&["setup", "--organization", "acme"])
            .await;
        let world = Self {
            installation,
            upstream,
            token: text(&setup["composer_token"]),
            database: database.map(str::to_owned),
            old: library(OLD, &["1.0.0"]),
        };
        world.grow_old().await;
        let add = ["package", "add", &world.upstream.url()];
        world.installation.run(&add).await.succeeded();
        copy(&world.installation.data(), &world.beginning());
        world
    }

    /// Everything as [`new`](Self::new) left it. Only for an installation on SQLite.
    pub(super) fn take_back(&self) {
        self.upstream.take_back();
        fs::remove_dir_all(self.installation.data()).expect("the data folder can be removed");
        copy(&self.beginning(), &self.installation.data());
    }

    /// A server on a free port that notes its points in `log`, and dies at one.
    pub(super) fn serve(&self, kill: Option<&Kill>, log: Option<&Path>) -> Process {
        let mut command = self
            .installation
            .command(&["serve", "--listen", "127.0.0.1:0"]);
        arm(&mut command, kill, log);
        Process::start(command)
    }

    /// What `kapelle verify` finds broken.
    pub(super) async fn broken(&self) -> Vec<Value> {
        let ran = self.installation.run(&["verify", "--json"]).await;
        let report: Value = serde_json::from_str(&ran.stdout)
            .unwrap_or_else(|error| panic!("this is not JSON ({error}): {ran:#?}"));
        report["broken"].as_array().expect("a list").clone()
    }

    /// Whether the bytes that nobody refers to are still kept, and nobody has begun to delete them. Whoever has and was
    /// killed is waited for until his claim runs out.
    pub(super) async fn keeps_orphan(&self) -> bool {
        let database = self.database().await;
        let mut connection = database.read().await.expect("a connection");
        let row = blobs::find(&mut connection, &Sha256::digest(ORPHAN)).await;
        let row = row.expect("the blobs can be read");
        drop(connection);
        database.close().await;
        if let Some(row) = row {
            row.state == "live"
        } else {
            let blobs = blobs_of(&self.installation);
            let exists = blobs.exists(&Sha256::digest(ORPHAN)).await;
            exists.expect("the folder of blobs can be read")
        }
    }

    async fn database(&self) -> Database {
        let file = self.installation.data().join("kapelle.sqlite");
        let sqlite = format!("sqlite:{}", file.display());
        let url = self.database.as_deref().unwrap_or(&sqlite);
        let database = Database::connect(url).await;
        database.expect("the installation's database")
    }

    /// What is left of unfinished work, once no process runs.
    pub(super) fn leftovers(&self) -> Vec<PathBuf> {
        let data = self.installation.data();
        let is_left = |path: &PathBuf| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let is_half = [".new", ".gone"].iter().any(|end| name.ends_with(end));
            let is_workspace = path.is_dir() && path.parent() == Some(&data.join("tmp"));
            is_half || is_workspace || name.starts_with(".secret")
        };
        ["", "tmp", "mirrors", "mirrors/.kapelle"]
            .iter()
            .flat_map(|folder| fs::read_dir(data.join(folder)).expect("a folder"))
            .map(|entry| entry.expect("an entry").path())
            .filter(is_left)
            .collect()
    }

    /// A file for the points of one process.
    pub(super) fn log(&self) -> PathBuf {
        self.installation.folder().join("points.log")
    }

    fn beginning(&self) -> PathBuf {
        self.installation.folder().join("beginning")
    }

    /// What is left to tidy up when a server comes back after a day.
    async fn grow_old(&self) {
        let add = ["package", "add", &self.old.url(), "--wait"];
        self.installation.run(&add).await.succeeded();
        let queued = ["job", "list", "--state", "queued"];
        let build = self.installation.json(&queued).await[0]["id"].to_string();
        self.installation
            .run(&["job", "cancel", &build])
            .await
            .succeeded();

        let database = self.database().await;
        let sha256 = Sha256::digest(ORPHAN);
        let mut transaction = database.write().await.expect("a transaction");
        let size = i64::try_from(ORPHAN.len()).expect("a few bytes");
        let touched = blobs::touch(&mut transaction, &sha256, size, 0).await;
        touched.expect("the row is written");
        let synced = packages::set_synced(&mut transaction, 1, 0, None).await;
        synced.expect("the first package is there");
        transaction.commit().await.expect("it is committed");
        database.close().await;
        let bytes = self.installation.folder().join("orphan");
        fs::write(&bytes, ORPHAN).expect("a file");
        let stored = blobs_of(&self.installation).put_file(&sha256, &bytes).await;
        stored.expect("the bytes are stored");
    }
}

fn blobs_of(installation: &Installation) -> Blobs {
    let folder = installation.data().join("blobs");
    let config = BlobsConfig::new(format!("file:{}", folder.display()));
    Blobs::open(&config).expect("the installation's blobs")
}

/// Has a command note the points that it reaches, and die at one.
pub(super) fn arm(command: &mut std::process::Command, kill: Option<&Kill>, log: Option<&Path>) {
    if let Some(log) = log {
        command.env("FAILPOINT_LOG", log);
    }
    if let Some(Kill { point, hit }) = kill {
        command.env("FAILPOINT_KILL", format!("{hit}:{point}"));
    }
}

/// How often each point was reached, as a log says. The log is removed.
pub(super) fn take_hits(log: &Path) -> BTreeMap<String, usize> {
    let text = fs::read_to_string(log).unwrap_or_default();
    let mut hits = BTreeMap::new();
    for point in text.lines() {
        *hits.entry(point.to_owned()).or_default() += 1;
    }
    if log.exists() {
        fs::remove_file(log).expect("the log can be removed");
    }
    hits
}

/// Copies a folder that nobody writes to.
pub(super) fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder can be made");
    let mode = fs::metadata(from).expect("a folder").permissions();
    fs::set_permissions(to, mode).expect("its mode can be set");
    for entry in fs::read_dir(from).expect("a folder") {
        let path = entry.expect("an entry").path();
        let target = to.join(path.file_name().expect("an entry has a name"));
        if path.is_dir() {
            copy(&path, &target);
        } else {
            fs::copy(&path, &target).expect("a file can be copied");
        }
    }
}
