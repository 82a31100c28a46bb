//! Packages that somebody wrote down.

use kapelle_registry::{Actor, package};
use kapelle_testing::on_both_databases;
use serde_json::{Value, json};
use sha1::{Digest, Sha1};

use super::archives::{Shelf, release, zip};
use super::signed::Signer;
use crate::app::{Options, TestApp};

fn reaching() -> Options {
    Options {
        reach_local: true,
        ..Options::default()
    }
}

fn version(number: &str, url: &str, shasum: &str) -> Value {
    json!({
        "name": "acme/zip", "version": number, "type": "library", "require": { "php": ">=7" },
        "dist": { "type": "zip", "url": url, "shasum": shasum },
    })
}

/// As the official client sends it: the definition as text.
fn custom(definition: &Value) -> Value {
    json!({ "repoType": "package", "repoConfig": definition.to_string(), "credentials": null })
}

async fn published(app: &TestApp) -> Vec<Value> {
    let document = app.reader().get("/repo/acme/p2/acme/zip.json").await.json();
    document["packages"]["acme/zip"]
        .as_array()
        .cloned()
        .unwrap_or_default()
}

on_both_databases! {
    async fn its_archives_are_taken_over_and_stay_whatever_becomes_of_the_place(url: String) {
        let app = TestApp::with(&url, reaching()).await;
        let admin = Signer::admin(&app);
        let archive = zip(&[("file.php", "<?php")]);
        let sha1 = hex::encode(Sha1::digest(&archive));
        let shelf = Shelf::with(archive.clone(), None).await;
        let one = version("1.0.0", &shelf.url(), &sha1);
        let done = admin.finish(admin.post("/api/packages/", &custom(&one)).await).await;
        assert_eq!(done["status"], "success", "{done}");
        let versions = published(&app).await;
        let dist = &versions[0]["dist"];
        assert_eq!((&dist["type"], &dist["shasum"]), (&json!("zip"), &json!(sha1)));
        assert_eq!(versions[0].get("source"), None);
        let url = dist["url"].as_str().unwrap().strip_prefix("https://packages.example.org").unwrap();
        let shown = admin.get("/api/packages/acme/zip/").await.json();
        assert_eq!((&shown["config"]["type"], &shown["config"]["customJson"], &shown["repoConfig"]), (&json!("package"), &one, &one));
        assert_eq!((&shown["config"]["url"], &shown["versions"][0]["sourceReference"]), (&Value::Null, &Value::Null));
        assert_eq!(admin.get("/api/packages/").await.json()[0]["config"]["customJson"], one);

        shelf.change(b"gone".to_vec());
        let got = app.reader().get(url).await;
        assert_eq!((got.status, got.body.to_vec()), (200, archive.clone()));
        app.verify().await;

        // Another version beside the first, whose archive is not asked for again.
        shelf.change(release("acme/zip", "2.0.0"));
        let two = json!([one, version("2.0.0", &format!("{}?2", shelf.url()), "")]);
        let done = admin.finish(admin.put("/api/packages/acme/zip/", &custom(&two)).await).await;
        assert_eq!(done["status"], "success", "{done}");
        let numbers: Vec<_> = published(&app).await.iter().map(|version| version["version"].clone()).collect();
        assert_eq!(numbers, [json!("2.0.0"), json!("1.0.0")]);
        assert_eq!(shelf.asked().len(), 2);

        // One that is left out is no longer offered, and stays installable for who has it in a lock file.
        let only_two = json!([two[1]]);
        let done = admin.finish(admin.put("/api/packages/acme/zip/", &custom(&only_two)).await).await;
        assert_eq!(done["status"], "success", "{done}");
        assert_eq!(published(&app).await.len(), 1);
        assert_eq!(app.reader().get(url).await.status, 200);
        app.verify().await;
    }

    async fn a_credential_is_shown_to_its_own_host_and_nobody_else(url: String) {
        let app = TestApp::with(&url, reaching()).await;
        let admin = Signer::admin(&app);
        let wanted = "Basic bWU6czNjcmV0";
        let shelf = Shelf::with(release("acme/zip", "1.0.0"), Some(wanted)).await;
        let other = Shelf::with(release("acme/zip", "1.0.0"), None).await;
        let credential = json!({
            "type": "http-basic", "domain": shelf.address, "username": "me", "credential": "s3cret", "description": "",
        });
        let id = admin.post("/api/credentials/", &credential).await.json()["id"].clone();
        let one = version("1.0.0", &shelf.url(), "");
        let failed = admin.finish(admin.post("/api/packages/", &custom(&one)).await).await;
        assert_eq!(failed["status"], "error");
        assert!(failed["message"].as_str().unwrap().contains("401"), "{failed}");
        assert_eq!(shelf.asked(), [None], "it was not chosen");
        let both = json!({
            "repoType": "package", "credentials": id,
            "repoConfig": [one, version("2.0.0", &other.url(), "")],
        });
        let done = admin.finish(admin.put("/api/packages/acme/zip/", &both).await).await;
        assert_eq!(done["status"], "success", "{done}");
        assert_eq!(shelf.asked().last().unwrap().as_deref(), Some(wanted));
        assert_eq!(other.asked(), [None]);

        // Hosts have archives behind escapes and queries as well; what is in a query may be a secret.
        let asked = format!("http://{}/api/a%2Fb/archive.zip?token=hunter2", shelf.address);
        let third = json!({ "repoConfig": [version("3.0.0", &asked, "")] });
        let done = admin.finish(admin.put("/api/packages/acme/zip/", &third).await).await;
        assert_eq!(done["status"], "success", "{done}");
        assert_eq!(shelf.asked().last().unwrap().as_deref(), Some(wanted));
        shelf.change(b"no archive".to_vec());
        let fourth = json!({ "repoConfig": [version("4.0.0", &format!("{asked}4"), "")] });
        let failed = admin.finish(admin.put("/api/packages/acme/zip/", &fourth).await).await;
        assert_eq!(failed["status"], "error");
        assert!(!failed.to_string().contains("hunter2"), "{failed}");
    }

    async fn what_is_no_archive_or_another_one_is_not_published(url: String) {
        let app = TestApp::with(&url, reaching()).await;
        let admin = Signer::admin(&app);
        let shelf = Shelf::with(b"<html>Sign in</html>".to_vec(), None).await;
        let one = custom(&version("1.0.0", &shelf.url(), ""));
        let failed = admin.finish(admin.post("/api/packages/", &one).await).await;
        assert_eq!(failed["status"], "error");
        assert!(failed["message"].as_str().unwrap().starts_with("version 1.0.0: http://127.0.0.1"), "{failed}");
        shelf.change(release("acme/zip", "1.0.0"));
        let wrong = custom(&version("1.0.0", &shelf.url(), &"a".repeat(40)));
        let failed = admin.finish(admin.put("/api/packages/acme/zip/", &wrong).await).await;
        assert!(failed["message"].as_str().unwrap().contains("has the SHA-1"), "{failed}");
        let tar = json!({ "name": "acme/zip", "version": "1.0.0", "dist": { "type": "tar", "url": shelf.url() } });
        let failed = admin.finish(admin.put("/api/packages/acme/zip/", &custom(&tar)).await).await;
        assert!(failed["message"].as_str().unwrap().contains("is no tar but a zip file"), "{failed}");
        assert_eq!(app.reader().get("/repo/acme/p2/acme/zip.json").await.status, 404);
        let done = admin.finish(admin.put("/api/packages/acme/zip/", &one).await).await;
        assert_eq!(done["status"], "success", "{done}");
        app.verify().await;
    }

    async fn a_purge_of_one_package_is_nothing_to_another_of_the_same_archive(url: String) {
        let app = TestApp::with(&url, reaching()).await;
        let admin = Signer::admin(&app);
        let shelf = Shelf::with(release("acme/zip", "1.0.0"), None).await;
        let one = version("1.0.0", &shelf.url(), "");
        let mut other = one.clone();
        other["name"] = json!("acme/other");
        for body in [custom(&one), custom(&other)] {
            let done = admin.finish(admin.post("/api/packages/", &body).await).await;
            assert_eq!(done["status"], "success", "{done}");
        }
        admin.delete("/api/packages/acme/other/").await;
        package::purge(&app.registry, &Actor::Operator, app.organization_id, "acme/other").await.unwrap();
        let more = custom(&json!([one, version("2.0.0", &format!("{}?2", shelf.url()), "")]));
        let done = admin.finish(admin.put("/api/packages/acme/zip/", &more).await).await;
        assert_eq!(done["status"], "success", "{done}");
        assert_eq!(published(&app).await.len(), 2);
        let back = admin.finish(admin.post("/api/packages/", &custom(&other)).await).await;
        assert_eq!(back["status"], "error");
        assert!(back["message"].as_str().unwrap().contains("was purged from acme/other"), "{back}");
        app.verify().await;
    }

    async fn a_job_that_comes_after_a_removal_brings_nothing(url: String) {
        let app = TestApp::with(&url, reaching()).await;
        let admin = Signer::admin(&app);
        let shelf = Shelf::with(release("acme/zip", "1.0.0"), None).await;
        let queued = admin.post("/api/packages/", &custom(&version("1.0.0", &shelf.url(), ""))).await;
        assert_eq!(queued.status, 200);
        let package = app.package("acme/zip").await;
        let gate = app.registry.clone();
        let remove = async {
            shelf.asked_once().await;
            package::remove(&gate, &Actor::Operator, &package).await.unwrap();
            package::purge(&gate, &Actor::Operator, app.organization_id, "acme/zip").await.unwrap();
            shelf.release();
        };
        shelf.hold();
        let (ran, ()) = tokio::join!(app.work_once(), remove);
        assert_ne!(ran.end, kapelle_registry::jobs::End::Success, "{}", ran.message);
        assert_eq!(app.count_dists().await, 0);
        app.let_jobs_wait();
    }

    async fn a_metapackage_has_no_archive_and_a_source_is_passed_on(url: String) {
        let app = TestApp::start(&url).await;
        let admin = Signer::admin(&app);
        let meta = json!([
            { "name": "acme/zip", "version": "1.0.0", "type": "metapackage", "require": { "acme/lib": "^1" } },
            {
                "name": "acme/zip", "version": "2.0.0",
                "source": { "type": "git", "url": "https://git.example.org/zip.git", "reference": "v2", "secret": "x" },
            },
        ]);
        let done = admin.finish(admin.post("/api/packages/", &custom(&meta)).await).await;
        assert_eq!(done["status"], "success", "{done}");
        let versions = published(&app).await;
        assert_eq!(
            versions[0]["source"],
            json!({ "type": "git", "url": "https://git.example.org/zip.git", "reference": "v2" })
        );
        let all = app.reader().get("/repo/acme/p2/acme/zip.json").await.text();
        assert!(!all.contains("\"dist\""), "{all}");
        app.verify().await;
        let again = admin.finish(admin.put("/api/packages/acme/zip/", &custom(&meta)).await).await;
        assert_eq!((&again["status"], &again["message"]), (&json!("success"), &json!("nothing changed")));
    }

    async fn a_definition_that_is_wrong_changes_nothing(url: String) {
        let app = TestApp::start(&url).await;
        let admin = Signer::admin(&app);
        let meta = json!({ "name": "acme/zip", "version": "1.0.0", "type": "metapackage" });
        admin.finish(admin.post("/api/packages/", &custom(&meta)).await).await;
        let before = published(&app).await;
        for (body, expected) in [
            (json!({ "repoType": "package" }), "repoConfig: a package of this repoType needs it"),
            (json!({ "repoType": "package", "repoConfig": "{" }), "repoConfig: it is not valid JSON"),
            (json!({ "repoType": "package", "repoConfig": "[".repeat(80) }), "repoConfig: it is nested deeper"),
            (custom(&json!([])), "from 1 to 5000 versions"),
            (custom(&json!({ "name": "acme/other", "version": "1", "type": "metapackage" })), "a package keeps its name"),
            (custom(&json!({ "name": "acme/zip", "version": "1" })), "neither"),
            (json!({ "repoType": "git", "repoUrl": "https://git.example.org/x" }), "stays one"),
            (json!({ "repoUrl": "https://git.example.org/x" }), "repoUrl: a package of this repoType has none"),
            (json!({ "repoType": "package", "repoConfig": {}, "artifactIds": [1] }), "artifactIds: a package of this"),
            (json!({ "repoType": "artifact", "artifactIds": [] }), "stays one"),
            (json!({ "credentials": 99 }), "there is no credential 99"),
            (json!({ "defaultSuborganizationAccess": "all" }), "no access of suborganizations"),
        ] {
            let answer = admin.put("/api/packages/acme/zip/", &body).await;
            let message = answer.json()["message"].as_str().unwrap().to_owned();
            assert_eq!(answer.status, 400, "{message}");
            assert!(message.contains(expected), "{message}");
        }
        let taken = admin.post("/api/packages/", &custom(&meta)).await;
        assert_eq!(taken.json()["message"], "acme/zip is the name of another package of this organization already");
        assert_eq!(published(&app).await, before);
        let found = package::find(&app.registry, &Actor::Operator, app.organization_id, "acme/zip").await;
        assert_eq!(found.unwrap().suborganization_access, "");
    }
}
