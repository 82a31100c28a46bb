//! Large synchronizations, and those that are cut short: what is there is valid, and the next one finishes.

use kapelle_registry::jobs::End;
use kapelle_registry::{Actor, Limits, package};
use kapelle_storage::db::packages::Package;
use kapelle_storage::db::{package_refs, versions};
use kapelle_testing::git::{FIRST_COMMIT_SECONDS, GitRepository};
use kapelle_testing::on_both_databases;

use crate::world::World;

const LIB: &str = r#"{"name": "acme/lib"}"#;

/// As after a crash between the last version and the first ref that is written down.
async fn forget_refs(world: &World, package: &Package) {
    let mut transaction = world.registry.database().write().await.unwrap();
    package_refs::delete_all(&mut transaction, package.id)
        .await
        .unwrap();
    transaction.commit().await.unwrap();
}

async fn published_at(world: &World, package: &Package) -> Vec<i64> {
    let id = package.id.to_string();
    let shown = package::show(
        &world.registry,
        &Actor::Operator,
        world.organization_id,
        &id,
    );
    let versions = shown.await.unwrap().versions;
    versions
        .iter()
        .map(|version| version.published_at / 1_000)
        .collect()
}

on_both_databases! {
    async fn more_refs_than_one_transaction_takes_are_all_published(url: String) {
        let world = World::new(&url).await;
        let repository = GitRepository::with_releases(&[("1.0.0", LIB)]);
        let commit = repository.resolve("refs/heads/main").unwrap();
        let tags: Vec<_> = (1..1_200).map(|patch| format!("update refs/tags/1.0.{patch}\0{commit}\0\0")).collect();
        repository.git_with_input(&["update-ref", "--stdin", "-z"], tags.concat().as_bytes());
        let package = world.add(&repository).await;
        world.work().await;
        assert_eq!(world.numbers("p2/acme/lib.json").await.len(), 1_200);
        assert_eq!(world.sync(&package).await.message, "nothing changed");

        let gone: Vec<_> = (600..1_200).map(|patch| format!("delete refs/tags/1.0.{patch}\0\0")).collect();
        repository.git_with_input(&["update-ref", "--stdin", "-z"], gone.concat().as_bytes());
        assert_eq!(world.sync(&package).await.end, End::Success);
        assert_eq!(world.numbers("p2/acme/lib.json").await.len(), 600);
        assert_eq!(world.sync(&package).await.message, "nothing changed");
    }

    async fn archives_that_cannot_be_built_hold_up_no_others(url: String) {
        let world = World::with_limits(&url, Limits { entries: 2, ..Limits::default() }).await;
        let repository = GitRepository::new();
        for patch in 0..60 {
            let mut commit = repository.commit("main").orphan().file("composer.json", LIB).file("patch", patch.to_string());
            if patch % 2 == 0 {
                commit = commit.file("too-many", "");
            }
            repository.tag(&format!("1.0.{patch}"), &commit.create());
        }
        world.add(&repository).await;
        let built = world.worker.run_until_idle().await.unwrap().pop().unwrap();
        assert_eq!((built.end, &*built.message), (End::Error, "built 30 dists, 30 failed: see the job's log"));
    }

    async fn a_tag_deleted_after_a_synchronization_was_cut_short_is_taken_back(url: String) {
        let world = World::new(&url).await;
        let repository = GitRepository::with_releases(&[("1.0.0", LIB), ("1.1.0", LIB)]);
        let package = world.add(&repository).await;
        world.work().await;
        forget_refs(&world, &package).await;
        repository.delete_ref("refs/tags/1.1.0");
        assert_eq!(world.sync(&package).await.end, End::Success);
        assert_eq!(world.numbers("p2/acme/lib.json").await, ["1.0.0"]);
    }

    async fn a_version_whose_ref_was_never_written_down_is_taken_back_although_all_known_refs_stay(url: String) {
        let world = World::new(&url).await;
        let repository = GitRepository::with_releases(&[("1.0.0", LIB), ("1.1.0", LIB)]);
        let package = world.add(&repository).await;
        world.work().await;
        let tag = "refs/tags/1.1.0".to_owned();
        repository.delete_ref(&tag);
        let mut transaction = world.registry.database().write().await.unwrap();
        package_refs::delete(&mut transaction, package.id, &[tag]).await.unwrap();
        transaction.commit().await.unwrap();

        assert_eq!(world.sync(&package).await.end, End::Success);
        assert_eq!(world.numbers("p2/acme/lib.json").await, ["1.0.0"]);
    }

    async fn a_default_branch_that_only_the_package_knows_of_is_made_its_versions(url: String) {
        let world = World::new(&url).await;
        let repository = GitRepository::with_releases(&[("1.0.0", LIB)]);
        let package = world.add(&repository).await;
        world.work().await;
        let mut transaction = world.registry.database().write().await.unwrap();
        let live = versions::list_live(&mut transaction, package.id).await.unwrap();
        let main = live.iter().find(|version| version.default_branch).unwrap();
        versions::set_default_branch(&mut transaction, main.id, false, 0).await.unwrap();
        transaction.commit().await.unwrap();

        assert_ne!(world.sync(&package).await.message, "nothing changed");
        let versions = world.versions("p2/acme/lib~dev.json").await.unwrap();
        assert_eq!(versions[0]["default-branch"], true);
        assert_eq!(world.sync(&package).await.message, "nothing changed");
    }

    async fn a_first_import_takes_the_commits_dates_even_if_an_attempt_failed(url: String) {
        let world = World::new(&url).await;
        let repository = GitRepository::new();
        repository.commit("main").file("README", "").create();
        let package = world.add(&repository).await;
        let ran = world.worker.run_until_idle().await.unwrap();
        assert_eq!(ran[0].end, End::Error);

        repository.release("1.0.0", LIB);
        assert_eq!(world.sync(&package).await.end, End::Success);
        let first = FIRST_COMMIT_SECONDS + 60;
        assert_eq!(published_at(&world, &package).await, [first, first]);
    }

    async fn the_default_branch_is_marked_even_if_that_step_was_cut_short(url: String) {
        let world = World::new(&url).await;
        let repository = GitRepository::with_releases(&[("1.0.0", LIB)]);
        let commit = repository.resolve("refs/heads/main").unwrap();
        repository.branch("trunk", &commit);
        let package = world.add(&repository).await;
        world.work().await;
        repository.set_default_branch("trunk");
        assert_eq!(world.sync(&package).await.end, End::Success);

        // As if only the package's row had been written.
        let mut transaction = world.registry.database().write().await.unwrap();
        for version in kapelle_storage::db::versions::list_live(&mut transaction, package.id).await.unwrap() {
            if version.default_branch {
                kapelle_storage::db::versions::set_default_branch(&mut transaction, version.id, false, 0).await.unwrap();
            }
        }
        transaction.commit().await.unwrap();
        assert_eq!(world.sync(&package).await.end, End::Success);
        let versions = world.versions("p2/acme/lib~dev.json").await.unwrap();
        assert_eq!(versions[0]["version"], "dev-trunk");
        assert_eq!(versions[0]["default-branch"], true);
        assert!(versions[1].get("default-branch").is_none());
    }
}
