//! Keys of the management API: made, found again, and no request accepted twice.

use kapelle_registry::access::Denied;
use kapelle_registry::actor::{ApiKeyActor, KeyAccess};
use kapelle_registry::api_key::{self, ApiKeyError, NewApiKey};
use kapelle_registry::clock::MINUTE;
use kapelle_registry::{Actor, package};
use kapelle_testing::on_both_databases;
use secrecy::ExposeSecret;

use crate::world::World;

async fn key(world: &World, access: KeyAccess) -> ApiKeyActor {
    let new = NewApiKey {
        organization_id: world.organization_id,
        description: "",
        access,
    };
    let created = api_key::create(&world.registry, &Actor::Operator, new)
        .await
        .unwrap();
    let (actor, secret) = api_key::find(&world.registry, &created.key)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(secret.expose_secret(), created.secret.expose_secret());
    assert_eq!((actor.id, actor.access), (created.id, access));
    actor
}

on_both_databases! {
    async fn what_changes_something_is_accepted_once_by_all_processes(url: String) {
        let world = World::new(&url).await;
        let [one, other] = [key(&world, KeyAccess::Admin).await, key(&world, KeyAccess::Admin).await];
        let elsewhere = world.other_process();
        assert!(api_key::admit(&world.registry, &one, "a", true).await.unwrap());
        assert!(!api_key::admit(&world.registry, &one, "a", true).await.unwrap());
        assert!(!api_key::admit(&elsewhere, &one, "a", true).await.unwrap());
        assert!(api_key::admit(&elsewhere, &other, "a", true).await.unwrap(), "of another key");

        assert!(api_key::admit(&world.registry, &one, "read", false).await.unwrap());
        assert!(!api_key::admit(&world.registry, &one, "read", false).await.unwrap());
        world.clock.advance(2 * MINUTE);
        assert!(api_key::admit(&elsewhere, &one, "b", true).await.unwrap());
        api_key::remove(&world.registry, &Actor::Operator, world.organization_id, one.id).await.unwrap();
    }

    async fn a_key_that_reads_changes_nothing(url: String) {
        let world = World::new(&url).await;
        let id = world.organization_id;
        let reader = Actor::ApiKey(key(&world, KeyAccess::Read).await);
        assert!(package::list(&world.registry, &reader, id, false, 0, 10).await.unwrap().is_empty());
        let address = "https://git.example.org/acme/lib.git";
        let refused = package::add(&world.registry, &reader, id, address, None).await;
        assert_eq!(refused.unwrap_err().to_string(), Denied::ReadOnlyKey.to_string());
        let new = NewApiKey { organization_id: id, description: "", access: KeyAccess::Admin };
        let refused = api_key::create(&world.registry, &reader, new).await;
        assert!(matches!(refused, Err(ApiKeyError::Denied(Denied::ReadOnlyKey))), "{refused:?}");
        let foreign = package::list(&world.registry, &reader, id + 1, false, 0, 10).await;
        assert_eq!(foreign.unwrap_err().to_string(), Denied::Hidden.to_string());
    }
}
