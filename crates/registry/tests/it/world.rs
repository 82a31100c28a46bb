//! A registry in a temporary folder, whose clock and jobs move only when the test says so.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Duration;

use futures::TryStreamExt;
use kapelle_outbound::{AddressPolicy, Client, ClientConfig};
use kapelle_registry::disk::{Probe, Reserve, Watched};
use kapelle_registry::jobs::{self, End, Ran, Worker};
use kapelle_registry::secrets::Secrets;
use kapelle_registry::{
    Actor, Clock, Disk, Limits, Parts, Random, Registry, dist, document, organization, package,
};
use kapelle_storage::Database;
use kapelle_storage::blobs::{Blobs, BlobsConfig};
use kapelle_storage::db::audit;
use kapelle_storage::db::jobs::Claimant;
use kapelle_storage::db::packages::Package;
use kapelle_testing::git::GitRepository;
use kapelle_vcs::{Git, GitConfig, Protocols};
use serde_json::Value;
use tempfile::TempDir;

/// 2026-11-01T10:00:00Z.
pub(crate) const START: i64 = 1_793_527_200_000;

pub(crate) struct World {
    pub(crate) registry: Registry,
    pub(crate) worker: Worker,
    pub(crate) clock: Clock,
    pub(crate) organization_id: i64,
    /// What the disks are believed to hold.
    probe: Probe,
    change_git: ChangeGit,
    folder: TempDir,
}

/// Changes git's settings; the path is the world's folder.
pub(crate) type ChangeGit = fn(&mut GitConfig, &Path);

/// What a test may want otherwise.
pub(crate) struct Arrangement {
    pub(crate) limits: Limits,
    pub(crate) change_git: ChangeGit,
    pub(crate) blobs: BlobsConfig,
}

impl Default for Arrangement {
    fn default() -> Self {
        Self {
            limits: Limits::default(),
            change_git: |_, _| {},
            blobs: BlobsConfig::new("memory:"),
        }
    }
}

impl World {
    pub(crate) async fn new(database_url: &str) -> Self {
        Self::arranged(database_url, Arrangement::default()).await
    }

    pub(crate) async fn with_limits(database_url: &str, limits: Limits) -> Self {
        let arrangement = Arrangement {
            limits,
            ..Arrangement::default()
        };
        Self::arranged(database_url, arrangement).await
    }

    pub(crate) async fn arranged(database_url: &str, arrangement: Arrangement) -> Self {
        let Arrangement {
            limits,
            change_git,
            blobs,
        } = arrangement;
        kapelle_outbound::install_crypto_provider();
        let folder = tempfile::tempdir().unwrap();
        let database = Database::connect(database_url).await.unwrap();
        database.migrate(START).await.unwrap();
        let clock = Clock::manual(START);
        let blobs = Blobs::open(&blobs).unwrap();
        let probe = Probe::manual();
        let registry = Self::process(&folder, database, blobs, &clock, limits, change_git, &probe);
        let setup = organization::setup(&registry, &Actor::Operator, "acme", None)
            .await
            .unwrap();
        Self {
            worker: Worker::new(registry.clone(), "test".to_owned()),
            organization_id: setup.organization.id,
            registry,
            clock,
            probe,
            change_git,
            folder,
        }
    }

    /// From now on so many hundredths of the disk are free.
    pub(crate) fn leave_free(&self, percent: u64) {
        const GIB: u64 = 1 << 30;
        self.probe.set(self.folder(), percent * GIB, 100 * GIB);
    }

    /// Where everything of it is.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Another process on the same database, with a memory of its own.
    pub(crate) fn other_process(&self) -> Registry {
        self.process_with(self.registry.limits().clone())
    }

    /// The same with connections of its own.
    pub(crate) async fn process_connected_to(&self, database_url: &str) -> Registry {
        let database = Database::connect(database_url).await.unwrap();
        self.process_on(database, &self.clock)
    }

    /// Another process, whose clock is its own.
    pub(crate) fn process_at(&self, clock: &Clock) -> Registry {
        self.process_on(self.registry.database().clone(), clock)
    }

    fn process_on(&self, database: Database, clock: &Clock) -> Registry {
        Self::process(
            &self.folder,
            database,
            self.registry.blobs().clone(),
            clock,
            self.registry.limits().clone(),
            self.change_git,
            &self.probe,
        )
    }

    /// Another machine on the same database and blobs, with mirrors of its own in the folder.
    pub(crate) fn other_machine(&self, limits: Limits) -> (Registry, TempDir) {
        let folder = tempfile::tempdir().unwrap();
        let database = self.registry.database().clone();
        let blobs = self.registry.blobs().clone();
        let probe = &self.probe;
        let registry = Self::process(
            &folder,
            database,
            blobs,
            &self.clock,
            limits,
            |_, _| {},
            probe,
        );
        (registry, folder)
    }

    /// Another process whose settings have other limits.
    pub(crate) fn process_with(&self, limits: Limits) -> Registry {
        let database = self.registry.database().clone();
        let blobs = self.registry.blobs().clone();
        Self::process(
            &self.folder,
            database,
            blobs,
            &self.clock,
            limits,
            self.change_git,
            &self.probe,
        )
    }

