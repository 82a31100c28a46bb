//! The application in the test's process: a registry over real databases and real git, behind its router.

mod build;
mod client;

use std::sync::atomic::{AtomicBool, Ordering};

use kapelle_http::{AccessLine, AccessLog, ApiSettings, AppState, HttpService};
use kapelle_registry::clock::DAY;
use kapelle_registry::jobs::{Ran, Worker};
use kapelle_registry::{
    Actor, Clock, Disk, Limits, Random, Registry, hook, organization, package, token, verify,
};
use kapelle_storage::blobs::BlobsConfig;
use kapelle_storage::db::blobs;
use kapelle_storage::db::jobs;
use kapelle_storage::db::packages::Package;
use kapelle_testing::git::GitRepository;
use secrecy::ExposeSecret;
use tempfile::TempDir;

use build::{make_token, registry};
pub(crate) use client::{Answer, Client, basic, without_folders};

/// Sun, 01 Nov 2026 10:00:00 GMT, in milliseconds since 1970.
pub(crate) const START: i64 = 1_793_527_200_000;
/// Where clients believe the registry to be.
pub(crate) const PUBLIC_URL: &str = "https://packages.example.org/";

/// Makes an event of each line about a request, for tests that look at everything that is logged.
#[derive(Debug)]
pub(crate) struct Traced;

impl AccessLog for Traced {
    fn write(&self, line: &AccessLine<'_>) {
        tracing::info!(
            target: "kapelle::access",
            request = line.request,
            method = line.method,
            path = line.path,
            status = line.status,
            bytes = line.bytes,
            organization = line.organization,
        );
    }
}

/// What a test may want otherwise.
#[derive(Debug, Default)]
pub(crate) struct Options {
    pub(crate) limits: Limits,
    /// The disks that are watched; none without it.
    pub(crate) disk: Option<Disk>,
    /// Where blobs are; in memory without it.
    pub(crate) blobs: Option<BlobsConfig>,
    /// How tolerant the management API is.
    pub(crate) api: ApiSettings,
    /// Lets requests to this machine's own addresses out.
    pub(crate) reach_local: bool,
    /// Writes a line per git command to a file, for [`TestApp::git_commands`].
    pub(crate) count_git: bool,
}

/// An application with the organizations `acme` and `other`, five actors, and no packages.
pub(crate) struct TestApp {
    pub(crate) registry: Registry,
    pub(crate) clock: Clock,
    pub(crate) organization_id: i64,
    pub(crate) service: HttpService,
    pub(crate) tokens: Tokens,
    pub(crate) hook_secret: String,
    /// An administrator's key of the management API, and its secret.
    pub(crate) api_key: (String, String),
    /// That of `other`.
    pub(crate) strangers_key: (String, String),
    worker: Worker,
    folder: TempDir,
    jobs_may_stay: AtomicBool,
}

/// The texts of tokens.
pub(crate) struct Tokens {
    /// Reads `acme`.
    pub(crate) read: String,
    /// Reads `acme` and asks for updates.
    pub(crate) update: String,
    /// Reads and updates `other`.
    pub(crate) stranger: String,
    /// Was removed.
    pub(crate) revoked: String,
    /// Reads `acme` for one day.
    pub(crate) expiring: String,
}

impl TestApp {
    /// Starts over the empty database at `url`.
    pub(crate) async fn start(url: &str) -> Self {
        Self::with(url, Options::default()).await
    }

