//! Credentials: the newest one for a host, and to no other host.

use kapelle_registry::Actor;
use kapelle_registry::credential::{self, CredentialKind, NewCredential};
use kapelle_registry::import;
use kapelle_registry::jobs::End;
use kapelle_registry::package::{self, PackageError};
use kapelle_testing::git::GitRepository;
use kapelle_testing::git_server::GitServer;
use kapelle_testing::on_both_databases;

use crate::world::World;

const LIB: &str = r#"{"name": "acme/lib"}"#;

async fn add(world: &World, host: &str, password: &str) -> i64 {
    let new = NewCredential {
        kind: CredentialKind::HttpBasic,
        host: host.to_owned(),
        username: "kapelle".to_owned(),
        secret: password.into(),
        description: String::new(),
        automatic: true,
    };
    credential::add(
        &world.registry,
        &Actor::Operator,
        world.organization_id,
        &new,
    )
    .await
    .unwrap()
}

on_both_databases! {
    async fn the_newest_credential_for_a_host_is_the_one_that_counts(url: String) {
        let world = World::new(&url).await;
        let repository = GitRepository::with_releases(&[("1.0.0", LIB)]);
        let server = GitServer::builder().repository("lib.git", repository.path()).basic_auth("kapelle", "new").start().await;
        let host = server.address().to_string();
        add(&world, &host, "expired").await;
        add(&world, &host, "new").await;
        let address = server.url("lib.git");
        package::add(&world.registry, &Actor::Operator, world.organization_id, &address, None).await.unwrap();
        let ran = world.worker.run_until_idle().await.unwrap();
        assert_eq!(ran[0].end, End::Success, "{}", ran[0].message);
    }

    async fn a_credential_is_not_lent_to_another_host(url: String) {
        let world = World::new(&url).await;
        let id = add(&world, "github.com", "hunter2").await;
        let added = package::add(
            &world.registry,
            &Actor::Operator,
            world.organization_id,
            "https://evil.example/acme/lib.git",
            Some(id),
        )
        .await;
        let error = added.unwrap_err();
        assert!(matches!(error, PackageError::CredentialHost { .. }), "{error}");
        assert!(!error.to_string().contains("hunter2"));
    }
}

#[test]
fn what_an_import_leaves_out_is_named_without_its_secrets() {
    let satis = br#"{"repositories": [
        {"type": "composer", "url": "https://token:hunter2@repo.example/acme/"},
        {"type": "vcs", "url": "https://git.example/a.git?private_token=hunter2", "options": {"http": {}}},
        {"type": "composer", "url": "https://repo.example/?key=hunter2"}
    ]}"#;
    let plan = import::read(satis).unwrap();
    let named: Vec<&str> = plan
        .left_out
        .iter()
        .map(|(what, _)| what.as_str())
        .collect();
    assert_eq!(
        named,
        [
            "repository …@repo.example/acme/",
            "options of repository https://git.example/a.git?…",
            "repository https://repo.example/?…",
        ]
    );
}
