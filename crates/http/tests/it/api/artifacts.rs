//! Packages of archives that are uploaded.

use axum::body::{Body, Bytes};
use axum::http::{Method, Request};
use futures::stream;
use kapelle_registry::jobs::End;
use kapelle_registry::{Actor, package};
use kapelle_testing::on_both_databases;
use serde_json::json;

use super::archives::{release, zip};
use super::signed::Signer;
use crate::app::{Options, TestApp};

const FREE: &str = "/api/packages/artifacts/";
const OF_LIB: &str = "/api/packages/acme/lib/artifacts/";

async fn upload(admin: &Signer<'_>, version: &str) -> i64 {
    let answer = admin
        .upload(FREE, "lib.zip", &release("acme/lib", version))
        .await;
    answer.json()["id"].as_i64().expect("an id")
}

async fn versions(app: &TestApp) -> Vec<String> {
    let document = app.reader().get("/repo/acme/p2/acme/lib.json").await.json();
    let versions = document["packages"]["acme/lib"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    let versions = versions
        .iter()
        .map(|version| version["version"].as_str().unwrap().to_owned());
    versions.collect()
}

fn of(ids: &[i64]) -> serde_json::Value {
    json!({ "repoType": "artifact", "artifactIds": ids })
}

on_both_databases! {
    async fn an_upload_becomes_a_package_and_another_one_its_next_version(url: String) {
        let app = TestApp::start(&url).await;
        let admin = Signer::admin(&app);
        // As the official publish action does it: it makes the package when it is told that there is none.
        let missing = admin.upload(OF_LIB, "lib.zip", &release("acme/lib", "1.0.0")).await;
        assert_eq!((missing.status, missing.json()["message"].as_str()), (404, Some("there is no package \"acme/lib\"")));
        let first = upload(&admin, "1.0.0").await;
        let alone = admin.get(&format!("{FREE}{first}/")).await.json();
        assert_eq!(alone, json!({ "id": first, "repoType": "artifact", "artifactPackageFileIds": [first] }));
        let done = admin.finish(admin.post("/api/packages/", &of(&[first])).await).await;
        assert_eq!(done["status"], "success", "{done}");
        assert_eq!(versions(&app).await, ["1.0.0"]);

        let second = admin.upload(OF_LIB, "dir/lib 2.zip", &release("acme/lib", "2.0.0")).await.json();
        assert_eq!(app.work().await[0].end, End::Success);
        assert_eq!(versions(&app).await, ["2.0.0", "1.0.0"]);
        let again = admin.upload(OF_LIB, "x.zip", &release("acme/lib", "2.0.0")).await;
        assert_eq!(again.json(), second, "the same bytes are the same artifact");
        let listed = admin.get(OF_LIB).await.json();
        assert_eq!(
            listed[1],
            json!({ "id": second["id"], "fileName": "lib 2.zip", "version": "2.0.0", "createdAt": "2026-11-01T10:00:00Z" })
        );
        let shown = admin.get("/api/packages/acme/lib/").await.json();
        assert_eq!(shown["config"]["artifactIds"], json!([first, second["id"]]));
        assert_eq!((&shown["config"]["type"], &shown["config"]["url"]), (&json!("artifact"), &json!(null)));

        let document = app.reader().get("/repo/acme/p2/acme/lib.json").await.json();
        let url = document["packages"]["acme/lib"][0]["dist"]["url"].as_str().unwrap().to_owned();
        let dist = app.reader().get(url.strip_prefix("https://packages.example.org").unwrap()).await;
        assert_eq!(dist.body.to_vec(), release("acme/lib", "2.0.0"), "the very bytes that were uploaded");
        app.verify().await;
    }

    async fn a_version_is_replaced_only_when_that_is_said(url: String) {
        let app = TestApp::start(&url).await;
        let admin = Signer::admin(&app);
        let first = upload(&admin, "1.0.0").await;
        admin.finish(admin.post("/api/packages/", &of(&[first])).await).await;
        let other = zip(&[("composer.json", r#"{"name": "acme/lib", "version": "v1.0.0"}"#)]);
        let refused = admin.upload(OF_LIB, "lib.zip", &other).await;
        assert_eq!(refused.status, 400);
        assert!(refused.json()["message"].as_str().unwrap().contains("is there already, with other bytes"), "{}", refused.text());
        let id = admin.upload(FREE, "lib.zip", &other).await.json()["id"].as_i64().unwrap();
        assert_eq!(admin.put("/api/packages/acme/lib/", &of(&[first, id])).await.status, 400);
        let done = admin.finish(admin.put("/api/packages/acme/lib/", &of(&[id])).await).await;
        assert_eq!(done["status"], "success", "{done}");
        assert_eq!(versions(&app).await, ["v1.0.0"]);
        for (ids, expected) in [
            (vec![], "names no artifact"),
            (vec![id, id], "named twice"),
            (vec![id, 999], "there is no artifact 999"),
        ] {
            let answer = admin.put("/api/packages/acme/lib/", &of(&ids)).await;
            assert!(answer.json()["message"].as_str().unwrap().contains(expected), "{}", answer.text());
        }
        // One that was replaced can be taken back for a day, however old it is.
        app.advance(5 * kapelle_registry::clock::DAY).await;
        let done = admin.finish(admin.put("/api/packages/acme/lib/", &json!({ "artifactIds": [first] })).await).await;
        assert_eq!(done["status"], "success", "{done}");
        app.registry.tick().await.unwrap();
        app.work().await;
        let done = admin.finish(admin.put("/api/packages/acme/lib/", &of(&[id])).await).await;
        assert_eq!(done["status"], "success", "{done}");
        let stranger = admin.upload(OF_LIB, "x.zip", &release("acme/other", "3.0.0")).await;
        assert!(stranger.json()["message"].as_str().unwrap().contains("is of acme/other, and the package is acme/lib"));
        assert_eq!(versions(&app).await, ["v1.0.0"]);
    }

    async fn what_cannot_be_installed_is_refused_and_leaves_nothing(url: String) {
        let app = TestApp::start(&url).await;
        let admin = Signer::admin(&app);
        let good = release("acme/lib", "1.0.0");
        let manifest = |text: &str| zip(&[("composer.json", text)]);
        let bomb = zip(&[("composer.json", r#"{"name": "acme/lib", "version": "1"}"#), ("zeroes", &"0".repeat(8 << 20))]);
        for (bytes, expected) in [
            (b"no archive".to_vec(), "zip"),
            (good[..good.len() - 30].to_vec(), ""),
            (zip(&[("README.md", "")]), "composer.json"),
            (manifest("{"), "composer.json"),
            (manifest(r#"{"name": "acme/lib"}"#), "it has no \"version\""),
            (manifest(r#"{"version": "1.0"}"#), "name"),
            (manifest(r#"{"name": "../lib", "version": "1.0"}"#), "name"),
            (manifest(r#"{"name": "acme/lib", "version": "one"}"#), "version"),
            (manifest(r#"{"name": "acme/lib", "version": "1", "require": {"a/b": "!"}}"#), "require"),
            (zip(&[("../composer.json", "{}")]), ""),
            (bomb, ""),
        ] {
            let answer = admin.upload(FREE, "lib.zip", &bytes).await;
            let message = answer.json()["message"].as_str().unwrap().to_owned();
            assert_eq!(answer.status, 400, "{message}");
            assert!(message.contains(expected), "{message}");
        }
        let empty = admin.upload(FREE, "lib.zip", b"").await;
        assert_eq!(empty.json()["message"], "the body is empty: send the archive as it is");
        assert_eq!(app.temporary_files(), 0);
        assert_eq!(admin.get(&format!("{FREE}1/")).await.status, 404);
    }

    async fn nothing_is_kept_of_what_was_not_signed_or_did_not_arrive(url: String) {
        let options = Options { limits: kapelle_registry::Limits { packed: 4096, ..Default::default() }, ..Options::default() };
        let app = TestApp::with(&url, options).await;
        let admin = Signer::admin(&app);
        let good = release("acme/lib", "1.0.0");
        let header = admin.sign(&Method::POST, FREE, &good);
        let request = || Request::post(FREE).header("authorization", &header);
        let mut bent = good.clone();
        bent[40] ^= 1;
        let answer = app.anonymous().send(request(), bent).await;
        assert_eq!((answer.status, answer.json()["message"].as_str()), (400, Some("Invalid signature.")));
        let broken = stream::iter([Ok(Bytes::copy_from_slice(&good[..100])), Err(std::io::Error::other("cut"))]);
        let answer = app.anonymous().send(request(), Body::from_stream(broken)).await;
        assert_eq!(answer.json()["message"], "the body broke off");
        let large = vec![0; 5000];
        let sent = admin.sign(&Method::POST, FREE, &large);
        let said = Request::post(FREE).header("authorization", &sent).header("content-length", "5000");
        assert_eq!(app.anonymous().send(said, large.clone()).await.status, 413);
        let unsaid = stream::iter([Ok::<_, std::io::Error>(Bytes::from(large))]);
        let unsaid = app.anonymous().send(Request::post(FREE).header("authorization", &sent), Body::from_stream(unsaid)).await;
        assert_eq!(unsaid.status, 413);
        assert_eq!(app.temporary_files(), 0);

        assert_eq!(app.anonymous().send(request(), good.clone()).await.status, 200, "what was wrong has not used it up");
        let replayed = app.anonymous().send(request(), good).await;
        assert_eq!(replayed.status, 400);
        assert!(replayed.text().contains("was sent before"));
    }

    async fn what_nobody_asks_for_is_dropped_and_a_purge_destroys_uploads(url: String) {
        let app = TestApp::start(&url).await;
        let admin = Signer::admin(&app);
        let (used, unused) = (upload(&admin, "1.0.0").await, upload(&admin, "2.0.0").await);
        admin.finish(admin.post("/api/packages/", &of(&[used])).await).await;
        app.advance(2 * kapelle_registry::clock::DAY).await;
        app.registry.tick().await.unwrap();
        app.work().await;
        assert_eq!(admin.get(&format!("{FREE}{unused}/")).await.status, 404);
        assert_eq!(admin.get(&format!("{FREE}{used}/")).await.status, 200);

        let document = app.reader().get("/repo/acme/p2/acme/lib.json").await.json();
        let url = document["packages"]["acme/lib"][0]["dist"]["url"].as_str().unwrap().to_owned();
        let url = url.strip_prefix("https://packages.example.org").unwrap();
        admin.delete("/api/packages/acme/lib/").await;
        assert_eq!(app.reader().get(url).await.status, 410);
        package::undo(&app.registry, &Actor::Operator, app.organization_id, "acme/lib").await.unwrap();
        app.work().await;
        assert_eq!(app.reader().get(url).await.status, 200);
        admin.delete("/api/packages/acme/lib/").await;
        package::purge(&app.registry, &Actor::Operator, app.organization_id, "acme/lib").await.unwrap();
        assert_eq!(app.reader().get(url).await.status, 410);
        assert_eq!(admin.get(&format!("{FREE}{used}/")).await.status, 404);
        let again = upload(&admin, "1.0.0").await;
        let refused = admin.finish(admin.post("/api/packages/", &of(&[again])).await).await;
        assert_eq!(refused["status"], "error");
        assert!(refused["message"].as_str().unwrap().contains("was purged"), "{refused}");
        app.let_jobs_wait();
    }
}