    /// Starts with other options than the default ones.
    pub(crate) async fn with(url: &str, options: Options) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let (clock, random) = (Clock::manual(START), Random::seeded(1));
        let api = options.api;
        let registry = registry(url, options, folder.path(), &clock, &random).await;
        let acme = organization::setup(&registry, &Actor::Operator, "acme", None)
            .await
            .expect("acme is new");
        let other = organization::setup(&registry, &Actor::Operator, "other", None)
            .await
            .expect("other is new");
        let id = acme.organization.id;
        let (_, hook_secret) = hook::secret(&registry, "acme")
            .await
            .expect("a readable secret")
            .expect("acme");
        let (revoked_id, revoked) = make_token(&registry, id, None).await;
        token::remove(&registry, &Actor::Operator, id, revoked_id)
            .await
            .expect("the token is there");
        let tokens = Tokens {
            read: make_token(&registry, id, None).await.1,
            update: acme.composer_token.expose_secret().to_owned(),
            stranger: other.composer_token.expose_secret().to_owned(),
            revoked,
            expiring: make_token(&registry, id, Some(START + DAY)).await.1,
        };
        Self {
            service: HttpService::new(AppState::new(
                registry.clone(),
                api,
                &random,
                None,
                Box::new(Traced),
            )),
            worker: Worker::new(registry.clone(), "test".to_owned()),
            api_key: (acme.api_key, acme.api_secret.expose_secret().to_owned()),
            strangers_key: (other.api_key, other.api_secret.expose_secret().to_owned()),
            organization_id: id,
            hook_secret: hook_secret.expose_secret().to_owned(),
            jobs_may_stay: AtomicBool::new(false),
            registry,
            clock,
            tokens,
            folder,
        }
    }

    /// Adds a repository to `acme` and runs every job until nothing is left.
    pub(crate) async fn add(&self, repository: &GitRepository) -> Vec<Ran> {
        self.queue(repository).await;
        self.work().await
    }

    /// Adds a repository to `acme`, whose synchronization stays queued; gives its job.
    pub(crate) async fn queue(&self, repository: &GitRepository) -> i64 {
        let added = package::add(
            &self.registry,
            &Actor::Operator,
            self.organization_id,
            &repository.url(),
            None,
        )
        .await;
        added.expect("the repository is new").1
    }

    /// Looks at a package's repository again and runs every job until nothing is left.
    pub(crate) async fn sync(&self, name: &str) -> Vec<Ran> {
        let package = self.package(name).await;
        package::sync(&self.registry, &Actor::Operator, &package)
            .await
            .expect("a job is queued");
        self.work().await
    }

    /// A package's row.
    pub(crate) async fn package(&self, name: &str) -> Package {
        package::find(&self.registry, &Actor::Operator, self.organization_id, name)
            .await
            .expect("the package is there")
    }

    /// What is wrong with a package's refs, as `ref: reason` lines.
    pub(crate) async fn faults(&self, name: &str) -> String {
        let shown =
            package::show(&self.registry, &Actor::Operator, self.organization_id, name).await;
        let faults = shown.expect("the package is there").faults;
        let lines: Vec<String> = faults
            .into_iter()
            .map(|(name, reason)| format!("{name}: {reason}"))
            .collect();
        lines.join("\n")
    }

    /// Runs every job that is due, and what those queue.
    pub(crate) async fn work(&self) -> Vec<Ran> {
        self.worker
            .run_until_idle()
            .await
            .expect("the queue can be read")
    }

    /// Runs the next job only.
    pub(crate) async fn work_once(&self) -> Ran {
        self.worker
            .run_next()
            .await
            .expect("the queue can be read")
            .expect("a job is due")
    }

    /// Moves the clock; the process keeps following the database meanwhile.
    pub(crate) async fn advance(&self, milliseconds: i64) {
        self.clock.advance(milliseconds);
        self.registry
            .catch_up()
            .await
            .expect("the database answers");
    }

    /// From here on the test may end with jobs that wait.
    pub(crate) fn let_jobs_wait(&self) {
        self.jobs_may_stay.store(true, Ordering::SeqCst);
    }

    /// The git commands that ran so far and have `word` among their arguments; see [`Options::count_git`].
    pub(crate) fn git_commands(&self, word: &str) -> usize {
        self.git_log()
            .lines()
            .filter(|line| line.split(' ').any(|argument| argument == word))
            .count()
    }

    /// The git commands that ran so far, a line each; see [`Options::count_git`].
    pub(crate) fn git_log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("git.log")).unwrap_or_default()
    }

    /// What lies in the folder for temporary files and is none of the registry's own.
    pub(crate) fn temporary_files(&self) -> usize {
        let entries = std::fs::read_dir(self.folder.path()).expect("our own folder");
        let names = entries.map(|entry| entry.expect("readable").file_name());
        names
            .filter(|name| name != "mirrors" && name != "secrets.key")
            .count()
    }

    /// How many dists and artifacts refer to a blob.
    pub(crate) async fn count_dists(&self) -> usize {
        let mut connection = self.registry.database().read().await.expect("a connection");
        let all = blobs::list(&mut connection, &[], 1_000).await;
        let all = all.expect("the blobs can be read");
        all.iter().filter(|blob| blob.referred).count()
    }

    /// Holds rows, archives, documents and mirrors against each other.
    pub(crate) async fn verify(&self) {
        let options = verify::Options { quick: false };
        let report = verify::run(&self.registry, &Actor::Operator, options, &|_| ()).await;
        let report = report.expect("everything can be read");
        assert!(report.is_sound(), "{:?}", report.broken);
    }

    /// Deletes every copy of a repository, as a new node without its own would be.
    pub(crate) fn lose_mirrors(&self) {
        let mirrors = self.folder.path().join("mirrors");
        for entry in std::fs::read_dir(mirrors)
            .expect("the folder of mirrors")
            .flatten()
        {
            if entry.path().extension().is_some_and(|end| end == "git") {
                std::fs::remove_dir_all(entry.path()).expect("our own folder");
            }
        }
    }

    pub(crate) fn anonymous(&self) -> Client<'_> {
        Client {
            app: self,
            authorization: None,
        }
    }

    pub(crate) fn reader(&self) -> Client<'_> {
        self.holding(&self.tokens.read)
    }

    pub(crate) fn updater(&self) -> Client<'_> {
        self.holding(&self.tokens.update)
    }

    pub(crate) fn stranger(&self) -> Client<'_> {
        self.holding(&self.tokens.stranger)
    }

    /// Sends a token as Composer does: as the Basic password.
    pub(crate) fn holding(&self, token: &str) -> Client<'_> {
        Client {
            app: self,
            authorization: Some(basic("token", token)),
        }
    }
}

/// A leftover job is something that the test did not think of.
impl Drop for TestApp {
    fn drop(&mut self) {
        if std::thread::panicking() || self.jobs_may_stay.load(Ordering::SeqCst) {
            return;
        }
        let open = tokio::task::block_in_place(|| {
            tokio::runtime::Handle::current().block_on(async {
                let mut connection = self
                    .registry
                    .database()
                    .read()
                    .await
                    .expect("the database answers");
                jobs::count_open(&mut connection)
                    .await
                    .expect("the database answers")
            })
        });
        assert!(open.is_empty(), "jobs are left over: {open:?}");
    }
}
