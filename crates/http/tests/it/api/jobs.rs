//! Jobs as clients wait for them.

use kapelle_testing::git::GitRepository;
use kapelle_testing::on_both_databases;
use serde_json::json;

use super::signed::Signer;
use crate::app::TestApp;

on_both_databases! {
    async fn a_job_is_followed_to_its_end(url: String) {
        let app = TestApp::start(&url).await;
        let admin = Signer::admin(&app);
        let repository = GitRepository::with_releases(&[("1.0.0", r#"{"name": "acme/lib"}"#)]);
        let job = app.queue(&repository).await;
        let path = format!("/api/jobs/{job}");
        let answer = admin.get(&path).await;
        let queued = answer.json();
        assert_eq!(
            (&queued["id"], &queued["status"], &queued["message"], &queued["links"]["self"]),
            (&json!(job.to_string()), &json!("queued"), &json!(""), &json!(path))
        );
        assert_eq!(queued["package"]["name"], json!(repository.url()));
        app.work().await;
        let answer = admin.get(&format!("{path}/")).await.json();
        assert_eq!((&answer["status"], &answer["id"]), (&json!("success"), &json!(job.to_string())));
        assert_eq!(answer["package"]["name"], "acme/lib");
        for unknown in ["0", "999999", "x", "%00", "99999999999999999999"] {
            let answer = admin.get(&format!("/api/jobs/{unknown}")).await;
            assert_eq!(answer.status, 404, "{unknown}");
            assert!(answer.json()["message"].as_str().unwrap().starts_with("there is no job"));
        }
    }
}
