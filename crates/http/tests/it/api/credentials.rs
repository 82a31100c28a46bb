//! Credentials in the management API: kept, changed, used where they are chosen, and never shown.

use kapelle_testing::on_both_databases;
use serde_json::{Value, json};

use super::signed::Signer;
use crate::app::TestApp;

const PATH: &str = "/api/credentials/";

fn new(kind: &str, username: &str) -> Value {
    json!({
        "description": "for tests", "type": kind, "domain": "git.example.org", "username": username, "credential": "s3cret",
    })
}

on_both_databases! {
    async fn a_credential_lives_without_its_secret_being_seen(url: String) {
        let app = TestApp::start(&url).await;
        let admin = Signer::admin(&app);
        let made = admin.post(PATH, &new("http-basic", "me")).await;
        let credential = made.json();
        let id = credential["id"].as_i64().unwrap();
        assert_eq!(
            credential,
            json!({
                "id": id, "description": "for tests", "domain": "git.example.org", "username": "me", "credential": "",
                "type": "http-basic",
            })
        );
        let path = format!("{PATH}{id}/");
        assert_eq!(admin.get(&path).await.json(), credential);
        assert_eq!(admin.get(PATH).await.json(), json!([credential]));
        let changed = admin.put(&path, &json!({ "username": "you", "type": "bitbucket-app-pw" })).await.json();
        assert_eq!((&changed["username"], &changed["type"]), (&json!("you"), &json!("bitbucket-app-pw")));
        assert_eq!(admin.put(&path, &json!({ "credential": "an0ther" })).await.status, 200);

        let package = json!({ "repoUrl": "https://git.example.org/acme/lib.git", "credentials": id });
        assert_eq!(admin.post("/api/packages/", &package).await.status, 200);
        let used = admin.delete(&path).await;
        assert_eq!(used.status, 400);
        assert!(used.json()["message"].as_str().unwrap().contains("still used by the package https://git.example.org"));
        let listed = admin.get("/api/packages/").await.json();
        assert_eq!((&listed[0]["credentials"], &listed[0]["config"]["credentialsId"]), (&json!(id), &json!(id)));
        let other = json!({ "repoUrl": "https://elsewhere.example.org/acme/x.git", "credentials": id });
        assert!(admin.post("/api/packages/", &other).await.json()["message"].as_str().unwrap().contains("another host"));
        let package = listed[0]["id"].as_i64().unwrap();
        assert_eq!(admin.delete(&format!("/api/packages/{package}/")).await.status, 200);
        let removed = admin.delete(&path).await;
        assert_eq!((removed.status, removed.text().as_str()), (200, "[]"));
        assert_eq!(admin.get(&path).await.status, 404);
        app.let_jobs_wait();
    }

    async fn every_type_is_kept_and_what_cannot_work_is_refused(url: String) {
        let app = TestApp::start(&url).await;
        let admin = Signer::admin(&app);
        for (kind, username) in [
            ("http-basic", "me"), ("github-oauth", ""), ("gitlab-token", ""), ("bitbucket-app-pw", "me"), ("magento", "public"),
            ("http-header", "X-Token"), ("token", ""),
        ] {
            let made = admin.post(PATH, &new(kind, username)).await;
            assert_eq!((made.status, &made.json()["type"]), (200, &json!(kind)), "{}", made.text());
        }
        let with = |member: &str, value: Value| {
            let mut body = new("http-basic", "me");
            body[member] = value;
            body
        };
        for (body, expected) in [
            (with("type", json!("password")), "no type of credential"),
            (with("domain", json!("https://git.example.org/")), "not a host"),
            (with("domain", json!("-x")), "not a host"),
            (with("username", json!("")), "needs a user name"),
            (with("username", json!("a\u{0}")), "control characters"),
            (with("username", json!("x".repeat(300))), "255 characters"),
            (with("description", json!("\u{1b}[2J")), "control characters"),
            (with("credential", json!("")), "empty"),
            (with("credential", json!("a\nb")), "control characters"),
            (with("credential", json!(5)), "credential: it has to be a text"),
            (with("domain", json!(5)), "domain: invalid type"),
            (with("extra", json!(5)), "unknown field `extra`"),
            (new("ssh-key", ""), "not a private key"),
            (new("http-header", "Content-Length"), "header's name"),
            (new("http-header", "X\r\nY"), "control characters"),
            (json!({ "type": "http-basic" }), "missing field `domain`"),
        ] {
            let answer = admin.post(PATH, &body).await;
            let message = answer.json()["message"].as_str().unwrap().to_owned();
            assert_eq!(answer.status, 400, "{message}");
            assert!(message.contains(expected), "{message}");
        }
        assert_eq!(admin.get(PATH).await.json().as_array().unwrap().len(), 7);
        for unknown in ["0", "x", "999"] {
            let path = format!("{PATH}{unknown}/");
            for answer in [admin.get(&path).await, admin.put(&path, &json!({})).await, admin.delete(&path).await] {
                assert_eq!(answer.status, 404, "{}", answer.text());
            }
        }
    }

    async fn another_organizations_things_are_not_there(url: String) {
        let app = TestApp::start(&url).await;
        let admin = Signer::admin(&app);
        let id = admin.post(PATH, &new("http-basic", "me")).await.json()["id"].as_i64().unwrap();
        let (key, secret) = app.strangers_key.clone();
        let stranger = Signer::with(&app, key, secret);
        assert_eq!(stranger.get(PATH).await.text(), "[]");
        let path = format!("{PATH}{id}/");
        for answer in [stranger.get(&path).await, stranger.put(&path, &json!({ "username": "x" })).await, stranger.delete(&path).await] {
            assert_eq!(answer.status, 404, "{}", answer.text());
        }
        let package = json!({ "repoUrl": "https://git.example.org/acme/lib.git", "credentials": id });
        let answer = stranger.post("/api/packages/", &package).await;
        assert_eq!(answer.status, 400);
        assert!(answer.json()["message"].as_str().unwrap().contains("there is no credential"));
    }
}
