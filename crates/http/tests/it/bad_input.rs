//! Repositories with something wrong: a sentence about what and where, and nothing already published is lost.

use kapelle_registry::Limits;
use kapelle_registry::jobs::{End, Ran};
use kapelle_testing::git::GitRepository;
use kapelle_testing::on_both_databases;
use serde_json::Value;

use crate::app::{Options, TestApp, without_folders};

const GOOD: &str = r#"{"name": "acme/lib"}"#;

/// The versions that are published, both documents together.
async fn published(app: &TestApp) -> Vec<String> {
    let mut versions = Vec::new();
    for file in ["lib.json", "lib~dev.json"] {
        let answer = app
            .reader()
            .get(&format!("/repo/acme/p2/acme/{file}"))
            .await;
        if answer.status == 200 {
            let json = answer.json();
            let objects = json["packages"]["acme/lib"]
                .as_array()
                .cloned()
                .unwrap_or_default();
            versions.extend(
                objects
                    .iter()
                    .filter_map(|object| object["version"].as_str())
                    .map(str::to_owned),
            );
        }
    }
    versions
}

/// How jobs ended, as `state: sentence` lines.
fn told(ran: &[Ran]) -> String {
    let line = |ran: &Ran| format!("{:?}: {}\n", ran.end, without_folders(&ran.message));
    ran.iter().map(line).collect()
}

