//! Putting a registry together for a test.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use kapelle_outbound::{AddressPolicy, ClientConfig};
use kapelle_registry::actor::TokenAccess;
use kapelle_registry::secrets::Secrets;
use kapelle_registry::token::{self, NewToken};
use kapelle_registry::{Actor, Clock, Disk, Parts, Random, Registry};
use kapelle_storage::Database;
use kapelle_storage::blobs::{Blobs, BlobsConfig};
use kapelle_vcs::{Git, GitConfig, Protocols};

use super::{Options, PUBLIC_URL};

/// A registry over the database at `url`; everything else lives in `folder` or in memory.
pub(super) async fn registry(
    url: &str,
    options: Options,
    folder: &Path,
    clock: &Clock,
    random: &Random,
) -> Registry {
    let database = Database::connect(url).await.expect("an empty database");
    database.migrate(clock.now()).await.expect("migrations");
    let mut outbound = ClientConfig::default();
    if options.reach_local {
        let local = "127.0.0.0/8".parse().expect("a range");
        outbound.policy = AddressPolicy::new(vec![local]);
        outbound.retry.attempts = 1;
    }
    let outbound = kapelle_outbound::Client::new(outbound).expect("a client");
    let protocols: Protocols = "https,ssh,file".parse().expect("known protocols");
    let mut git = GitConfig::new(folder.join("mirrors"), outbound.clone());
    git.protocols = protocols.clone();
    git.max_refs = options.limits.refs;
    git.max_tree_entries = options.limits.entries;
    if options.count_git {
        git.binary = counting_git(folder);
    }
    let blobs = options.blobs.unwrap_or_else(|| BlobsConfig::new("memory:"));
    let registry = Registry::new(Parts {
        database,
        blobs: Blobs::open(&blobs).expect("a store of blobs"),
        git: Git::new(git).expect("a folder for mirrors"),
        protocols,
        outbound,
        secrets: Secrets::from_file(&folder.join("secrets.key"), random.clone())
            .expect("a new key"),
        clock: clock.clone(),
        random: random.clone(),
        limits: options.limits,
        public_url: PUBLIC_URL.parse().expect("a URL"),
        temporary: folder.to_owned(),
        disk: options.disk.unwrap_or_else(Disk::unwatched),
    });
    registry.catch_up().await.expect("the database answers");
    registry
}

/// A git that notes what it is asked to do.
fn counting_git(folder: &Path) -> PathBuf {
    let (script, log) = (folder.join("git"), folder.join("git.log"));
    let text = format!(
        "#!/bin/sh\necho \"$*\" >>'{}'\nexec /usr/bin/env git \"$@\"\n",
        log.display()
    );
    fs::write(&script, text).expect("a writable folder");
    fs::set_permissions(&script, fs::Permissions::from_mode(0o700)).expect("our own file");
    script
}

/// A read token and its row's id.
pub(super) async fn make_token(
    registry: &Registry,
    organization_id: i64,
    expires_at: Option<i64>,
) -> (i64, String) {
    let new = NewToken {
        organization_id,
        description: "test".to_owned(),
        access: TokenAccess::Read,
        expires_at,
    };
    let created = token::create(registry, &Actor::Operator, &new)
        .await
        .expect("a token");
    (created.id, created.reveal().to_owned())
}
