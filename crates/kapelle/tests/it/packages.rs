//! What can be done with packages whose repository moves, and with removed ones.

use kapelle_testing::git::GitRepository;

use crate::world::{Installation, library};

#[tokio::test]
async fn a_package_is_moved_to_another_repository() {
    let installation = Installation::with_organization().await;
    let old = library("acme/lib", &["1.0.0"]);
    installation
        .run(&["package", "add", &old.url(), "--wait"])
        .await
        .succeeded();
    let new = library("acme/lib", &["1.0.0", "1.1.0"]);
    let url = new.url();
    let edited = installation
        .json(&["package", "edit", "acme/lib", "--url", &url, "--wait"])
        .await;
    assert_eq!(edited["repository_url"], url.as_str());
    assert_eq!(edited["job"]["state"], "success", "{edited:#}");
    let shown = installation.json(&["package", "show", "acme/lib"]).await;
    assert_eq!(shown["versions"].as_array().unwrap().len(), 3, "{shown:#}");

    let text = installation
        .run(&["package", "edit", "acme/lib", "--credential", "none"])
        .await
        .succeeded()
        .stdout;
    assert!(
        text.starts_with(&format!("acme/lib comes from {url} now; job ")),
        "{text}"
    );
    let nothing = installation
        .run(&["package", "edit", "acme/lib"])
        .await
        .refused(2);
    assert!(
        nothing.contains("--url <URL>|--credential <ID|none>"),
        "{nothing}"
    );
    installation
        .run(&["package", "edit", "acme/lib", "--credential", "some"])
        .await
        .refused(2);
    installation
        .run(&["package", "edit", "acme/lib", "--credential", "999"])
        .await
        .refused(3);
}

#[tokio::test]
async fn whoever_finds_a_name_taken_is_told_how_a_package_moves() {
    let installation = Installation::with_organization().await;
    let old = library("acme/lib", &["1.0.0"]);
    installation
        .run(&["package", "add", &old.url(), "--wait"])
        .await
        .succeeded();
    let new = library("acme/lib", &["2.0.0"]);
    let sentence = installation
        .run(&["package", "add", &new.url(), "--wait"])
        .await
        .refused(4);
    let command = format!("`kapelle package edit acme/lib --url {}`", new.url());
    assert!(sentence.contains(&command), "{sentence}");
    // The advice, followed.
    installation
        .run(&["package", "remove", &new.url()])
        .await
        .succeeded();
    installation
        .run(&["package", "edit", "acme/lib", "--url", &new.url(), "--wait"])
        .await
        .succeeded();
}

#[tokio::test]
async fn a_package_without_a_name_is_restored_as_the_message_says() {
    let installation = Installation::with_organization().await;
    let repository = GitRepository::new();
    let url = repository.url();
    installation
        .run(&["package", "add", &url])
        .await
        .succeeded();
    let removed = installation
        .run(&["package", "remove", &url])
        .await
        .succeeded()
        .stdout;
    let undo = format!("`kapelle package undo {url}`");
    assert!(removed.contains(&undo), "{removed}");
    let shown = installation
        .run(&["package", "show", &url])
        .await
        .refused(3);
    assert!(
        shown.contains("was removed on ") && shown.contains(&undo),
        "{shown}"
    );
    installation
        .run(&["package", "undo", &url])
        .await
        .succeeded();
    let early = installation
        .run(&["package", "purge", &url, "--yes"])
        .await
        .refused(3);
    assert!(early.contains("remove it before purging it"), "{early}");
    installation
        .run(&["package", "remove", &url])
        .await
        .succeeded();
    installation
        .run(&["package", "purge", &url, "--yes"])
        .await
        .succeeded();
}

#[tokio::test]
async fn the_state_of_every_dist_is_shown() {
    let installation = Installation::with_organization().await;
    let repository = library("acme/lib", &["1.0.0"]);
    let plain = repository.resolve("refs/tags/1.0.0").unwrap();
    let pointer = "version https://git-lfs.github.com/spec/v1\n\
        oid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393\nsize 12345\n";
    let commit = repository
        .commit("main")
        .file("logo.png", pointer)
        .submodule("vendor/x", &plain)
        .create();
    repository.tag("1.1.0", &commit);
    installation
        .run(&["package", "add", &repository.url(), "--wait"])
        .await
        .succeeded();
    let jobs = installation
        .json(&["job", "list", "--state", "queued"])
        .await;
    let shown = installation
        .run(&["package", "show", "acme/lib"])
        .await
        .succeeded()
        .stdout;
    assert!(shown.contains("not built yet"), "{shown}");
    installation
        .run(&["job", "wait", &jobs[0]["id"].to_string()])
        .await
        .succeeded();
    let shown = installation
        .run(&["package", "show", "acme/lib"])
        .await
        .succeeded()
        .stdout;
    let line = |version: &str| {
        let found = shown.lines().find(|line| line.starts_with(version));
        found.expect("the version's line").to_owned()
    };
    assert!(line("1.0.0 ").ends_with(" ok"), "{shown}");
    assert!(
        line("1.1.0 ").ends_with(" submodules are empty folders, LFS files are pointers"),
        "{shown}"
    );
}
