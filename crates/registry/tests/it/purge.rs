//! Purging: bytes that must never be served again are not, whatever happens to the package afterwards.

use kapelle_registry::dist::{self, DistError};
use kapelle_registry::jobs::End;
use kapelle_registry::package::{self, PackageError};
use kapelle_registry::{Actor, document};
use kapelle_testing::git::GitRepository;
use kapelle_testing::on_both_databases;

use crate::world::World;

const LIB: &str = r#"{"name": "acme/lib"}"#;

async fn remove_and_purge(world: &World) {
    let actor = Actor::Operator;
    let found = package::find(&world.registry, &actor, world.organization_id, "acme/lib");
    let found = found.await.unwrap();
    package::remove(&world.registry, &actor, &found)
        .await
        .unwrap();
    let purged = package::purge(&world.registry, &actor, world.organization_id, "acme/lib");
    purged.await.unwrap();
}

async fn dist_of(world: &World, reference: &str) -> Result<(), DistError> {
    let name = "acme/lib".parse().unwrap();
    let found = dist::find(&world.registry, &Actor::Operator, "acme", &name, reference).await;
    found.map(|_| ())
}

on_both_databases! {
    async fn a_purged_commit_stays_refused_when_its_repository_is_added_again(url: String) {
        let world = World::new(&url).await;
        let repository = GitRepository::with_releases(&[("1.0.0", LIB)]);
        world.add(&repository).await;
        world.work().await;
        let leaked = repository.resolve("refs/tags/1.0.0").unwrap();
        remove_and_purge(&world).await;

        let again = world.add(&repository).await;
        world.work().await;
        assert_eq!(world.versions("p2/acme/lib.json").await, None);
        assert!(matches!(dist_of(&world, &leaked).await, Err(DistError::Purged(_))));
        let faults = world.faults(&again).await;
        assert!(faults[0].1.contains("was purged from acme/lib"), "{faults:?}");

        let clean = repository.release("1.1.0", LIB);
        assert_eq!(world.sync(&again).await.end, End::Success);
        assert_eq!(world.numbers("p2/acme/lib.json").await, ["1.1.0"]);
        assert!(dist_of(&world, &clean).await.is_ok());
    }

    async fn a_purge_leaves_no_mirror(url: String) {
        let world = World::new(&url).await;
        let repository = GitRepository::with_releases(&[("1.0.0", LIB)]);
        let added = world.add(&repository).await;
        world.work().await;
        assert!(world.mirror(&added).exists());
        remove_and_purge(&world).await;
        assert!(!world.mirror(&added).exists());
    }

    async fn a_package_is_removed_once(url: String) {
        let world = World::new(&url).await;
        let repository = GitRepository::with_releases(&[("1.0.0", LIB)]);
        let added = world.add(&repository).await;
        world.work().await;
        let added = world.now(&added).await;
        package::remove(&world.registry, &Actor::Operator, &added).await.unwrap();
        let again = package::remove(&world.registry, &Actor::Operator, &added).await;
        assert!(matches!(again, Err(PackageError::Unknown(_))), "{again:?}");
    }

    async fn a_restored_package_is_announced_with_its_restoration(url: String) {
        let world = World::new(&url).await;
        let repository = GitRepository::with_releases(&[("1.0.0", LIB)]);
        let added = world.add(&repository).await;
        world.work().await;
        let added = world.now(&added).await;
        package::remove(&world.registry, &Actor::Operator, &added).await.unwrap();
        // Another process remembers that there is nothing.
        let other = world.other_process();
        other.catch_up().await.unwrap();
        let place = "acme/p2/acme/lib.json";
        assert!(document::find(&other, &Actor::Operator, place).await.is_err());
        package::undo(&world.registry, &Actor::Operator, world.organization_id, "acme/lib").await.unwrap();
        other.catch_up().await.unwrap();
        assert!(document::find(&other, &Actor::Operator, place).await.is_ok());
    }
}
