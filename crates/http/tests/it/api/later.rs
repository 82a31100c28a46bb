//! What needs engines that are not here yet: data is kept, and nothing pretends.

use kapelle_testing::git::GitRepository;
use kapelle_testing::on_both_databases;
use serde_json::{Value, json};

use super::signed::Signer;
use crate::app::TestApp;

const MIRRORS: &str = "/api/mirrored-repositories/";

fn mirror() -> Value {
    json!({ "name": "Packagist.org", "url": "https://packagist.org", "mirroringBehavior": "add_on_use", "credentials": null })
}

on_both_databases! {
    async fn a_mirrored_repository_is_kept_and_mirrors_nothing(url: String) {
        let app = TestApp::start(&url).await;
        let admin = Signer::admin(&app);
        let made = admin.post(MIRRORS, &mirror()).await.json();
        let id = made["id"].as_i64().unwrap();
        assert_eq!(made["url"], "https://packagist.org/");
        let path = format!("{MIRRORS}{id}/");
        assert_eq!(admin.get(MIRRORS).await.json(), json!([made]));
        let edit = json!({ "name": "P", "url": "https://packagist.org", "mirroringBehavior": "disabled" });
        let edited = admin.put(&path, &edit).await.json();
        assert_eq!((&edited["name"], &edited["mirroringBehavior"]), (&json!("P"), &json!("disabled")));
        assert_eq!(admin.get(&path).await.json(), edited);
        assert_eq!(admin.post(MIRRORS, &mirror()).await.status, 400, "twice");

        let jobs = admin.post(&format!("{path}packages/"), &json!(["acme/cool-lib", "acme/other"])).await.json();
        assert_eq!(jobs.as_array().unwrap().len(), 2);
        app.work().await;
        let job = admin.get(jobs[0]["links"]["self"].as_str().unwrap()).await.json();
        assert_eq!(job["status"], "error");
        assert!(job["message"].as_str().unwrap().starts_with("mirroring is not enabled"));
        assert_eq!(admin.post(&format!("{path}packages/"), &json!(["../x"])).await.status, 400);
        assert_eq!(admin.get(&format!("{path}packages/")).await.text(), "[]");
        assert_eq!(admin.delete(&format!("{path}packages/")).await.text(), "[]");
        assert_eq!(admin.delete(&path).await.text(), "[]");
        assert_eq!(admin.get(&path).await.status, 404);

        for (member, value) in [
            ("name", json!("")), ("name", json!("a\u{7}")), ("url", json!("ftp://x.org")), ("url", json!("https://me:s3cret@x.org/")),
            ("mirroringBehavior", json!("add_all")), ("credentials", json!(77)),
        ] {
            let mut body = mirror();
            body[member] = value;
            let answer = admin.post(MIRRORS, &body).await;
            let message = answer.json()["message"].as_str().unwrap().to_owned();
            assert_eq!(answer.status, 400, "{message}");
            assert!(message.starts_with(member) && !message.contains("s3cret"), "{message}");
        }
    }

    async fn there_are_no_synchronizations_and_no_security_issues(url: String) {
        let app = TestApp::start(&url).await;
        let admin = Signer::admin(&app);
        app.add(&GitRepository::with_releases(&[("1.0.0", r#"{"name": "acme/lib"}"#)])).await;
        assert_eq!(admin.post("/api/organization/sync", &json!([])).await.text(), "[]");
        for list in [
            "/api/synchronizations/", "/api/security-issues/", "/api/security-issues/?security-issue-state=open",
            "/api/packages/acme/lib/security-issues/", "/api/packages/acme/lib/customers/",
        ] {
            let answer = admin.get(list).await;
            assert_eq!((answer.status, answer.text().as_str()), (200, "[]"), "{list}");
        }
        assert_eq!(admin.get("/api/packages/acme/none/security-issues/").await.status, 404);
        assert_eq!(admin.get("/api/security-issues/5").await.status, 404);
        assert_eq!(admin.post("/api/security-issues/5/open", &json!([])).await.status, 404);
        assert_eq!(admin.post("/api/security-issues/5/close/resolved", &json!([])).await.status, 404);
        assert_eq!(admin.post("/api/security-issues/5/close/shut", &json!([])).await.status, 400);
        assert_eq!(admin.get("/api/security-issues/?security-issue-state=shut").await.status, 400);
    }
}
