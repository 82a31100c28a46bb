//! Another key for secrets at rest, while two processes go on.

use kapelle_registry::actor::KeyAccess;
use kapelle_registry::api_key::{self, NewApiKey};
use kapelle_registry::credential::{self, CredentialKind, NewCredential};
use kapelle_registry::keys::{self, KeysError};
use kapelle_registry::secrets::Secrets;
use kapelle_registry::{Actor, Random, hook, installation, verify};
use kapelle_storage::db::organizations;
use kapelle_testing::on_both_databases;
use secrecy::ExposeSecret;

use crate::world::World;

const OPERATOR: &Actor = &Actor::Operator;

async fn fill(world: &World) -> (String, String) {
    for number in 0..3 {
        let new = NewCredential {
            kind: CredentialKind::Token,
            host: format!("host-{number}.example.org"),
            username: String::new(),
            secret: "s3cret".into(),
            description: String::new(),
            automatic: true,
        };
        credential::add(&world.registry, OPERATOR, world.organization_id, &new)
            .await
            .unwrap();
    }
    let new = NewApiKey {
        organization_id: world.organization_id,
        description: "",
        access: KeyAccess::Admin,
    };
    let made = api_key::create(&world.registry, OPERATOR, new)
        .await
        .unwrap();
    (made.key, made.secret.expose_secret().to_owned())
}

/// The hook's secret, as a request reads it.
async fn hook_secret(world: &World) -> String {
    let read = hook::secret(&world.registry, "acme").await.unwrap();
    read.unwrap().1.expose_secret().to_owned()
}

on_both_databases! {
    async fn everything_opens_with_the_new_key_alone_once_the_old_one_is_dropped(url: String) {
        let world = World::new(&url).await;
        let (key, secret) = fill(&world).await;
        let hook = hook_secret(&world).await;
        assert!(matches!(keys::retire(&world.registry, OPERATOR).await, Err(KeysError::OneKey)));
        let before = std::fs::read_to_string(world.key_file()).unwrap();
        let rotated = keys::rotate(&world.registry, OPERATOR).await.unwrap();
        assert_eq!(rotated.sealed, 6, "three credentials, two API keys, the hook's secret");
        assert!(matches!(keys::retire(&world.registry, OPERATOR).await, Err(KeysError::TooSoon)));
        world.clock.advance(10 * kapelle_registry::clock::MINUTE);
        let both = std::fs::read_to_string(world.key_file()).unwrap();
        assert!(both.trim().ends_with(before.trim()) && both.lines().count() == 2, "{both}");
        assert!(keys::retire(&world.registry, OPERATOR).await.unwrap());
        let after = std::fs::read_to_string(world.key_file()).unwrap();
        assert_eq!(after, both.lines().next().unwrap().to_owned() + "\n");

        let found = api_key::find(&world.registry, &key).await.unwrap().unwrap();
        assert_eq!(found.1.expose_secret(), secret);
        assert_eq!(hook_secret(&world).await, hook);
        let options = verify::Options { quick: true };
        assert!(verify::run(&world.registry, OPERATOR, options, &|_| ()).await.unwrap().is_sound());
        let alone = Secrets::from_file(&world.key_file(), Random::seeded(9)).unwrap();
        installation::confirm_key(world.registry.database(), &alone).await.unwrap();
        let old = Secrets::from_hex(&before.trim().to_owned().into(), Random::seeded(9)).unwrap();
        assert!(installation::confirm_key(world.registry.database(), &old).await.is_err());
        for action in ["keys.rotate", "keys.retire"] {
            assert_eq!(world.audited(action).await.0, "secrets");
        }
    }

    async fn the_old_key_stays_while_something_cannot_be_read(url: String) {
        let world = World::new(&url).await;
        fill(&world).await;
        let mut transaction = world.registry.database().write().await.unwrap();
        organizations::replace_secret(&mut transaction, world.organization_id, b"sealed by nobody").await.unwrap();
        transaction.commit().await.unwrap();
        let rotated = keys::rotate(&world.registry, OPERATOR).await.unwrap();
        assert_eq!((rotated.sealed, rotated.unreadable), (5, vec!["organizations/hook_secret/acme".to_owned()]));
        world.clock.advance(10 * kapelle_registry::clock::MINUTE);
        let refused = keys::retire(&world.registry, OPERATOR).await.unwrap_err().to_string();
        assert!(refused.starts_with("1 secrets cannot be decrypted, such as organizations/hook_secret/acme"), "{refused}");
        assert_eq!(std::fs::read_to_string(world.key_file()).unwrap().lines().count(), 2);
    }
}
