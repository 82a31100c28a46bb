//! Whom the installation trusts: the keys of ssh hosts, and hosting services that know a hook's secret.

use kapelle_registry::actor::{TokenAccess, TokenActor};
use kapelle_registry::credential::{self, CredentialKind, NewCredential};
use kapelle_registry::host_key::{self, HostKeyError};
use kapelle_registry::jobs::End;
use kapelle_registry::organization::{self, OrganizationError};
use kapelle_registry::{Actor, hook, jobs, package};
use kapelle_testing::git::GitRepository;
use kapelle_testing::on_both_databases;
use kapelle_testing::ssh_server::SshServer;
use secrecy::ExposeSecret;

use crate::world::World;

const LIB: &str = r#"{"name": "acme/lib"}"#;

fn stranger(world: &World) -> Actor {
    Actor::Token(TokenActor {
        id: 1,
        organization_id: world.organization_id,
        access: TokenAccess::Update,
        expires_at: None,
    })
}

async fn keep_key(world: &World, server: &SshServer, host: &str) {
    let new = NewCredential {
        kind: CredentialKind::SshKey,
        host: host.to_owned(),
        username: String::new(),
        secret: server.private_key().into(),
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
    .unwrap();
}

async fn secret(world: &World) -> String {
    let found = hook::secret(&world.registry, "acme").await.unwrap();
    found.unwrap().1.expose_secret().to_owned()
}

on_both_databases! {
    async fn a_host_key_is_logged_when_it_is_accepted_and_accepted_anew_when_it_was_removed(url: String) {
        let world = World::new(&url).await;
        let repository = GitRepository::with_releases(&[("1.0.0", LIB)]);
        let server = SshServer::start().await;
        let at = server.url(&repository.path());
        let host = at.split(['@', '/']).find(|part| part.starts_with("127.0.0.1:")).unwrap().to_owned();
        keep_key(&world, &server, &host).await;
        let operator = Actor::Operator;
        let added = package::add(&world.registry, &operator, world.organization_id, &at, None).await;
        let (package, job) = added.unwrap();
        world.work().await;
        let log = jobs::log(&world.registry, &operator, job).await.unwrap();
        let line = log.iter().find(|line| line.line.contains(&server.fingerprint())).unwrap();
        assert!(line.line.contains("for the first time"), "{}", line.line);
        let known = host_key::list(&world.registry, &operator).await.unwrap();
        assert_eq!((known.len(), &known[0].fingerprint), (1, &server.fingerprint()));

        server.replace_host_key();
        let refused = world.sync(&package).await;
        assert_eq!(refused.end, End::Error);
        assert!(refused.message.contains(&format!("`kapelle host-key remove {host}`")), "{}", refused.message);
        let forgotten = host_key::remove(&world.registry, &operator, &host).await.unwrap();
        assert_eq!(forgotten, known);
        assert!(world.audited("ssh-host-key.remove").await.1.contains(&known[0].fingerprint));
        assert_eq!(world.sync(&package).await.end, End::Success);
        let now = host_key::list(&world.registry, &operator).await.unwrap();
        assert_eq!(now[0].fingerprint, server.fingerprint());
    }

    async fn host_keys_are_the_operator_s(url: String) {
        let world = World::new(&url).await;
        let unknown = host_key::remove(&world.registry, &Actor::Operator, "git.example.com").await;
        assert!(matches!(unknown, Err(HostKeyError::Unknown(_))));
        let actor = stranger(&world);
        assert!(matches!(host_key::list(&world.registry, &actor).await, Err(HostKeyError::Denied(_))));
        let denied = host_key::remove(&world.registry, &actor, "git.example.com").await;
        assert!(matches!(denied, Err(HostKeyError::Denied(_))));
    }

    async fn a_replaced_hook_secret_counts_in_every_process(url: String) {
        let world = World::new(&url).await;
        let other = world.other_process();
        other.catch_up().await.unwrap();
        let before = secret(&world).await;
        let theirs = hook::secret(&other, "acme").await.unwrap().unwrap().1;
        assert_eq!(theirs.expose_secret(), before);

        let operator = Actor::Operator;
        let acme = organization::named(&world.registry, &operator, "acme").await.unwrap();
        let new = organization::rotate_hook_secret(&world.registry, &operator, &acme).await.unwrap();
        assert_ne!(new.expose_secret(), before);
        assert_eq!(secret(&world).await, new.expose_secret());
        other.catch_up().await.unwrap();
        let theirs = hook::secret(&other, "acme").await.unwrap().unwrap().1;
        assert_eq!(theirs.expose_secret(), new.expose_secret());
        assert_eq!(world.audited("hook.rotate").await.0, "acme");

        let denied = organization::rotate_hook_secret(&world.registry, &stranger(&world), &acme).await;
        assert!(matches!(denied, Err(OrganizationError::Denied(_))));
    }
}