on_both_databases! {
    async fn a_repository_without_composer_json_anywhere(url: String) {
        let app = TestApp::start(&url).await;
        let repository = GitRepository::new();
        let commit = repository.commit("main").file("README", "nothing").create();
        repository.tag("1.0.0", &commit);

        insta::assert_snapshot!(told(&app.add(&repository).await), @r#"
        Error: no package name was found in file://[folder]/repository.git: on main: there is no composer.json. Commit a composer.json with a "name" and synchronize again
        "#);
    }

    async fn an_empty_repository(url: String) {
        let app = TestApp::start(&url).await;

        insta::assert_snapshot!(told(&app.add(&GitRepository::new()).await), @r#"
        Error: no package name was found in file://[folder]/repository.git: it has no branches and tags. Commit a composer.json with a "name" and synchronize again
        "#);
    }

    async fn a_folder_that_is_no_repository(url: String) {
        let app = TestApp::start(&url).await;
        let repository = GitRepository::new();
        std::fs::remove_file(repository.path().join("HEAD")).unwrap();

        let ran = app.add(&repository).await;
        app.let_jobs_wait();
        insta::assert_snapshot!(told(&ran), @"Error: file://[folder]/repository.git is not a git repository (fatal: '[folder]/repository.git' does not appear to be a git repository; fatal: Could not read from remote repository.; Please make sure you have the correct access rights; and the repository exists.)");
    }

    async fn invalid_json_at_one_ref_is_reported_there_and_loses_nothing_else(url: String) {
        let app = TestApp::start(&url).await;
        let repository = GitRepository::with_releases(&[("1.0.0", GOOD)]);
        repository.release("1.1.0", r#"{"name": "acme/lib",}"#);
        repository.release("1.2.0", r#"{"name": "acme/lib", "require": {"acme/other": "not a version"}}"#);
        repository.release("1.3.0", GOOD);

        app.add(&repository).await;
        assert_eq!(published(&app).await, ["1.3.0", "1.0.0", "dev-main"]);
        insta::assert_snapshot!(app.faults("acme/lib").await, @r#"
        refs/tags/1.1.0: composer.json is not valid JSON in line 1, column 21: trailing comma
        refs/tags/1.2.0: composer.json: "require" asks for version "not a version" of "acme/other": Could not parse version constraint not: Invalid version string "not"
        "#);
    }

    async fn a_name_that_is_missing_or_invalid(url: String) {
        let app = TestApp::start(&url).await;

        let missing = app.add(&GitRepository::with_releases(&[("1.0.0", "{}")])).await;
        insta::assert_snapshot!(told(&missing), @r#"
        Error: no package name was found in file://[folder]/repository.git: composer.json on main has no name. Commit a composer.json with a "name" and synchronize again
        "#);
        let invalid = app.add(&GitRepository::with_releases(&[("1.0.0", r#"{"name": "--lib"}"#)])).await;
        insta::assert_snapshot!(told(&invalid), @r#"
        Error: composer.json on main names the package "--lib": "--lib" is not a package name; it needs a vendor, one slash and a project, each made of lower-case letters and digits that single "-", "_" or "." may join
        "#);
    }

    async fn a_name_that_changed(url: String) {
        let app = TestApp::start(&url).await;
        let repository = GitRepository::with_releases(&[("1.0.0", GOOD)]);
        app.add(&repository).await;

        repository.release("2.0.0", r#"{"name": "acme/renamed"}"#);
        insta::assert_snapshot!(told(&app.sync("acme/lib").await), @"Error: composer.json on main now names the package acme/renamed, but it is published as acme/lib. Everything published stays. Change the name back, or remove acme/lib and add the repository again");
        assert_eq!(published(&app).await, ["1.0.0", "dev-main"]);
    }

    async fn a_name_that_another_package_has(url: String) {
        let app = TestApp::start(&url).await;
        app.add(&GitRepository::with_releases(&[("1.0.0", GOOD)])).await;

        let second = app.add(&GitRepository::with_releases(&[("9.0.0", GOOD)])).await;
        insta::assert_snapshot!(told(&second), @"Error: acme/lib is the name of another package already, whose repository is file://[folder]/repository.git. If that has moved here, remove this package and run `kapelle package edit acme/lib --url file://[folder]/repository.git`; otherwise rename one of the two in composer.json, or remove one");
        assert_eq!(published(&app).await, ["1.0.0", "dev-main"]);
    }

    async fn versions_that_do_not_parse_contradict_or_exist_twice(url: String) {
        let app = TestApp::start(&url).await;
        let repository = GitRepository::with_releases(&[("1.0.0", GOOD), ("v1.0.0", GOOD), ("nightly", GOOD)]);
        repository.release("2.0.0", r#"{"name": "acme/lib", "version": "3.0.0"}"#);
        repository.release("2.1.0", r#"{"name": "acme/lib", "version": "v2.1"}"#);
        repository.release("release-2.2.0", GOOD);

        app.add(&repository).await;
        assert_eq!(published(&app).await, ["2.2.0", "v2.1", "1.0.0", "dev-main"]);
        insta::assert_snapshot!(app.faults("acme/lib").await, @r#"
        refs/tags/2.0.0: tag "2.0.0" (2.0.0.0) contradicts version "3.0.0" in composer.json; remove "version" there or move the tag
        refs/tags/nightly: tag "nightly" is not a version; tag releases like "1.2.3" or "v1.2.3"
        refs/tags/v1.0.0: version v1.0.0 of acme/lib comes from refs/tags/1.0.0 already: delete one of the two
        "#);
    }

    async fn refs_with_shell_characters_or_a_leading_hyphen_are_data(url: String) {
        let app = TestApp::start(&url).await;
        let repository = GitRepository::with_releases(&[("1.0.0", GOOD)]);
        let head = repository.resolve("refs/heads/main").unwrap();
        let marker = repository.path().join("executed");
        for name in [
            format!("refs/heads/$(touch${{IFS}}{})", marker.display()),
            "refs/heads/;id".to_owned(),
            "refs/heads/`id`".to_owned(),
            "refs/heads/-upload-pack=id".to_owned(),
            "refs/tags/--output=x".to_owned(),
            "refs/tags/1.1.0|id".to_owned(),
            "refs/heads/feature/#1&2".to_owned(),
        ] {
            repository.set_odd_ref(&name, &head);
        }

        let ran = app.add(&repository).await;
        assert_eq!(ran[0].end, End::Success, "{}", told(&ran));
        assert!(!marker.exists());
        let published = published(&app).await;
        assert!(published.contains(&"1.0.0".to_owned()) && published.contains(&"dev-main".to_owned()));
        insta::assert_debug_snapshot!(published, @r#"
        [
            "1.0.0",
            "dev-main",
            "dev--upload-pack=id",
            "dev-;id",
            "dev-`id`",
            "dev-feature/+1&2",
        ]
        "#);
        insta::assert_snapshot!(without_folders(&app.faults("acme/lib").await), @r#"
        refs/tags/--output=x: tag "--output=x" is not a version; tag releases like "1.2.3" or "v1.2.3"
        refs/tags/1.1.0|id: tag "1.1.0|id" is not a version; tag releases like "1.2.3" or "v1.2.3"
        "#);
    }

    async fn a_composer_json_beyond_the_limit(url: String) {
        let app = TestApp::start(&url).await;
        let repository = GitRepository::with_releases(&[("1.0.0", GOOD)]);
        let large = format!(r#"{{"name": "acme/lib", "description": "{}"}}"#, "x".repeat(1024 * 1024));
        repository.release("1.1.0", &large);
        repository.release("1.2.0", &format!(r#"{{"name": "acme/lib", "extra": {}1{}}}"#, "[".repeat(80), "]".repeat(80)));
        repository.release("1.3.0", GOOD);

        app.add(&repository).await;
        assert_eq!(published(&app).await, ["1.3.0", "1.0.0", "dev-main"]);
        insta::assert_snapshot!(app.faults("acme/lib").await, @r#"
        refs/tags/1.1.0: composer.json has 1048615 bytes; at most 1048576 are read
        refs/tags/1.2.0: composer.json is nested deeper than 64 levels; flatten it or raise the limit
        "#);
    }

    async fn more_refs_than_the_limit(url: String) {
        let options = Options { limits: Limits { refs: 2, ..Limits::default() }, ..Options::default() };
        let app = TestApp::with(&url, options).await;
        let repository = GitRepository::with_releases(&[("1.0.0", GOOD)]);
        app.add(&repository).await;
        repository.release("1.1.0", GOOD);

        let ran = app.sync("acme/lib").await;
        app.let_jobs_wait();
        insta::assert_snapshot!(told(&ran), @"Error: file://[folder]/repository.git has more than 2 branches and tags; the limit is the setting vcs.max_refs");
        assert_eq!(published(&app).await, ["1.0.0", "dev-main"]);
    }

    async fn a_tree_with_more_entries_than_the_limit_gives_no_archive(url: String) {
        let options = Options { limits: Limits { entries: 3, ..Limits::default() }, ..Options::default() };
        let app = TestApp::with(&url, options).await;
        let repository = GitRepository::with_releases(&[("1.0.0", GOOD)]);
        let mut commit = repository.commit("main").file("composer.json", GOOD);
        for number in 0..5 {
            commit = commit.file(&format!("src/{number}.php"), "<?php");
        }
        let large = commit.create();
        repository.tag("1.1.0", &large);

        app.add(&repository).await;
        assert_eq!(published(&app).await, ["1.1.0", "1.0.0", "dev-main"]);
        let answer = app.reader().get(&format!("/repo/acme/dists/acme/lib/{large}.zip")).await;
        insta::assert_snapshot!(answer.shown().replace(&large, "[commit]"), @r#"
        410 application/json
        {
          "status": "error",
          "code": "gone",
          "message": "no dist can be made of acme/lib at [commit]: the tree of [commit] has more than 3 entries",
          "warning": "no dist can be made of acme/lib at [commit]: the tree of [commit] has more than 3 entries"
        }
        "#);
    }

    async fn terminal_escapes_reach_no_answer_as_such(url: String) {
        let app = TestApp::start(&url).await;
        let manifest = "{\"name\": \"acme/lib\", \"description\": \"a\\u001b[31mb\\u0007\"}";
        app.add(&GitRepository::with_releases(&[("1.0.0", manifest)])).await;

        let found = app.reader().get("/repo/acme/search.json?q=lib").await.json();
        let description = found["results"][0]["description"].as_str().unwrap_or_default();
        assert!(!description.chars().any(char::is_control), "{description:?}");
    }

    async fn every_address_that_a_package_answers_with_is_complete(url: String) {
        let app = TestApp::start(&url).await;
        app.add(&GitRepository::with_releases(&[("1.0.0", GOOD)])).await;

        let root = app.reader().get("/repo/acme/packages.json").await.json();
        for key in ["metadata-url", "notify-batch", "search", "list", "providers-api", "metadata-changes-url"] {
            let address = root[key].as_str().unwrap();
            assert!(address.starts_with("https://packages.example.org/repo/acme/"), "{key}: {address}");
        }
        let Value::Object(_) = &root["security-advisories"] else { panic!("{root}") };
    }
}
