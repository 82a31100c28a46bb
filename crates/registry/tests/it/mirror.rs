//! Mirrors that are lost or damaged: made anew, without losing what upstream no longer has.

use std::fs;

use kapelle_registry::jobs::End;
use kapelle_registry::{Actor, package};
use kapelle_testing::git::GitRepository;
use kapelle_testing::on_both_databases;

use crate::world::World;

const LIB: &str = r#"{"name": "acme/lib"}"#;

on_both_databases! {
    async fn a_mirror_that_lost_everything_is_fetched_again_although_nothing_changed(url: String) {
        let world = World::new(&url).await;
        let repository = GitRepository::with_releases(&[("1.0.0", LIB)]);
        let package = world.add(&repository).await;
        let ran = world.worker.run_next().await.unwrap().unwrap();
        assert_eq!(ran.end, End::Success);
        let mirror = world.mirror(&package);
        fs::remove_dir_all(&mirror).unwrap();
        fs::rename(GitRepository::new().path(), &mirror).unwrap();

        package::sync(&world.registry, &Actor::Operator, &package).await.unwrap();
        let ran = world.worker.run_until_idle().await.unwrap();
        assert!(ran.iter().any(|ran| ran.message == "nothing changed"), "{ran:?}");
        let commit = repository.resolve("refs/tags/1.0.0").unwrap();
        assert!(!world.dist("acme/lib", &commit).await.is_empty());
    }

    async fn what_upstream_no_longer_has_is_saved_from_a_damaged_mirror(url: String) {
        let world = World::new(&url).await;
        let repository = GitRepository::with_releases(&[("1.0.0", LIB), ("1.1.0", LIB)]);
        let package = world.add(&repository).await;
        // Published, and no dist is built yet.
        let ran = world.worker.run_next().await.unwrap().unwrap();
        assert_eq!(ran.kind, "SyncPackage");
        let lost = repository.resolve("refs/tags/1.1.0").unwrap();
        let kept = repository.resolve("refs/tags/1.0.0").unwrap();
        repository.set_ref("refs/heads/main", &kept);
        repository.delete_ref("refs/tags/1.1.0");
        repository.git(&["gc", "--quiet", "--prune=now"]);
        let missing = format!("{}\n", "0123456789".repeat(4));
        fs::write(world.mirror(&package).join("refs/heads/main"), missing).unwrap();

        let job = package::sync(&world.registry, &Actor::Operator, &package).await.unwrap();
        let ran = world.worker.run_this(job).await.unwrap().unwrap();
        assert_eq!(ran.end, End::Success, "{}", ran.message);
        assert_eq!(world.numbers("p2/acme/lib.json").await, ["1.0.0"]);
        let found = fs::metadata(world.mirror(&package).join("objects").join(&lost[..2]).join(&lost[2..]));
        assert!(found.is_err(), "the mirror was made anew");
        assert!(!world.dist("acme/lib", &lost).await.is_empty());
    }

    async fn a_mirror_without_its_objects_is_made_anew_while_reading(url: String) {
        let world = World::new(&url).await;
        let repository = GitRepository::with_releases(&[("1.0.0", LIB)]);
        let commit = repository.resolve("refs/heads/main").unwrap();
        repository.branch("trunk", &commit);
        let package = world.add(&repository).await;
        world.work().await;
        let objects = world.mirror(&package).join("objects");
        fs::remove_dir_all(&objects).unwrap();
        fs::create_dir_all(objects.join("pack")).unwrap();
        repository.set_default_branch("trunk");

        let ran = world.sync(&package).await;
        assert_eq!(ran.end, End::Success, "{}", ran.message);
        let versions = world.versions("p2/acme/lib~dev.json").await.unwrap();
        assert_eq!(versions[0]["version"], "dev-trunk");
        assert_eq!(versions[0]["default-branch"], true);
    }
}
