//! Adding, removing, restoring and purging packages.

use kapelle_registry::clock::DAY;
use kapelle_registry::dist::{self, DistError};
use kapelle_registry::jobs::End;
use kapelle_registry::package::{self, ChangesFeed, PackageError};
use kapelle_registry::{Actor, hook};
use kapelle_storage::db::packages::Package;
use kapelle_testing::git::GitRepository;
use kapelle_testing::on_both_databases;

use crate::world::World;

const LIB: &str = r#"{"name": "acme/lib"}"#;

async fn find_dist(world: &World, reference: &str) -> Result<(), DistError> {
    let name = "acme/lib".parse().unwrap();
    let found = dist::find(&world.registry, &Actor::Operator, "acme", &name, reference).await;
    found.map(|_| ())
}

async fn remove(world: &World, package: &Package) {
    package::remove(&world.registry, &Actor::Operator, package)
        .await
        .unwrap();
}

async fn undo(world: &World) -> Result<Package, PackageError> {
    package::undo(
        &world.registry,
        &Actor::Operator,
        world.organization_id,
        "acme/lib",
    )
    .await
}

on_both_databases! {
    async fn a_removed_package_is_gone_until_it_is_restored(url: String) {
        let world = World::new(&url).await;
        let repository = GitRepository::with_releases(&[("1.0.0", LIB)]);
        let added = world.add(&repository).await;
        world.work().await;
        let reference = repository.resolve("refs/tags/1.0.0").unwrap();
        let before = world.dist("acme/lib", &reference).await;
        let added = world.now(&added).await;

        remove(&world, &added).await;
        assert_eq!(world.versions("p2/acme/lib.json").await, None);
        assert!(matches!(find_dist(&world, &reference).await, Err(DistError::Removed(_))));

        undo(&world).await.unwrap();
        world.work().await;
        assert_eq!(world.numbers("p2/acme/lib.json").await, ["1.0.0"]);
        assert_eq!(world.dist("acme/lib", &reference).await, before);
    }

    async fn undo_ends_after_thirty_days(url: String) {
        let world = World::new(&url).await;
        let repository = GitRepository::with_releases(&[("1.0.0", LIB)]);
        let added = world.add(&repository).await;
        world.work().await;
        let added = world.now(&added).await;
        remove(&world, &added).await;
        world.clock.advance(31 * DAY);
        assert!(matches!(undo(&world).await, Err(PackageError::NothingToUndo(_))));
    }

    async fn purged_bytes_are_refused_for_ever(url: String) {
        let world = World::new(&url).await;
        let repository = GitRepository::with_releases(&[("1.0.0", LIB)]);
        let added = world.add(&repository).await;
        world.work().await;
        let reference = repository.resolve("refs/tags/1.0.0").unwrap();
        let added = world.now(&added).await;
        let purge = || package::purge(&world.registry, &Actor::Operator, world.organization_id, "acme/lib");
        assert!(purge().await.is_err(), "only what was removed can be purged");

        remove(&world, &added).await;
        purge().await.unwrap();
        assert!(matches!(undo(&world).await, Err(PackageError::NothingToUndo(_))));
        assert!(matches!(find_dist(&world, &reference).await, Err(DistError::Purged(_))));
    }

    async fn a_repository_is_added_once_and_a_name_taken_once(url: String) {
        let world = World::new(&url).await;
        let first = GitRepository::with_releases(&[("1.0.0", LIB)]);
        world.add(&first).await;
        world.work().await;
        let again =
            package::add(&world.registry, &Actor::Operator, world.organization_id, &first.url(), None).await;
        assert!(matches!(again, Err(PackageError::Duplicate { name, .. }) if name == "acme/lib"));

        let second = GitRepository::with_releases(&[("2.0.0", LIB)]);
        let second = world.add(&second).await;
        let ran = world.worker.run_until_idle().await.unwrap();
        assert_eq!(ran[0].end, End::Error);
        assert!(ran[0].message.contains("is the name of another package already"), "{}", ran[0].message);
        assert_eq!(world.numbers("p2/acme/lib.json").await, ["1.0.0"]);

        let renamed = GitRepository::with_releases(&[("1.0.0", r#"{"name": "acme/other"}"#)]);
        let renamed_package = world.add(&renamed).await;
        world.work().await;
        renamed.commit("main").file("composer.json", LIB).create();
        let ran = world.sync(&renamed_package).await;
        assert!(ran.message.contains("now names the package acme/lib"), "{}", ran.message);
        assert_eq!(world.numbers("p2/acme/other.json").await, ["1.0.0"]);
        assert_ne!(second.id, renamed_package.id);
    }

    async fn mirrors_learn_of_updates_and_deletions(url: String) {
        let world = World::new(&url).await;
        let repository = GitRepository::with_releases(&[("1.0.0", LIB)]);
        let added = world.add(&repository).await;
        world.work().await;
        let feed = |since| {
            package::changes_since(&world.registry, &Actor::Operator, world.organization_id, since)
        };
        let ChangesFeed::Resync { until } = feed(0).await.unwrap() else { panic!("0 is too old") };
        assert_eq!(feed(until).await.unwrap(), ChangesFeed::Actions { actions: Vec::new(), until });

        let added = world.now(&added).await;
        remove(&world, &added).await;
        let ChangesFeed::Actions { actions, .. } = feed(until).await.unwrap() else { panic!("no actions") };
        let actions: Vec<_> = actions.iter().map(|(action, name, _)| format!("{action} {name}")).collect();
        assert_eq!(actions, ["delete acme/lib", "delete acme/lib~dev"]);
    }

    async fn a_hook_finds_a_package_by_any_form_of_its_url(url: String) {
        let world = World::new(&url).await;
        let (_, job) = package::add(
            &world.registry,
            &Actor::Operator,
            world.organization_id,
            "https://github.com/Acme/Lib.git",
            None,
        )
        .await
        .unwrap();
        let actor = Actor::Hook("github", world.organization_id);
        for url in ["https://github.com/acme/lib", "git@github.com:acme/lib.git", "ssh://git@github.com/acme/lib"] {
            let urls = [url.to_owned()];
            let jobs = hook::received(&world.registry, &actor, world.organization_id, &urls).await;
            assert_eq!(jobs.unwrap(), [job], "{url}");
        }
        let other = Actor::Hook("github", world.organization_id + 1);
        let urls = ["https://github.com/acme/lib".to_owned()];
        let refused = hook::received(&world.registry, &other, world.organization_id, &urls).await;
        assert!(refused.is_err());
    }
}
