//! Puts the registry together from the settings: database, blobs, git, network, secrets, folders.

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use anyhow::Context;
use kapelle_outbound::{AddressPolicy, Client, ClientConfig};
use kapelle_registry::disk::{Probe, Watched};
use kapelle_registry::installation;
use kapelle_registry::secrets::Secrets;
use kapelle_registry::{Clock, Disk, Limits, Parts, Random, Registry};
use kapelle_storage::Database;
use kapelle_storage::blobs::{Blobs, BlobsConfig};
use kapelle_vcs::{Git, GitConfig, Protocol, Protocols};
use secrecy::ExposeSecret;
use url::Url;

use crate::owner;
use crate::settings::Settings;

/// The name of the fact that holds the URL that was served last.
pub(crate) const PUBLIC_URL: &str = "public_url";
/// The folder of the demonstration's repositories; where it is, git may read local paths.
pub(crate) const DEMO: &str = "demo";

/// Everything a registry is made of, kept so that the program can use the parts by themselves.
#[derive(Clone, Debug)]
pub(crate) struct Opened {
    pub(crate) database: Database,
    pub(crate) blobs: Blobs,
    pub(crate) git: Git,
    pub(crate) random: Random,
    pub(crate) clock: Clock,
    outbound: Client,
    secrets: Secrets,
    limits: Limits,
    temporary: PathBuf,
    disk: Disk,
}

impl Opened {
    /// Opens everything; the schema is brought up to date.
    pub(crate) async fn open(
        settings: &Settings,
        data: &Path,
        temporary: &Path,
    ) -> anyhow::Result<Self> {
        let (clock, random) = (Clock::System, Random::from_system());
        let outbound = Client::new(client_config(settings)?)?;
        let git = Git::new(git_config(settings, data, &outbound))?;
        let secrets = open_secrets(settings, data, &random)?;
        let blobs = open_blobs(settings, data)?;
        let database = Database::connect(&database_url(settings, data)).await?;
        let migrations = database.migrate(clock.now()).await?;
        if migrations > 0 {
            tracing::info!(%database, migrations, "the database schema was brought up to date");
        }
        installation::confirm_key(&database, &secrets).await?;
        let (limits, temporary) = (limits(settings), temporary.to_owned());
        let disk = disk(settings, data);
        Ok(Self {
            database,
            blobs,
            git,
            random,
            clock,
            outbound,
            secrets,
            limits,
            temporary,
            disk,
        })
    }

    /// A registry over these parts to which repositories can be added over `protocols`.
    pub(crate) fn registry(&self, protocols: Protocols, public_url: Url) -> Registry {
        Registry::new(Parts {
            database: self.database.clone(),
            blobs: self.blobs.clone(),
            git: self.git.clone(),
            protocols,
            outbound: self.outbound.clone(),
            secrets: self.secrets.clone(),
            clock: self.clock.clone(),
            random: self.random.clone(),
            limits: self.limits.clone(),
            public_url,
            temporary: self.temporary.clone(),
            disk: self.disk.clone(),
        })
    }
}

/// Makes the data folder where there is none, for its owner only; gives its full path. Another user's is refused.
pub(crate) fn open_data_folder(data: &Path) -> anyhow::Result<PathBuf> {
    let failed = || format!("the data folder {} cannot be used", data.display());
    if !data.exists() {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(data)
            .with_context(failed)?;
    }
    let data = data.canonicalize().with_context(failed)?;
    owner::check(&data)?;
    Ok(data)
}

/// Where the rows are.
pub(crate) fn database_url(settings: &Settings, data: &Path) -> String {
    match &settings.database.url {
        Some(url) => url.expose().to_owned(),
        None => format!("sqlite:{}", data.join("kapelle.sqlite").display()),
    }
}

/// The disks that must not run full: of everything that is kept on this machine.
pub(crate) fn disk(settings: &Settings, data: &Path) -> Disk {
    let watched = |name, path: &Path| Watched {
        name,
        path: path.to_owned(),
    };
    let mut folders = vec![
        watched("the data folder", data),
        watched("the mirrors", &data.join("mirrors")),
        watched("the temporary files", &data.join("tmp")),
    ];
    let database = database_url(settings, data);
    if let Some(file) = path_of("sqlite", &database)
        && let Some(folder) = file.parent()
    {
        folders.push(watched("the database", folder));
    }
    if let Some(folder) = path_of("file", &blobs_url(settings, data)) {
        folders.push(watched("the archives", folder));
    }
    Disk::new(Probe::System, settings.limits.free_disk, folders)
}

