//! A version that was once installable stays installable, whatever happens upstream.

use bytes::Bytes;
use kapelle_registry::clock::SECOND;
use kapelle_registry::jobs::End;
use kapelle_testing::git::GitRepository;
use kapelle_testing::on_both_databases;
use serde_json::Value;

use crate::app::TestApp;

async fn dist(app: &TestApp, commit: &str) -> Bytes {
    let answer = app
        .reader()
        .get(&format!("/repo/acme/dists/acme/lib/{commit}.zip"))
        .await;
    assert_eq!(
        answer.status,
        200,
        "{}",
        String::from_utf8_lossy(&answer.body)
    );
    answer.body
}

/// Versions with the commits they have now, newest first.
async fn versions(app: &TestApp) -> Vec<(String, String)> {
    let metadata = app.reader().get("/repo/acme/p2/acme/lib.json").await;
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let json = metadata.json();
    let mut reference = String::new();
    let versions = json["packages"]["acme/lib"]
        .as_array()
        .unwrap()
        .iter()
        .map(|version| {
            if let Some(source) = version.get("source") {
                reference = text(&source["reference"]);
            }
            (text(&version["version"]), reference.clone())
        });
    versions.collect()
}

on_both_databases! {
    async fn a_tag_that_was_moved_keeps_the_old_archive_byte_for_byte(url: String) {
        let app = TestApp::start(&url).await;
        let repository = GitRepository::new();
        let old = repository.release("1.0.0", r#"{"name": "acme/lib"}"#);
        app.add(&repository).await;
        let before = dist(&app, &old).await;

        app.advance(SECOND).await;
        let new = repository
            .commit("main")
            .orphan()
            .file("composer.json", r#"{"name": "acme/lib"}"#)
            .file("new.php", "<?php")
            .create();
        repository.tag("1.0.0", &new);
        repository.git(&["reflog", "expire", "--expire=now", "--all"]);
        repository.git(&["gc", "--quiet", "--prune=now"]);
        app.sync("acme/lib").await;

        assert_eq!(versions(&app).await, [("1.0.0".to_owned(), new.clone())]);
        assert_eq!(dist(&app, &old).await, before);
        assert_ne!(dist(&app, &new).await, before);
    }

    async fn a_tag_that_was_deleted_leaves_the_metadata_and_keeps_its_archive(url: String) {
        let app = TestApp::start(&url).await;
        let repository = GitRepository::new();
        let first = repository.release("1.0.0", r#"{"name": "acme/lib"}"#);
        let second = repository.release("1.1.0", r#"{"name": "acme/lib"}"#);
        app.add(&repository).await;
        let before = dist(&app, &first).await;

        app.advance(SECOND).await;
        repository.delete_ref("refs/tags/1.0.0");
        app.sync("acme/lib").await;

        assert_eq!(versions(&app).await, [("1.1.0".to_owned(), second)]);
        assert_eq!(dist(&app, &first).await, before);
    }

    async fn a_commit_whose_archive_nobody_had_asked_for_is_saved_before_it_vanishes(url: String) {
        let app = TestApp::start(&url).await;
        let repository = GitRepository::new();
        let old = repository.release("1.0.0", r#"{"name": "acme/lib"}"#);
        app.queue(&repository).await;
        app.work_once().await;

        app.advance(SECOND).await;
        repository.delete_ref("refs/tags/1.0.0");
        repository.commit("main").orphan().file("composer.json", r#"{"name": "acme/lib"}"#).create();
        app.sync("acme/lib").await;
        app.lose_mirrors();

        assert!(!dist(&app, &old).await.is_empty());
    }

    async fn an_upstream_that_is_gone_takes_nothing_along(url: String) {
        let app = TestApp::start(&url).await;
        let repository = GitRepository::new();
        let commit = repository.release("1.0.0", r#"{"name": "acme/lib"}"#);
        app.add(&repository).await;
        let metadata = app.reader().get("/repo/acme/p2/acme/lib.json").await;

        drop(repository);
        let ran = app.sync("acme/lib").await;
        assert_ne!(ran[0].end, End::Success);
        app.let_jobs_wait();
        assert_eq!(app.reader().get("/repo/acme/p2/acme/lib.json").await.body, metadata.body);
        assert!(!dist(&app, &commit).await.is_empty());
    }

    async fn a_revoked_token_stops_at_once_while_others_go_on(url: String) {
        use kapelle_registry::{Actor, token};
        let app = TestApp::start(&url).await;
        let list = token::list(&app.registry, &Actor::Operator, app.organization_id).await.unwrap();
        let ours = app.tokens.read.clone();
        let row = list.iter().find(|row| row.hint == ours[ours.len() - 4..]).unwrap();

        assert_eq!(app.reader().get("/repo/acme/packages.json").await.status, 200);
        token::remove(&app.registry, &Actor::Operator, app.organization_id, row.id).await.unwrap();
        assert_eq!(app.reader().get("/repo/acme/packages.json").await.status, 401);
        assert_eq!(app.updater().get("/repo/acme/packages.json").await.status, 200);
    }
}
