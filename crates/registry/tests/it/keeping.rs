//! What must not be lost, and what must not be mixed up: bytes, keys, credentials.

use kapelle_registry::credential::{self, CredentialKind, NewCredential};
use kapelle_registry::installation::{self, InstallationError};
use kapelle_registry::secrets::Secrets;
use kapelle_registry::{Actor, Limits, Random, dist, package};
use kapelle_storage::db::{blobs, dists};
use kapelle_testing::git::GitRepository;
use kapelle_testing::on_both_databases;

use crate::world::World;

const LIB: &str = r#"{"name": "acme/lib"}"#;
/// Made with `ssh-keygen -t ed25519 -N secret`; opens nothing.
const LOCKED_KEY: &str = "-----BEGIN OPENSSH PRIVATE KEY-----
b3BlbnNzaC1rZXktdjEAAAAACmFlczI1Ni1jdHIAAAAGYmNyeXB0AAAAGAAAABA=
-----END OPENSSH PRIVATE KEY-----
";
/// The same without a passphrase.
const OPEN_KEY: &str = "-----BEGIN OPENSSH PRIVATE KEY-----
b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQAAAAAAAAABAAAAMwAAAAtzc2g=
-----END OPENSSH PRIVATE KEY-----
";

fn ssh_key(secret: &str) -> NewCredential {
    NewCredential {
        kind: CredentialKind::SshKey,
        host: "git.example.org".to_owned(),
        username: String::new(),
        secret: secret.to_owned().into(),
        description: String::new(),
        automatic: true,
    }
}

on_both_databases! {
    async fn lost_bytes_are_made_anew_if_they_come_out_the_same(url: String) {
        let world = World::new(&url).await;
        let repository = GitRepository::with_releases(&[("1.0.0", LIB)]);
        world.add(&repository).await;
        world.work().await;
        let reference = repository.resolve("refs/tags/1.0.0").unwrap();
        let before = world.dist("acme/lib", &reference).await;
        let name = "acme/lib".parse().unwrap();
        let row = dist::find(&world.registry, &Actor::Operator, "acme", &name, &reference).await.unwrap();

        world.registry.blobs().delete(&row.sha256).await.unwrap();
        assert_eq!(world.dist("acme/lib", &reference).await, before);
    }

    async fn a_collector_that_is_lost_keeps_nobody_from_storing_the_same_bytes_for_long(url: String) {
        let world = World::new(&url).await;
        let repository = GitRepository::with_releases(&[("1.0.0", LIB)]);
        let package = world.add(&repository).await;
        world.work().await;
        let reference = repository.resolve("refs/tags/1.0.0").unwrap();
        let before = world.dist("acme/lib", &reference).await;

        let now = world.registry.now();
        let mut transaction = world.registry.database().write().await.unwrap();
        let sha256 = dists::find(&mut transaction, package.id, &reference).await.unwrap().unwrap().sha256;
        dists::delete(&mut transaction, package.id, &reference).await.unwrap();
        blobs::claim(&mut transaction, &sha256, now).await.unwrap().unwrap();
        transaction.commit().await.unwrap();

        world.clock.advance(16 * 60_000);
        assert_eq!(world.dist("acme/lib", &reference).await, before);
        let row = blobs::find(&mut world.registry.database().read().await.unwrap(), &sha256).await;
        assert_eq!(row.unwrap().unwrap().state, "live");
    }

    async fn a_package_that_is_restored_gets_the_dists_that_were_due_meanwhile(url: String) {
        let world = World::new(&url).await;
        let repository = GitRepository::with_releases(&[("1.0.0", LIB)]);
        let package = world.add(&repository).await;
        world.worker.run_next().await.unwrap();
        let package = world.now(&package).await;
        package::remove(&world.registry, &Actor::Operator, &package).await.unwrap();
        world.work().await;
        package::undo(&world.registry, &Actor::Operator, world.organization_id, "acme/lib").await.unwrap();
        world.work().await;
        let versions = world.versions("p2/acme/lib.json").await.unwrap();
        assert_ne!(versions[0]["dist"]["shasum"], "");
    }

    async fn a_database_is_opened_with_its_own_key_only(url: String) {
        let world = World::new(&url).await;
        let database = world.registry.database();
        let folder = tempfile::tempdir().unwrap();
        let ours = Secrets::from_file(&folder.path().join("ours"), Random::seeded(1)).unwrap();
        installation::confirm_key(database, &ours).await.unwrap();
        installation::confirm_key(database, &ours).await.unwrap();

        let other = Secrets::from_file(&folder.path().join("other"), Random::seeded(2)).unwrap();
        let refused = installation::confirm_key(database, &other).await;
        assert!(matches!(refused, Err(InstallationError::WrongKey)), "{refused:?}");
    }

    async fn a_key_with_a_passphrase_is_refused(url: String) {
        let world = World::new(&url).await;
        let add = async |key| {
            let new = ssh_key(key);
            credential::add(&world.registry, &Actor::Operator, world.organization_id, &new).await
        };
        let refused = add(LOCKED_KEY).await.unwrap_err().to_string();
        assert!(refused.contains("passphrase"), "{refused}");
        add(OPEN_KEY).await.unwrap();
    }

    async fn files_that_an_author_keeps_out_do_not_slip_in_when_a_limit_is_lowered(url: String) {
        let world = World::new(&url).await;
        let long = "x".repeat(2_000);
        let manifest = format!(
            r#"{{"name": "acme/lib", "description": "{long}", "archive": {{"exclude": ["/secret"]}}}}"#
        );
        let repository = GitRepository::with_releases(&[("1.0.0", &manifest)]);
        world.add(&repository).await;
        world.worker.run_next().await.unwrap();
        let reference = repository.resolve("refs/tags/1.0.0").unwrap();

        let lowered = world.process_with(Limits { manifest: 1_000, ..Limits::default() });
        let name = "acme/lib".parse().unwrap();
        let refused = dist::find(&lowered, &Actor::Operator, "acme", &name, &reference).await;
        let sentence = refused.unwrap_err().to_string();
        assert!(sentence.contains("limits.manifest"), "{sentence}");
        world.work().await;
        assert!(!world.dist("acme/lib", &reference).await.is_empty());
    }
}