/// Where on this machine a URL leads, if it does.
fn path_of<'a>(scheme: &str, url: &'a str) -> Option<&'a Path> {
    let path = url.strip_prefix(scheme)?.strip_prefix(':')?;
    Some(Path::new(path.strip_prefix("//").unwrap_or(path)))
}

/// A URL as registries want it: ending in a slash.
pub(crate) fn with_slash(mut url: Url) -> Url {
    if !url.path().ends_with('/') {
        url.set_path(&format!("{}/", url.path()));
    }
    url
}

/// Where the archives are.
fn blobs_url(settings: &Settings, data: &Path) -> String {
    let folder = || format!("file:{}", data.join("blobs").display());
    let url = settings.blobs.url.as_ref();
    url.map_or_else(folder, |url| url.expose().to_owned())
}

fn open_blobs(settings: &Settings, data: &Path) -> anyhow::Result<Blobs> {
    let blobs = &settings.blobs;
    Ok(Blobs::open(&BlobsConfig {
        access_key: blobs.access_key_id.clone(),
        secret: blobs
            .secret_access_key
            .as_ref()
            .map(|secret| secret.expose_secret().to_owned()),
        ..BlobsConfig::new(blobs_url(settings, data))
    })?)
}

fn open_secrets(settings: &Settings, data: &Path, random: &Random) -> anyhow::Result<Secrets> {
    let secrets = &settings.secrets;
    Ok(match (&secrets.key, &secrets.key_file) {
        (Some(key), _) => Secrets::from_hex(key, random.clone())?,
        (None, Some(file)) => Secrets::from_file(file, random.clone())?,
        (None, None) => Secrets::from_file(&data.join("secret.key"), random.clone())?,
    })
}

fn client_config(settings: &Settings) -> anyhow::Result<ClientConfig> {
    let network = &settings.network;
    let extra_roots =
        match &network.ca_file {
            Some(file) => {
                let read = std::fs::read(file);
                vec![read.with_context(|| {
                    format!("network.ca_file: {} cannot be read", file.display())
                })?]
            }
            None => Vec::new(),
        };
    Ok(ClientConfig {
        policy: AddressPolicy::new(network.allow.clone()),
        first_byte: network.first_byte_timeout,
        total: network.total_timeout,
        max_redirects: network.max_redirects,
        per_host: network.per_host,
        extra_roots,
        ..ClientConfig::default()
    })
}

fn git_config(settings: &Settings, data: &Path, outbound: &Client) -> GitConfig {
    let vcs = &settings.vcs;
    // Which protocols may be *added* is decided by the registry; git must also reach the demonstration's repositories.
    let demo = data.join(DEMO).is_dir().then_some(Protocol::File);
    GitConfig {
        binary: vcs.git.clone(),
        protocols: vcs.protocols.iter().chain(demo).collect(),
        ca_bundle: vcs.ca_file.clone(),
        max_refs: vcs.max_refs,
        max_tree_entries: vcs.max_tree_entries as u64,
        max_fetch: vcs.max_fetch.0,
        max_memory: vcs.max_memory.0,
        list_timeout: vcs.list_timeout,
        fetch_timeout: vcs.fetch_timeout,
        read_timeout: vcs.read_timeout,
        ..GitConfig::new(data.join("mirrors"), outbound.clone())
    }
}

fn limits(settings: &Settings) -> Limits {
    let limits = &settings.limits;
    Limits {
        manifest: limits.manifest.0,
        json_body: limits.json_body.0,
        json_depth: limits.json_depth,
        packed: limits.packed.0,
        unpacked: limits.unpacked.0,
        entries: limits.entries as u64,
        refs: settings.vcs.max_refs,
        document_cache: limits.document_cache.0,
        available_packages: limits.available_packages,
        undo: limits.undo,
        lease: settings.jobs.lease,
        ..Limits::default()
    }
}
