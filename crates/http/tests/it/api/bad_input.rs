//! Bodies that nobody should send: 400 with a sentence, and nothing changed.

use axum::http::Method;
use kapelle_registry::Actor;
use kapelle_registry::actor::KeyAccess;
use kapelle_registry::api_key::{self, NewApiKey};
use kapelle_testing::on_both_databases;
use secrecy::ExposeSecret;
use serde_json::json;

use super::signed::Signer;
use crate::app::TestApp;

/// Every address that takes a body.
const WRITABLE: [(Method, &str); 6] = [
    (Method::POST, "/api/credentials/"),
    (Method::PUT, "/api/credentials/1/"),
    (Method::POST, "/api/mirrored-repositories/"),
    (Method::POST, "/api/packages/"),
    (Method::PUT, "/api/mirrored-repositories/1/"),
    (Method::POST, "/api/mirrored-repositories/1/packages/"),
];

on_both_databases! {
    async fn no_body_of_the_wrong_form_is_taken(url: String) {
        let app = TestApp::start(&url).await;
        let admin = Signer::admin(&app);
        let mirror = json!({ "name": "P", "url": "https://packagist.org", "mirroringBehavior": "disabled" });
        assert_eq!(admin.post("/api/mirrored-repositories/", &mirror).await.status, 200);
        let deep = "[".repeat(100) + &"]".repeat(100);
        for (method, path) in WRITABLE {
            for body in ["{", "5", "null", "\"x\"", "\u{0}", "{\"unknown\": 1}", "[[1]]", "[{}]", &deep] {
                let answer = admin.json(method.clone(), path, body).await;
                let message = answer.json()["message"].as_str().unwrap().to_owned();
                assert_eq!(answer.status, 400, "{method} {path} {body}: {message}");
            }
            let large = format!("{{\"name\": \"{}\"}}", "x".repeat(10 << 20));
            assert_eq!(admin.json(method.clone(), path, &large).await.status, 413, "{method} {path}");
        }
        assert_eq!(admin.get("/api/credentials/").await.text(), "[]");
        assert_eq!(admin.get("/api/packages/").await.text(), "[]");
    }

    async fn a_package_is_refused_with_the_name_of_what_is_wrong(url: String) {
        let app = TestApp::start(&url).await;
        let admin = Signer::admin(&app);
        for (body, expected) in [
            (json!({}), "repoUrl"),
            (json!({ "repoType": "git" }), "repoUrl"),
            (json!({ "repoType": 5 }), "repoType"),
            (json!({ "repoUrl": ["x"] }), "repoUrl"),
            (json!({ "repoUrl": "--upload-pack=x" }), "taken for an option"),
            (json!({ "repoUrl": "ext::sh -c x" }), "a space"),
            (json!({ "repoUrl": "https://git.example.org/a\u{1b}b" }), ""),
            (json!({ "repoUrl": format!("https://git.example.org/{}", "x".repeat(5000)) }), ""),
            (json!({ "repoType": "perforce", "repoUrl": "https://git.example.org/x" }), "no type of repository"),
            (json!({ "repoUrl": "https://git.example.org/x", "credentials": "1" }), "credentials"),
            (json!({ "repoUrl": "https://git.example.org/x", "credentials": 1 }), "no credential 1"),
            (json!({ "repoUrl": "https://git.example.org/x", "defaultSuborganizationAccess": "owner" }), "suborganizations"),
            (json!({ "repoType": "artifact" }), "artifactIds"),
            (json!({ "repoType": "artifact", "artifactIds": [1] }), "no artifact 1"),
            (json!({ "repoType": "artifact", "artifactIds": ["a"] }), "artifactIds[0]"),
        ] {
            let answer = admin.post("/api/packages/", &body).await;
            let message = answer.json()["message"].as_str().unwrap().to_owned();
            assert_eq!(answer.status, 400, "{body}: {message}");
            assert!(message.contains(expected), "{body}: {message}");
            assert!(!message.chars().any(char::is_control), "{message:?}");
        }
        assert_eq!(admin.get("/api/packages/").await.text(), "[]");
    }

    async fn a_key_that_may_read_changes_nothing(url: String) {
        let app = TestApp::start(&url).await;
        let new = NewApiKey { organization_id: app.organization_id, description: "", access: KeyAccess::Read };
        let made = api_key::create(&app.registry, &Actor::Operator, new).await.unwrap();
        let reader = Signer::with(&app, made.key, made.secret.expose_secret().to_owned());
        for (method, path) in WRITABLE {
            assert_eq!(reader.json(method, path, "{}").await.status, 403, "{path}");
        }
        for path in ["/api/packages/acme/lib/", "/api/credentials/1/", "/api/mirrored-repositories/1/"] {
            assert_eq!(reader.delete(path).await.status, 403, "{path}");
        }
        assert_eq!(reader.upload("/api/packages/artifacts/", "x.zip", b"x").await.status, 403);
        for path in ["/api/packages/", "/api/credentials/", "/api/mirrored-repositories/", "/api/security-issues/"] {
            assert_eq!(reader.get(path).await.status, 200, "{path}");
        }
    }
}