    fn process(
        folder: &TempDir,
        database: Database,
        blobs: Blobs,
        clock: &Clock,
        limits: Limits,
        change_git: ChangeGit,
        probe: &Probe,
    ) -> Registry {
        let outbound = Client::new(ClientConfig {
            policy: AddressPolicy::new(vec!["127.0.0.0/8".parse().unwrap()]),
            ..ClientConfig::default()
        })
        .unwrap();
        let mut config = GitConfig::new(folder.path().join("mirrors"), outbound.clone());
        config.protocols = Protocols::all();
        config.max_refs = limits.refs;
        config.max_tree_entries = limits.entries;
        change_git(&mut config, folder.path());
        let random = Random::seeded(7);
        let key = folder.path().join("secret.key");
        Registry::new(Parts {
            database,
            blobs,
            git: Git::new(config).unwrap(),
            protocols: Protocols::all(),
            outbound,
            secrets: Secrets::from_file(&key, random.clone()).unwrap(),
            clock: clock.clone(),
            random,
            limits,
            public_url: "https://kapelle.example/".parse().unwrap(),
            temporary: folder.path().to_owned(),
            disk: Disk::new(
                probe.clone(),
                Reserve::Percent(5),
                vec![Watched {
                    name: "the data folder",
                    path: folder.path().to_owned(),
                }],
            ),
        })
    }

    pub(crate) async fn add(&self, repository: &GitRepository) -> Package {
        self.add_url(&repository.url()).await
    }

    pub(crate) async fn add_url(&self, url: &str) -> Package {
        let added = package::add(
            &self.registry,
            &Actor::Operator,
            self.organization_id,
            url,
            None,
        );
        added.await.unwrap().0
    }

    /// Where the mirror of a package's repository is.
    pub(crate) fn mirror(&self, package: &Package) -> PathBuf {
        self.folder
            .path()
            .join(format!("mirrors/{}.git", package.id))
    }

    /// The package as it is now.
    pub(crate) async fn now(&self, package: &Package) -> Package {
        let id = package.id.to_string();
        package::find(&self.registry, &Actor::Operator, self.organization_id, &id)
            .await
            .unwrap()
    }

    /// Waits until a job that somebody else runs is over.
    pub(crate) async fn is_over(&self, job: i64) {
        for _ in 0..1_000 {
            let row = jobs::show(&self.registry, &Actor::Operator, job).await;
            if row.unwrap().finished_at.is_some() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("job {job} does not end");
    }

    /// Runs every job that is due; all of them have to go well.
    pub(crate) async fn work(&self) -> Vec<Ran> {
        let ran = self.worker.run_until_idle().await.unwrap();
        for job in &ran {
            assert_eq!(job.end, End::Success, "{job:?}");
        }
        ran
    }

    /// Synchronizes a package and gives how that ended; what follows from it is run, too.
    pub(crate) async fn sync(&self, package: &Package) -> Ran {
        package::sync(&self.registry, &Actor::Operator, package)
            .await
            .unwrap();
        let ran = self.worker.run_until_idle().await.unwrap();
        ran.into_iter().next().unwrap()
    }

    /// The versions in a `p2` document, expanded; `None` where there is no document.
    pub(crate) async fn versions(&self, path: &str) -> Option<Vec<Value>> {
        let place = format!("acme/{path}");
        let document = document::find(&self.registry, &Actor::Operator, &place)
            .await
            .ok()?;
        let value = body(&document);
        let list = value["packages"]
            .as_object()?
            .values()
            .next()?
            .as_array()?
            .clone();
        let list: Vec<_> = list
            .into_iter()
            .map(|version| version.as_object().cloned().unwrap())
            .collect();
        Some(
            kapelle_composer::minify::expand(&list)
                .into_iter()
                .map(Value::Object)
                .collect(),
        )
    }

    /// The version numbers in a `p2` document, in its order.
    pub(crate) async fn numbers(&self, path: &str) -> Vec<String> {
        let versions = self.versions(path).await.unwrap_or_default();
        let number = |version: &Value| version["version"].as_str().unwrap().to_owned();
        versions.iter().map(number).collect()
    }

    /// The bytes of a dist.
    pub(crate) async fn dist(&self, name: &str, reference: &str) -> Vec<u8> {
        let name = name.parse().unwrap();
        let dist = dist::find(&self.registry, &Actor::Operator, "acme", &name, reference)
            .await
            .unwrap();
        let size = u64::try_from(dist.size).unwrap();
        let stream = dist::read(&self.registry, &dist, 0..size).await.unwrap();
        let chunks: Vec<_> = stream.try_collect().await.unwrap();
        chunks.concat()
    }

    /// The file with the key of secrets at rest.
    pub(crate) fn key_file(&self) -> PathBuf {
        self.folder.path().join("secret.key")
    }

    /// Subject and detail of the last audit row about an action.
    pub(crate) async fn audited(&self, action: &str) -> (String, String) {
        let mut connection = self.registry.database().read().await.unwrap();
        let rows = audit::list(&mut connection, None, None, 100).await.unwrap();
        let row = rows.into_iter().find(|row| row.action == action).unwrap();
        (row.subject, row.detail)
    }

    /// What `package show` says is wrong with a ref.
    pub(crate) async fn faults(&self, package: &Package) -> Vec<(String, String)> {
        let id = package.id.to_string();
        let shown = package::show(&self.registry, &Actor::Operator, self.organization_id, &id);
        shown.await.unwrap().faults
    }
}

/// What a document says.
pub(crate) fn body(document: &document::Document) -> Value {
    let mut text = String::new();
    flate2::read::GzDecoder::new(&document.gzip[..])
        .read_to_string(&mut text)
        .unwrap();
    serde_json::from_str(&text).unwrap()
}

/// Who takes jobs by hand, of a depot that nothing is left to.
pub(crate) fn claimant(owner: &str) -> Claimant<'_> {
    Claimant {
        owner,
        depot: "",
        present_since: 0,
    }
}
