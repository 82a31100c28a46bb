//! A repository's refs in, published versions out.

use kapelle_registry::Limits;
use kapelle_registry::jobs::End;
use kapelle_testing::git::GitRepository;
use kapelle_testing::on_both_databases;

use crate::world::World;

const LIB: &str = r#"{"name": "acme/lib", "description": "A library"}"#;

on_both_databases! {
    async fn tags_and_branches_become_versions(url: String) {
        let world = World::new(&url).await;
        let repository = GitRepository::with_releases(&[("1.0.0", LIB), ("v1.1.0", LIB)]);
        let package = world.add(&repository).await;
        world.work().await;

        assert_eq!(world.numbers("p2/acme/lib.json").await, ["v1.1.0", "1.0.0"]);
        assert_eq!(world.numbers("p2/acme/lib~dev.json").await, ["dev-main"]);
        let versions = world.versions("p2/acme/lib.json").await.unwrap();
        let reference = repository.resolve("refs/tags/1.0.0").unwrap();
        assert_eq!(versions[1]["dist"]["reference"], reference.as_str());
        assert_eq!(
            versions[1]["dist"]["url"],
            format!("https://kapelle.example/repo/acme/dists/acme/lib/{reference}.zip")
        );
        assert_eq!(versions[1]["dist"]["shasum"].as_str().unwrap().len(), 40);
        assert!(world.faults(&package).await.is_empty());
    }

    async fn what_did_not_change_is_not_published_again(url: String) {
        let world = World::new(&url).await;
        let repository = GitRepository::with_releases(&[("1.0.0", LIB)]);
        let package = world.add(&repository).await;
        world.work().await;
        assert_eq!(world.sync(&package).await.message, "nothing changed");
    }

    async fn a_deleted_tag_leaves_the_metadata_and_its_dist_stays(url: String) {
        let world = World::new(&url).await;
        let repository = GitRepository::with_releases(&[("1.0.0", LIB), ("1.1.0", LIB)]);
        let package = world.add(&repository).await;
        world.work().await;
        let reference = repository.resolve("refs/tags/1.1.0").unwrap();
        let before = world.dist("acme/lib", &reference).await;

        repository.delete_ref("refs/tags/1.1.0");
        assert_eq!(world.sync(&package).await.end, End::Success);

        assert_eq!(world.numbers("p2/acme/lib.json").await, ["1.0.0"]);
        assert_eq!(world.dist("acme/lib", &reference).await, before);
    }

    async fn a_moved_tag_is_followed_and_its_old_dist_stays(url: String) {
        let world = World::new(&url).await;
        let repository = GitRepository::with_releases(&[("1.0.0", LIB)]);
        let package = world.add(&repository).await;
        world.work().await;
        let old = repository.resolve("refs/tags/1.0.0").unwrap();
        let before = world.dist("acme/lib", &old).await;

        let new = repository.commit("main").file("src/New.php", "<?php").create();
        repository.set_ref("refs/tags/1.0.0", &new);
        assert_eq!(world.sync(&package).await.end, End::Success);

        let versions = world.versions("p2/acme/lib.json").await.unwrap();
        assert_eq!(versions[0]["dist"]["reference"], new.as_str());
        assert_eq!(world.dist("acme/lib", &old).await, before);
        assert_ne!(world.dist("acme/lib", &new).await, before);
    }

    async fn one_bad_ref_loses_nothing_else(url: String) {
        let world = World::new(&url).await;
        let repository = GitRepository::with_releases(&[("1.0.0", LIB)]);
        repository.release("1.1.0", r#"{"name": "acme/lib", "#);
        repository.release("1.2.0", r#"{"name": "acme/lib", "version": "3.0.0"}"#);
        repository.release("1.3.0", r#"{"name": "acme/lib", "require": {"a/b": "^^1"}}"#);
        let last = repository.release("not-a-version", LIB);
        repository.set_ref("refs/tags/v1.0.0", &last);
        let package = world.add(&repository).await;
        world.work().await;

        assert_eq!(world.numbers("p2/acme/lib.json").await, ["1.0.0"]);
        let faults = world.faults(&package).await;
        let shown: Vec<String> = faults.iter().map(|(name, fault)| format!("{name}: {fault}")).collect();
        insta::assert_snapshot!(shown.join("\n"), @r#"
        refs/tags/1.1.0: composer.json is not valid JSON in line 1, column 21: EOF while parsing a value
        refs/tags/1.2.0: tag "1.2.0" (1.2.0.0) contradicts version "3.0.0" in composer.json; remove "version" there or move the tag
        refs/tags/1.3.0: composer.json: "require" asks for version "^^1" of "a/b": Could not parse version constraint ^^1: Invalid version string "^^1"
        refs/tags/not-a-version: tag "not-a-version" is not a version; tag releases like "1.2.3" or "v1.2.3"
        refs/tags/v1.0.0: version v1.0.0 of acme/lib comes from refs/tags/1.0.0 already: delete one of the two
        "#);
    }

    async fn a_tag_takes_over_when_its_twin_is_deleted(url: String) {
        let world = World::new(&url).await;
        let repository = GitRepository::with_releases(&[("1.0.0", LIB), ("v1.0.0", LIB)]);
        let package = world.add(&repository).await;
        world.work().await;
        assert_eq!(world.numbers("p2/acme/lib.json").await, ["1.0.0"]);

        repository.delete_ref("refs/tags/1.0.0");
        assert_eq!(world.sync(&package).await.end, End::Success);
        assert_eq!(world.numbers("p2/acme/lib.json").await, ["v1.0.0"]);
    }

    async fn a_branch_whose_head_breaks_keeps_what_was_published(url: String) {
        let world = World::new(&url).await;
        let repository = GitRepository::with_releases(&[("1.0.0", LIB)]);
        let package = world.add(&repository).await;
        world.work().await;
        let published = world.versions("p2/acme/lib~dev.json").await;

        repository.commit("main").file("composer.json", "{").create();
        assert_eq!(world.sync(&package).await.end, End::Success);
        assert_eq!(world.versions("p2/acme/lib~dev.json").await, published);
        let faults = world.faults(&package).await;
        assert_eq!(faults[0].0, "refs/heads/main");

        repository.commit("main").file("composer.json", LIB).create();
        world.sync(&package).await;
        assert_ne!(world.versions("p2/acme/lib~dev.json").await, published);
        assert!(world.faults(&package).await.is_empty());
    }

    async fn a_default_branch_that_is_not_there_is_none_and_looked_for_once(url: String) {
        let world = World::new(&url).await;
        let repository = GitRepository::with_releases(&[("1.0.0", LIB)]);
        let package = world.add(&repository).await;
        world.work().await;
        assert_eq!(world.versions("p2/acme/lib~dev.json").await.unwrap()[0]["default-branch"], true);

        repository.set_default_branch("gone");
        assert_ne!(world.sync(&package).await.message, "nothing changed");
        assert!(world.versions("p2/acme/lib~dev.json").await.unwrap()[0]["default-branch"].is_null());
        assert_eq!(world.sync(&package).await.message, "nothing changed");

        repository.set_default_branch("main");
        world.sync(&package).await;
        assert_eq!(world.versions("p2/acme/lib~dev.json").await.unwrap()[0]["default-branch"], true);
    }

    async fn too_large_a_manifest_is_a_fault_of_its_ref(url: String) {
        let limits = Limits { manifest: 1_000, ..Limits::default() };
        let world = World::with_limits(&url, limits).await;
        let repository = GitRepository::with_releases(&[("1.0.0", LIB)]);
        let long = format!(r#"{{"name": "acme/lib", "extra": {{"x": "{}"}}}}"#, "x".repeat(1_000));
        repository.release("1.1.0", &long);
        let package = world.add(&repository).await;
        world.work().await;
        assert_eq!(world.numbers("p2/acme/lib.json").await, ["1.0.0"]);
        let faults = world.faults(&package).await;
        assert!(faults[1].1.contains("at most 1000"), "{faults:?}");
    }

    async fn an_empty_repository_is_no_package(url: String) {
        let world = World::new(&url).await;
        let repository = GitRepository::new();
        let package = world.add(&repository).await;
        let ran = world.worker.run_next().await.unwrap().unwrap();
        assert_eq!(ran.end, End::Error);
        assert!(ran.message.contains("no package name was found"), "{}", ran.message);
        assert!(world.now(&package).await.sync_error.is_some());
    }

    async fn a_larger_limit_lets_larger_manifests_in(url: String) {
        let limits = Limits { manifest: 2 << 20, ..Limits::default() };
        let world = World::with_limits(&url, limits).await;
        let long = "x".repeat(3 << 19);
        let manifest = format!(r#"{{"name": "acme/lib", "extra": {{"x": "{long}"}}}}"#);
        let repository = GitRepository::with_releases(&[("1.0.0", &manifest)]);
        world.add(&repository).await;
        world.work().await;
        assert_eq!(world.numbers("p2/acme/lib.json").await, ["1.0.0"]);
    }
}
