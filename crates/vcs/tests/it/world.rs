//! What every test here needs: a `Git` over a temporary folder that may reach loopback.

use std::collections::BTreeMap;
use std::fs;
use std::net::IpAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::sync::Arc;

use kapelle_outbound::{AddressPolicy, Client, ClientConfig, Lookup, install_crypto_provider};
use kapelle_vcs::{Access, Credential, Git, GitConfig, Listing, Mirror, Protocols, RepositoryUrl};
use tempfile::TempDir;

pub(crate) struct World {
    pub(crate) git: Git,
    folder: TempDir,
    /// Where the recording script writes.
    log: Option<TempDir>,
}

impl World {
    /// Every protocol, and loopback besides the public internet.
    pub(crate) fn new() -> Self {
        Self::with(|_| {})
    }

    pub(crate) fn with(change: impl FnOnce(&mut GitConfig)) -> Self {
        Self::reaching(&["127.0.0.0/8"], change)
    }

    /// With other private ranges allowed.
    pub(crate) fn reaching(allow: &[&str], change: impl FnOnce(&mut GitConfig)) -> Self {
        let allow = allow.iter().map(|range| range.parse().unwrap()).collect();
        let client = client(ClientConfig {
            policy: AddressPolicy::new(allow),
            ..ClientConfig::default()
        });
        let folder = tempfile::tempdir().unwrap();
        let mut config = GitConfig::new(folder.path().join("mirrors"), client);
        config.protocols = Protocols::all();
        change(&mut config);
        let git = Git::new(config).unwrap();
        Self {
            git,
            folder,
            log: None,
        }
    }

    /// Runs git through a script that writes down arguments, input and what git does with them.
    pub(crate) fn recorded() -> Self {
        let log = tempfile::tempdir().unwrap();
        let mut world = Self::with(|config| config.binary = log.path().join("git"));
        write_script(
            &log.path().join("git"),
            &format!(
                "printf '%s\\n' \"$@\" >> {0}/arguments\n\
                 GIT_TRACE={0}/trace GIT_TRACE_PACKET={0}/packets exec git \"$@\"",
                log.path().display()
            ),
        );
        world.log = Some(log);
        world
    }

    /// What the script of [`recorded`](Self::recorded) has written under a name, and forgets it.
    pub(crate) fn taken(&self, name: &str) -> String {
        let path = self.log.as_ref().unwrap().path().join(name);
        let text = fs::read_to_string(&path).unwrap_or_default();
        if path.exists() {
            fs::remove_file(path).unwrap();
        }
        text
    }

    pub(crate) fn mirror(&self) -> Mirror {
        self.git.mirror(1)
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().to_owned()
    }

    /// Lists a repository and fetches everything it has.
    pub(crate) async fn mirrored(&self, url: &RepositoryUrl) -> Mirror {
        let access = Access::anonymous(url);
        let listing = self.git.list_refs(&access).await.unwrap();
        let mirror = self.mirror();
        mirror.fetch(&access, &listing, &[]).await.unwrap();
        mirror
    }
}

pub(crate) fn client(config: ClientConfig) -> Client {
    install_crypto_provider();
    Client::new(config).unwrap()
}

pub(crate) fn write_script(path: &std::path::Path, body: &str) {
    fs::write(path, format!("#!/bin/sh\n{body}\n")).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

/// What git says in a mirror.
pub(crate) fn in_mirror(mirror: &Mirror, arguments: &[&str]) -> String {
    let output = std::process::Command::new("git")
        .args(arguments)
        .current_dir(mirror.path())
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

pub(crate) fn url(text: &str) -> RepositoryUrl {
    RepositoryUrl::parse(text, &Protocols::all()).unwrap()
}

/// A listing of one ref.
pub(crate) fn listed(name: &str, oid: &str) -> Listing {
    Listing {
        refs: BTreeMap::from([(name.to_owned(), oid.to_owned())]),
        ..Listing::default()
    }
}

pub(crate) fn one(name: &str, oid: &str) -> Vec<(String, String)> {
    vec![(name.to_owned(), oid.to_owned())]
}

pub(crate) fn basic(username: &str, password: &str) -> Credential {
    Credential::HttpBasic {
        username: username.to_owned(),
        password: password.into(),
    }
}

pub(crate) fn key(private_key: &str) -> Credential {
    Credential::SshKey {
        private_key: private_key.into(),
    }
}

/// Names every host of these tests as this machine.
#[derive(Debug)]
pub(crate) struct Loopback;

impl Lookup for Loopback {
    fn lookup(
        &self,
        _host: String,
        _port: u16,
    ) -> std::pin::Pin<Box<dyn Future<Output = std::io::Result<Vec<IpAddr>>> + Send>> {
        Box::pin(async { Ok(vec![IpAddr::from([127, 0, 0, 1])]) })
    }
}

pub(crate) fn loopback() -> Arc<dyn Lookup> {
    Arc::new(Loopback)
}
