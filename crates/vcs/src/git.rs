//! The git command as this program uses it: its settings, its folders, its limits.

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use kapelle_outbound::Client;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::bare;
use crate::command::GitCommand;
use crate::credential::Credential;
use crate::depot;
use crate::error::VcsError;
use crate::host_key::HostKey;
use crate::mirror::Mirror;
use crate::protocol::Protocols;
use crate::url::RepositoryUrl;

/// The folder beside the mirrors for what belongs to none of them.
const OWN: &str = ".kapelle";
/// An empty folder in it.
const HOME: &str = "home";

/// Settings of [`Git`].
#[derive(Clone, Debug)]
pub struct GitConfig {
    /// The git command, a name to be found in `path` or an absolute path.
    pub binary: PathBuf,
    /// `PATH` for git and what it starts (ssh).
    pub path: OsString,
    /// The folder of the mirrors; created when missing.
    pub mirrors: PathBuf,
    /// Resolves and checks hosts before git contacts them, follows redirects, and limits work per host.
    pub outbound: Client,
    /// The protocols that may be used.
    pub protocols: Protocols,
    /// Root certificates for https in PEM, instead of the machine's.
    pub ca_bundle: Option<PathBuf>,
    /// The most branches and tags of a repository. 200,000.
    pub max_refs: usize,
    /// The most files in the tree of a commit. 200,000.
    pub max_tree_entries: u64,
    /// The largest pack that a fetch may bring, in bytes. 8 GiB.
    pub max_fetch: u64,
    /// The most memory of one git process, in bytes: a few bytes of deltas or placeholders can stand for any amount. 4 GiB.
    pub max_memory: u64,
    /// For listing refs. 2 minutes.
    pub list_timeout: Duration,
    /// For a fetch; a stalled one ends after five minutes anyway. 30 minutes.
    pub fetch_timeout: Duration,
    /// For reading from a mirror, and for waiting until another process has finished with it. 10 minutes.
    pub read_timeout: Duration,
    /// How many git commands may read from mirrors at once. 8.
    pub parallel_reads: usize,
}

impl GitConfig {
    /// The default settings over a folder for the mirrors.
    pub fn new(mirrors: impl Into<PathBuf>, outbound: Client) -> Self {
        Self {
            binary: "git".into(),
            path: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin".into(),
            mirrors: mirrors.into(),
            outbound,
            protocols: Protocols::default(),
            ca_bundle: None,
            max_refs: 200_000,
            max_tree_entries: 200_000,
            max_fetch: 8 << 30,
            max_memory: 4 << 30,
            list_timeout: Duration::from_mins(2),
            fetch_timeout: Duration::from_mins(30),
            read_timeout: Duration::from_mins(10),
            parallel_reads: 8,
        }
    }
}

/// How a repository is reached: where, as whom, and which host keys are known.
#[derive(Clone, Copy, Debug)]
pub struct Access<'a> {
    /// Where the repository is.
    pub url: &'a RepositoryUrl,
    /// Who we are to its host; only this host is ever shown it.
    pub credential: Option<&'a Credential>,
    /// Stored keys of ssh hosts; those of other hosts are ignored. A host without any is trusted the first time.
    pub known_hosts: &'a [HostKey],
}

impl<'a> Access<'a> {
    /// Access without credential and without known hosts.
    pub fn anonymous(url: &'a RepositoryUrl) -> Self {
        Self {
            url,
            credential: None,
            known_hosts: &[],
        }
    }
}

/// Git repositories: the way to them and the mirrors of them. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Git {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    config: GitConfig,
    depot: String,
    reads: Arc<Semaphore>,
}

impl Git {
    /// Prepares the folder of the mirrors. Does not start git: see [`Git::check`].
    pub fn new(mut config: GitConfig) -> Result<Self, VcsError> {
        let doing = format!("prepare the folder {}", config.mirrors.display());
        std::fs::create_dir_all(&config.mirrors).map_err(VcsError::io(&*doing))?;
        config.mirrors = config
            .mirrors
            .canonicalize()
            .map_err(VcsError::io(&*doing))?;
        let own = config.mirrors.join(OWN);
        std::fs::create_dir_all(own.join(HOME)).map_err(VcsError::io(&*doing))?;
        let depot = depot::name(&own).map_err(VcsError::io(&*doing))?;
        let reads = Arc::new(Semaphore::new(config.parallel_reads.max(1)));
        let shared = Arc::new(Shared {
            config,
            depot,
            reads,
        });
        let git = Self { shared };
        git.make_empty_repository().map_err(VcsError::io(doing))?;
        Ok(git)
    }

    /// The version of the git command, if it is new enough.
    pub async fn check(&self) -> Result<String, VcsError> {
        let command = GitCommand::new(self, "tell its version", &["version"]);
        let finished = command.run(4096).await?;
        let said = String::from_utf8_lossy(&finished.stdout);
        let found = said.trim().trim_start_matches("git version ").to_owned();
        let mut numbers = found.split('.').map(|part| part.parse::<u32>().ok());
        match (numbers.next().flatten(), numbers.next().flatten()) {
            (Some(major), Some(minor)) if (major, minor) >= (2, 39) => Ok(found),
            _ => Err(VcsError::GitTooOld { found }),
        }
    }

    /// The mirror with this number (the package's), whether it exists or not.
    pub fn mirror(&self, id: i64) -> Mirror {
        Mirror::new(self.clone(), id)
    }

    /// The name of the folder of the mirrors: that of all processes which share it, and of no others.
    pub fn depot(&self) -> &str {
        &self.shared.depot
    }

    /// The settings it was made with; `mirrors` is absolute.
    pub fn config(&self) -> &GitConfig {
        &self.shared.config
    }

    /// An empty folder: no configuration, no keys.
    pub(crate) fn home(&self) -> PathBuf {
        self.own_folder().join(HOME)
    }

    /// A repository without refs and objects: what git reads there depends on nothing but the objects lent to it.
    pub(crate) fn empty_repository(&self) -> PathBuf {
        self.own_folder().join("empty.git")
    }

    fn make_empty_repository(&self) -> io::Result<()> {
        let lock = File::create(self.own_folder().join("lock"))?;
        lock.lock()?;
        bare::create(&self.empty_repository())
    }

    /// Waits for the right to run one more reading command.
    pub(crate) async fn reading(&self) -> OwnedSemaphorePermit {
        Arc::clone(&self.shared.reads)
            .acquire_owned()
            .await
            .expect("this semaphore is never closed")
    }

    /// Whether a local path leads into the mirrors: whoever may name paths must not reach others' code through them.
    pub(crate) fn owns(&self, path: &Path) -> bool {
        let name = path.display();
        // git also looks for these when the path itself is no repository.
        let opened = ["", ".git", "/.git", ".git/.git"];
        opened.iter().any(|suffix| {
            Path::new(&format!("{name}{suffix}"))
                .canonicalize()
                .is_ok_and(|path| path.starts_with(&self.config().mirrors))
        })
    }

    fn own_folder(&self) -> PathBuf {
        self.config().mirrors.join(OWN)
    }
}
