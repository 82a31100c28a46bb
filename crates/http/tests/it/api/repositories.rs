//! Packages of git repositories, from the first request to the last.

use kapelle_testing::git::GitRepository;
use kapelle_testing::on_both_databases;
use serde_json::json;

use super::signed::Signer;
use crate::app::TestApp;

const LIB: &str = r#"{"name": "acme/lib"}"#;

on_both_databases! {
    async fn a_package_is_added_changed_and_removed(url: String) {
        let app = TestApp::start(&url).await;
        let admin = Signer::admin(&app);
        let repository = GitRepository::with_releases(&[("1.0.0", LIB)]);
        let body = json!({ "repoType": "git", "repoUrl": repository.url(), "credentials": null });
        let done = admin.finish(admin.post("/api/packages/", &body).await).await;
        assert_eq!((&done["status"], &done["package"]["name"]), (&json!("success"), &json!("acme/lib")));
        let shown = admin.get("/api/packages/acme/lib/").await.json();
        assert_eq!((&shown["config"]["type"], &shown["installable"]), (&json!("git"), &json!(true)));
        assert_eq!(app.reader().get("/repo/acme/p2/acme/lib.json").await.status, 200);
        let again = admin.post("/api/packages/", &body).await;
        assert_eq!(again.status, 400);
        assert!(again.json()["message"].as_str().unwrap().contains("in this organization already, as acme/lib"));

        let moved = GitRepository::with_releases(&[("1.0.0", LIB), ("2.0.0", LIB)]);
        let edit = json!({ "repoType": "vcs", "repoUrl": moved.url(), "credentials": null, "defaultSuborganizationAccess": "no-access" });
        let done = admin.finish(admin.put("/api/packages/acme/lib", &edit).await).await;
        assert_eq!(done["status"], "success", "{done}");
        let shown = admin.get("/api/packages/acme/lib/").await.json();
        assert_eq!((&shown["config"]["type"], &shown["config"]["url"]), (&json!("vcs"), &json!(moved.url())));
        assert_eq!(shown["defaultSuborganizationAccess"], "no-access");
        let versions = shown["versions"].as_array().unwrap();
        assert!(versions.iter().any(|version| version["version"] == "2.0.0"));

        let nothing = admin.finish(admin.put("/api/packages/acme/lib/", &json!([])).await).await;
        assert_eq!(nothing["status"], "success", "an empty request looks at the repository again");
        assert_eq!(admin.get("/api/packages/acme/lib/").await.json()["config"]["url"], json!(moved.url()));

        let removed = admin.delete("/api/packages/acme/lib/").await;
        assert_eq!((removed.status, removed.text().as_str(), removed.header("content-type")), (200, "[]", "application/json"));
        assert_eq!(admin.delete("/api/packages/acme/lib/").await.status, 404);
        assert_eq!(app.reader().get("/repo/acme/p2/acme/lib.json").await.status, 404);
    }

    async fn what_requires_a_package_is_told(url: String) {
        let app = TestApp::start(&url).await;
        let admin = Signer::admin(&app);
        let repository = GitRepository::with_releases(&[("1.0.0", LIB)]);
        app.add(&repository).await;
        assert_eq!(admin.get("/api/packages/acme/lib/dependents/").await.text(), "[]");
        let user = GitRepository::with_releases(&[
            ("1.0.0", r#"{"name": "acme/user", "require": {"acme/lib": "^1"}}"#),
            ("2.0.0", r#"{"name": "acme/user", "require-dev": {"acme/lib": "^1"}}"#),
        ]);
        app.add(&user).await;
        let id = app.package("acme/user").await.id;
        let dependents = admin.get("/api/packages/acme/lib/dependents").await;
        assert_eq!(dependents.json(), json!([{ "id": id, "name": "acme/user" }]));
        assert!(dependents.header("link").ends_with("rel=\"last\""));
    }

    async fn what_is_to_be_monitored_is_kept(url: String) {
        let app = TestApp::start(&url).await;
        let admin = Signer::admin(&app);
        app.add(&GitRepository::with_releases(&[("1.0.0", LIB)])).await;
        let path = "/api/packages/acme/lib/security-monitoring/";
        let default = json!({ "monitorAllBranches": false, "monitoredBranches": [] });
        assert_eq!(admin.get(path).await.json(), default);
        let some = json!({ "monitorAllBranches": false, "monitoredBranches": ["dev-main", "1.x-dev"] });
        assert_eq!(admin.put(path, &some).await.json(), some);
        assert_eq!(admin.get(path).await.json(), some);
        let all = json!({ "monitorAllBranches": true, "monitoredBranches": ["dev-main"] });
        assert_eq!(admin.put(path, &all).await.json(), json!({ "monitorAllBranches": true, "monitoredBranches": [] }));
        let wrong = admin.put(path, &json!({ "monitoredBranches": ["a\u{1b}"] })).await;
        assert_eq!(wrong.status, 400);
        assert!(wrong.json()["message"].as_str().unwrap().contains("monitoredBranches"));
        assert_eq!(admin.get(path).await.json()["monitorAllBranches"], json!(true), "nothing was changed");
    }
}
