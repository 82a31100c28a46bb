//! A disk that runs full: installing goes on, changes are refused so that their sender asks again.

use std::path::Path;

use kapelle_registry::Disk;
use kapelle_registry::disk::{Probe, Reserve, Watched};
use kapelle_testing::git::GitRepository;
use kapelle_testing::on_both_databases;
use serde_json::json;

use crate::app::{Answer, Options, TestApp};

const LIB: &str = r#"{"name": "acme/lib"}"#;
const FOLDER: &str = "/var/lib/kapelle";
const GIB: u64 = 1 << 30;

/// An application whose disk is what the probe says.
async fn watched(url: &str) -> (TestApp, Probe) {
    let probe = Probe::manual();
    let folder = Watched {
        name: "the data folder",
        path: FOLDER.into(),
    };
    let disk = Disk::new(probe.clone(), Reserve::Percent(5), vec![folder]);
    let options = Options {
        disk: Some(disk),
        ..Options::default()
    };
    (TestApp::with(url, options).await, probe)
}

async fn push(app: &TestApp, repository: &GitRepository) -> Answer {
    let body = json!({ "repository": { "url": repository.url() } });
    let place = "/api/update-package";
    app.updater().post(place, &body.to_string()).await
}

on_both_databases! {
    async fn a_full_disk_is_told_to_probes_and_hooks_and_keeps_nobody_from_installing(url: String) {
        let (app, probe) = watched(&url).await;
        let repository = GitRepository::with_releases(&[("1.0.0", LIB)]);
        app.add(&repository).await;
        let built = repository.resolve("refs/tags/1.0.0").unwrap();
        let unbuilt = repository.release("1.1.0", LIB);
        assert_eq!(push(&app, &repository).await.status, 202);
        app.work_once().await;
        app.let_jobs_wait();

        probe.set(Path::new(FOLDER), GIB, 40 * GIB);
        app.registry.check_disk().await;
        let unready = app.anonymous().get("/readyz").await;
        insta::assert_snapshot!(unready.shown(), @r#"
        503 application/json
        {
          "status": "unready",
          "reason": "the disk of the data folder has 1 GiB of 40 GiB free, less than the 5 % of limits.free_disk: nothing is changed until there is room; delete what is not needed there, or enlarge it"
        }
        "#);
        assert_eq!(app.anonymous().get("/healthz").await.status, 200);
        let refused = push(&app, &repository).await;
        assert_eq!(refused.header("retry-after"), "60");
        insta::assert_snapshot!(refused.shown(), @r#"
        503 application/json
        {
          "status": "error",
          "code": "no_room",
          "message": "the disk of the data folder has 1 GiB of 40 GiB free, less than the 5 % of limits.free_disk: nothing is changed until there is room; delete what is not needed there, or enlarge it",
          "warning": "the disk of the data folder has 1 GiB of 40 GiB free, less than the 5 % of limits.free_disk: nothing is changed until there is room; delete what is not needed there, or enlarge it"
        }
        "#);

        let reader = app.reader();
        for path in ["packages.json", "p2/acme/lib.json", "search.json?q=lib"] {
            assert_eq!(reader.get(&format!("/repo/acme/{path}")).await.status, 200, "{path}");
        }
        let dist = |commit: &str| format!("/repo/acme/dists/acme/lib/{commit}.zip");
        assert_eq!(reader.get(&dist(&built)).await.status, 200);
        assert_eq!(reader.get(&dist(&unbuilt)).await.status, 503);
        let installs = json!({ "downloads": [{ "name": "acme/lib", "version": "1.0.0.0" }] });
        assert_eq!(reader.post("/repo/acme/downloads", &installs.to_string()).await.status, 201);

        probe.set(Path::new(FOLDER), 3 * GIB, 40 * GIB);
        app.registry.check_disk().await;
        assert_eq!(app.anonymous().get("/readyz").await.status, 200);
        assert_eq!(push(&app, &repository).await.status, 202);
        assert_eq!(reader.get(&dist(&unbuilt)).await.status, 200);
    }

    async fn a_signed_hook_is_asked_to_come_again(url: String) {
        let (app, probe) = watched(&url).await;
        let repository = GitRepository::with_releases(&[("1.0.0", LIB)]);
        app.add(&repository).await;
        probe.set(Path::new(FOLDER), GIB, 40 * GIB);
        app.registry.check_disk().await;
        let body = json!({ "repository": { "clone_url": repository.url() } });
        let place = format!("/hooks/generic/acme?token={}", app.hook_secret);
        let refused = app.anonymous().post(&place, &body.to_string()).await;
        assert_eq!((refused.status, refused.header("retry-after")), (503, "60"));
        assert_eq!(refused.json()["code"], "no_room");
    }
}
