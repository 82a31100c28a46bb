//! Archives: built once, whole or in part, the same bytes for ever.

use std::io::Cursor;
use std::time::Duration;

use futures::future::join_all;
use kapelle_registry::{Actor, Limits, package};
use kapelle_testing::git::GitRepository;
use kapelle_testing::on_both_databases;

use crate::app::{Answer, Client, Options, PUBLIC_URL, TestApp};

const MANIFEST: &str = r#"{"name": "acme/lib", "archive": {"exclude": ["/tests"]}}"#;

fn library() -> (GitRepository, String) {
    let repository = GitRepository::new();
    let commit = repository
        .commit("main")
        .file("composer.json", MANIFEST)
        .file("src/Lib.php", "<?php")
        .file("tests/LibTest.php", "<?php")
        .executable("bin/lib", "#!/usr/bin/env php")
        .create();
    repository.tag("1.0.0", &commit);
    (repository, commit)
}

fn place(commit: &str) -> String {
    format!("/repo/acme/dists/acme/lib/{commit}.zip")
}

async fn part(client: &Client<'_>, path: &str, range: &str) -> Answer {
    client.get_with(path, "range", range).await
}

on_both_databases! {
    async fn an_archive_has_one_top_directory_and_not_what_the_package_excludes(url: String) {
        let app = TestApp::start(&url).await;
        let (repository, commit) = library();
        app.add(&repository).await;

        let answer = app.reader().get(&place(&commit)).await;
        assert_eq!((answer.status, answer.header("content-type")), (200, "application/zip"));
        let mut zip = zip::ZipArchive::new(Cursor::new(answer.body.to_vec())).unwrap();
        let top = format!("acme-lib-{}/", &commit[..12]);
        let mut entries: Vec<(String, u32)> = (0..zip.len())
            .map(|index| {
                let entry = zip.by_index(index).unwrap();
                let name = entry.name().unwrap().strip_prefix(&top).expect("one top directory").to_owned();
                (name, entry.unix_mode().unwrap_or_default() & 0o777)
            })
            .filter(|(name, _)| !name.is_empty() && !name.ends_with('/'))
            .collect();
        entries.sort();
        let expected = [("bin/lib", 0o755), ("composer.json", 0o644), ("src/Lib.php", 0o644)];
        assert_eq!(entries, expected.map(|(name, mode)| (name.to_owned(), mode)));
    }

    async fn the_metadata_leads_to_the_archive_and_knows_its_checksum(url: String) {
        use sha1::Digest;
        let app = TestApp::start(&url).await;
        let (repository, commit) = library();
        app.add(&repository).await;

        let metadata = app.reader().get("/repo/acme/p2/acme/lib.json").await.json();
        let dist = &metadata["packages"]["acme/lib"][0]["dist"];
        assert_eq!(dist["url"], format!("{}{}", PUBLIC_URL.trim_end_matches('/'), place(&commit)));
        let answer = app.reader().get(&place(&commit)).await;
        assert_eq!(dist["shasum"], hex::encode(sha1::Sha1::digest(&answer.body)));
    }

    async fn ranges_give_the_parts_of_the_same_bytes(url: String) {
        let app = TestApp::start(&url).await;
        let (repository, commit) = library();
        app.add(&repository).await;
        let (reader, path) = (app.reader(), place(&commit));

        let whole = reader.get(&path).await;
        let size = whole.body.len();
        assert_eq!(whole.header("content-length"), size.to_string());
        assert_eq!(whole.header("accept-ranges"), "bytes");
        assert_eq!(whole.header("cache-control"), "private, max-age=31536000, immutable");
        assert_eq!(
            whole.header("content-disposition"),
            format!("attachment; filename=\"acme-lib-{}.zip\"", &commit[..12])
        );
        let first = part(&reader, &path, "bytes=0-9").await;
        assert_eq!((first.status, first.header("content-range")), (206, &*format!("bytes 0-9/{size}")));
        assert_eq!(first.body, whole.body.slice(..10));
        let rest = part(&reader, &path, "bytes=10-").await;
        assert_eq!((rest.status, rest.body), (206, whole.body.slice(10..)));
        let last = part(&reader, &path, "bytes=-7").await;
        assert_eq!((last.status, last.body), (206, whole.body.slice(size - 7..)));
        let beyond = part(&reader, &path, "bytes=99999999-").await;
        assert_eq!((beyond.status, beyond.header("content-range")), (416, &*format!("bytes */{size}")));
        let head = reader.head(&path).await;
        assert_eq!((head.status, head.body.len(), head.header("content-length")), (200, 0, &*size.to_string()));
    }

    async fn conditions_compare_the_entity_tag(url: String) {
        use axum::http::Request;
        let app = TestApp::start(&url).await;
        let (repository, commit) = library();
        app.add(&repository).await;
        let (reader, path) = (app.reader(), place(&commit));

        let whole = reader.get(&path).await;
        let etag = whole.header("etag");
        assert_eq!(etag.len(), 66);
        let known = reader.get_with(&path, "if-none-match", etag).await;
        assert_eq!((known.status, known.body.len(), known.header("etag")), (304, 0, etag));
        assert_eq!(known.header("content-length"), "");
        let resumed = Request::get(&path).header("range", "bytes=5-").header("if-range", etag);
        assert_eq!(reader.send(resumed, "").await.status, 206);
        let other = Request::get(&path).header("range", "bytes=5-").header("if-range", "\"other\"");
        assert_eq!(reader.send(other, "").await.status, 200);
    }

    async fn fifty_who_want_one_new_archive_build_it_once(url: String) {
        let options = Options { count_git: true, ..Options::default() };
        let app = TestApp::with(&url, options).await;
        let (repository, commit) = library();
        app.queue(&repository).await;
        app.work_once().await;

        let before = app.git_commands("cat-file");
        let path = place(&commit);
        let answers = join_all((0..50).map(|_| async { app.reader().get(&path).await })).await;
        let first = &answers[0];
        assert!(answers.iter().all(|answer| answer.status == 200 && answer.body == first.body));
        assert_eq!(app.git_commands("cat-file") - before, 1);
        app.work().await;
        assert_eq!(app.git_commands("cat-file") - before, 1);
        assert_eq!(app.reader().get(&path).await.body, first.body);
    }

    async fn what_was_never_published_is_not_built(url: String) {
        let app = TestApp::start(&url).await;
        let (repository, commit) = library();
        app.add(&repository).await;

        let unpublished = repository.commit("main").onto(&commit).file("x", "y").create();
        for reference in [unpublished.as_str(), &commit[..39], "main", "..%2f..%2fetc", "%00"] {
            let answer = app.reader().get(&place(reference)).await;
            assert_eq!(answer.status, 404, "{reference}");
            assert!(answer.json()["warning"].is_string(), "{reference}");
        }
        let answer = app.reader().get(&place(&unpublished)).await;
        insta::assert_snapshot!(answer.shown(), @r#"
        404 application/json
        {
          "status": "error",
          "code": "not_found",
          "message": "acme/lib never had a version with the dist c2ccfb22efd62a3456d5c6aa525d51d51e6e0a1e.zip here",
          "warning": "acme/lib never had a version with the dist c2ccfb22efd62a3456d5c6aa525d51d51e6e0a1e.zip here"
        }
        "#);
        let loud = app.reader().get("/repo/acme/dists/acme/lib/%1b%5b31m%c2%9b2J.zip").await;
        assert_eq!(
            loud.json()["warning"],
            "acme/lib never had a version with the dist ??31m?2j.zip here"
        );
        let foreign = app.reader().get(&format!("/repo/acme/dists/acme/other/{commit}.zip")).await;
        assert_eq!(foreign.status, 404);
    }

    async fn archives_of_removed_and_purged_packages_say_what_happened(url: String) {
        let app = TestApp::start(&url).await;
        let (repository, commit) = library();
        app.add(&repository).await;
        let package = app.package("acme/lib").await;

        package::remove(&app.registry, &Actor::Operator, &package).await.unwrap();
        let removed = app.reader().get(&place(&commit)).await;
        insta::assert_snapshot!(removed.shown(), @r#"
        410 application/json
        {
          "status": "error",
          "code": "gone",
          "message": "acme/lib was removed from this repository; its administrator can undo that for a while",
          "warning": "acme/lib was removed from this repository; its administrator can undo that for a while"
        }
        "#);
        package::purge(&app.registry, &Actor::Operator, app.organization_id, "acme/lib").await.unwrap();
        let purged = app.reader().get(&place(&commit)).await;
        insta::assert_snapshot!(purged.shown(), @r#"
        410 application/json
        {
          "status": "error",
          "code": "gone",
          "message": "this version of acme/lib was withdrawn for ever: require another one",
          "warning": "this version of acme/lib was withdrawn for ever: require another one"
        }
        "#);
        assert_eq!(app.anonymous().get(&place(&commit)).await.status, 401);
        assert_eq!(app.stranger().get(&place(&commit)).await.status, 404);
    }

    async fn an_archive_that_cannot_be_built_now_is_unavailable_not_missing(url: String) {
        let limits = Limits { build_wait: Duration::from_millis(200), ..Limits::default() };
        let app = TestApp::with(&url, Options { limits, ..Options::default() }).await;
        let (repository, commit) = library();
        app.queue(&repository).await;
        app.work_once().await;

        app.lose_mirrors();
        let answer = app.reader().get(&place(&commit)).await;
        assert_eq!((answer.status, answer.header("retry-after")), (503, "10"));
        insta::assert_snapshot!(answer.shown().replace(&commit, "[commit]"), @r#"
        503 application/json
        {
          "status": "error",
          "code": "unavailable",
          "message": "the dist of acme/lib at [commit] is unavailable: this machine's copy of the repository does not have that commit; a worker was asked to build the dist: try again in a moment",
          "warning": "the dist of acme/lib at [commit] is unavailable: this machine's copy of the repository does not have that commit; a worker was asked to build the dist: try again in a moment"
        }
        "#);
        assert_eq!(app.work_once().await.kind, "BuildOneDist", "somebody waits for it");
        assert_eq!(app.reader().get(&place(&commit)).await.status, 200);
        app.work().await;
    }

    async fn an_archive_of_a_commit_that_nobody_has_any_more_is_gone(url: String) {
        let limits = Limits { build_wait: Duration::from_millis(200), ..Limits::default() };
        let app = TestApp::with(&url, Options { limits, ..Options::default() }).await;
        let (repository, commit) = library();
        app.queue(&repository).await;
        app.work_once().await;
        app.lose_mirrors();
        repository.commit("main").orphan().file("composer.json", r#"{"name": "acme/lib"}"#).create();
        repository.delete_ref("refs/tags/1.0.0");
        repository.git(&["gc", "--quiet", "--prune=now"]);

        assert_eq!(app.reader().get(&place(&commit)).await.status, 503, "it may come");
        app.work().await;
        let answer = app.reader().get(&place(&commit)).await;
        insta::assert_snapshot!(answer.shown().replace(&commit, "[commit]"), @r#"
        410 application/json
        {
          "status": "error",
          "code": "gone",
          "message": "acme/lib at [commit] is lost: its repository no longer has that commit, and neither has any copy of it; require another version, or have the commit pushed again",
          "warning": "acme/lib at [commit] is lost: its repository no longer has that commit, and neither has any copy of it; require another version, or have the commit pushed again"
        }
        "#);
    }
}
