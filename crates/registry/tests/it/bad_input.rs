//! What others commit: odd texts and sizes cost at most the ref that has them.

use kapelle_registry::Limits;
use kapelle_registry::jobs::End;
use kapelle_testing::git::GitRepository;
use kapelle_testing::on_both_databases;

use crate::world::World;

const LIB: &str = r#"{"name": "acme/lib"}"#;

on_both_databases! {
    async fn characters_that_no_database_takes_do_not_stop_a_synchronization(url: String) {
        let world = World::new(&url).await;
        let repository = GitRepository::with_releases(&[("1.0.0", LIB)]);
        repository.release("1.1.0", r#"{"name": "acme/lib", "version": "1.1.0\u0000"}"#);
        repository.release("1.2.0", r#"{"name": "acme/lib", "version": "1.2.0+\u001b[31m"}"#);
        repository.release("1.3.0", r#"{"name": "acme/lib", "type": "li\u0000brary", "description": "a\u0000b"}"#);
        let package = world.add(&repository).await;
        world.work().await;
        assert_eq!(world.numbers("p2/acme/lib.json").await, ["1.3.0", "1.2.0", "1.1.0", "1.0.0"]);
        assert!(world.faults(&package).await.is_empty());
        assert_eq!(world.now(&package).await.package_type, "library");
    }

    async fn a_provided_name_too_long_for_an_index_does_not_stop_a_synchronization(url: String) {
        let world = World::new(&url).await;
        let long: String = (0..9_000_u32).map(|n| char::from(b'a' + u8::try_from(n * n % 26).unwrap())).collect();
        let manifest = format!(r#"{{"name": "acme/lib", "provide": {{"acme/{long}": "1.0", "psr/log": "1.0"}}}}"#);
        let repository = GitRepository::with_releases(&[("1.0.0", &manifest)]);
        world.add(&repository).await;
        world.work().await;
        assert_eq!(world.numbers("p2/acme/lib.json").await, ["1.0.0"]);
    }

    async fn an_empty_composer_json_is_none_as_in_composer(url: String) {
        let world = World::new(&url).await;
        let repository = GitRepository::with_releases(&[("1.0.0", LIB)]);
        repository.release("1.1.0", "{}");
        repository.release("1.2.0", "[]");
        repository.release("1.3.0", LIB);
        let package = world.add(&repository).await;
        world.work().await;
        assert_eq!(world.numbers("p2/acme/lib.json").await, ["1.3.0", "1.0.0"]);
        assert_eq!(world.faults(&package).await[0].1, "composer.json says nothing");
    }

    async fn an_empty_name_on_the_default_branch_is_none_as_in_composer(url: String) {
        let world = World::new(&url).await;
        let repository = GitRepository::with_releases(&[("1.0.0", LIB)]);
        repository.commit("main").file("composer.json", r#"{"name": "", "type": "library"}"#).create();
        world.add(&repository).await;
        world.work().await;
        assert_eq!(world.numbers("p2/acme/lib.json").await, ["1.0.0"]);
    }

    async fn a_name_that_is_none_is_not_repeated_for_every_ref(url: String) {
        let world = World::new(&url).await;
        let long = "a".repeat(100_000);
        let repository = GitRepository::new();
        let commit = repository.commit("main").file("composer.json", format!(r#"{{"name": "{long}"}}"#)).create();
        for number in 0..20 {
            repository.tag(&format!("x{number}"), &commit);
        }
        let package = world.add(&repository).await;
        world.worker.run_until_idle().await.unwrap();
        let error = world.now(&package).await.sync_error.unwrap();
        assert!(error.contains("on main: the name in composer.json has 100000 bytes"), "{error}");

        repository.commit("main").file("composer.json", LIB).create();
        world.sync(&package).await;
        let faults = world.faults(&package).await;
        assert_eq!(faults.len(), 20);
        assert!(faults.iter().all(|(_, fault)| fault.len() <= 2_000), "{faults:?}");
    }

    async fn many_branches_of_large_manifests_are_bounded_together(url: String) {
        let world = World::with_limits(&url, Limits { manifest: 1_000, ..Limits::default() }).await;
        let manifest = format!(r#"{{"name": "acme/lib", "extra": {{"x": "{}"}}}}"#, "x".repeat(900));
        let repository = GitRepository::with_releases(&[("1.0.0", &manifest)]);
        let commit = repository.resolve("refs/heads/main").unwrap();
        for number in 0..150 {
            repository.branch(&format!("b{number}"), &commit);
        }
        let package = world.add(&repository).await;
        world.work().await;
        let published = world.numbers("p2/acme/lib~dev.json").await.len() + world.numbers("p2/acme/lib.json").await.len();
        assert_eq!(published, 128_000 / manifest.len());
        let faults = world.faults(&package).await;
        assert_eq!(published + faults.len(), 152);
        assert!(faults[0].1.contains("have more than 128000 bytes together"), "{faults:?}");

        for number in 0..100 {
            repository.delete_ref(&format!("refs/heads/b{number}"));
        }
        world.sync(&package).await;
        assert_eq!(world.numbers("p2/acme/lib~dev.json").await.len(), 51);
        assert!(world.faults(&package).await.is_empty());
    }

    async fn a_ref_whose_name_is_no_utf8_costs_only_itself(url: String) {
        let world = World::new(&url).await;
        let repository = GitRepository::with_releases(&[("1.0.0", LIB)]);
        let commit = repository.resolve("refs/heads/main").unwrap();
        let mut refs = commit.into_bytes();
        refs.extend_from_slice(b" refs/tags/2.0-\xff\n");
        std::fs::write(repository.path().join("packed-refs"), refs).unwrap();
        world.add(&repository).await;
        world.work().await;
        assert_eq!(world.numbers("p2/acme/lib.json").await, ["1.0.0"]);
    }

    async fn a_repository_without_branches_and_tags_is_a_clear_failure(url: String) {
        let world = World::new(&url).await;
        let repository = GitRepository::new();
        world.add(&repository).await;
        let ran = world.worker.run_until_idle().await.unwrap();
        assert_eq!(ran[0].end, End::Error);
        assert!(ran[0].message.contains("it has no branches and tags"), "{}", ran[0].message);
    }

    async fn a_repository_that_was_emptied_takes_nothing_away(url: String) {
        let world = World::new(&url).await;
        let repository = GitRepository::with_releases(&[("1.0.0", LIB)]);
        let package = world.add(&repository).await;
        world.work().await;
        repository.delete_ref("refs/tags/1.0.0");
        repository.delete_ref("refs/heads/main");
        let ran = world.sync(&package).await;
        assert_eq!(ran.end, End::Error);
        assert!(ran.message.contains("Everything published stays"), "{}", ran.message);
        assert_eq!(world.numbers("p2/acme/lib.json").await, ["1.0.0"]);
    }
}
