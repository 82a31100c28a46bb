//! Change hooks: signatures first, then the question which package is meant.

use axum::http::Request;
use hmac::{Hmac, KeyInit, Mac};
use kapelle_testing::git::GitRepository;
use kapelle_testing::on_both_databases;
use serde_json::{Value, json};
use sha2::Sha256;

use crate::app::{Answer, TestApp};

/// The hexadecimal HMAC-SHA-256 of a body.
fn sign(secret: &str, body: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(body.as_bytes());
    hex::encode(mac.finalize().into_bytes())
}

/// A service, the header it signs in, and what stands before the signature.
const SIGNING: [(&str, &str, &str); 5] = [
    ("github", "x-hub-signature-256", "sha256="),
    ("gitea", "x-gitea-signature", ""),
    ("forgejo", "x-forgejo-signature", ""),
    ("bitbucket", "x-hub-signature", "sha256="),
    ("gitea", "x-hub-signature-256", "sha256="),
];

/// The payload of each service about one repository.
fn payload(provider: &str, url: &str) -> Value {
    match provider {
        "github" => {
            json!({ "ref": "refs/tags/1.1.0", "repository": { "url": url, "clone_url": url } })
        }
        "gitlab" => {
            json!({ "object_kind": "tag_push", "project": { "git_http_url": url, "web_url": url } })
        }
        "bitbucket" => {
            json!({ "push": {}, "repository": { "links": { "html": { "href": url } } } })
        }
        _ => json!({ "repository": { "clone_url": url, "html_url": url } }),
    }
}

async fn send(app: &TestApp, place: &str, headers: &[(&str, &str)], body: &str) -> Answer {
    let mut request = Request::post(place).header("content-type", "application/json");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    app.anonymous().send(request, body.to_owned()).await
}

async fn app_with_library(url: &str) -> (TestApp, GitRepository) {
    let app = TestApp::start(url).await;
    let repository = GitRepository::with_releases(&[("1.0.0", r#"{"name": "acme/lib"}"#)]);
    app.add(&repository).await;
    (app, repository)
}

on_both_databases! {
    async fn a_signed_push_makes_a_new_tag_installable(url: String) {
        let (app, repository) = app_with_library(&url).await;

        for (number, (provider, header, prefix)) in SIGNING.into_iter().enumerate() {
            repository.release(&format!("1.{}.0", number + 1), r#"{"name": "acme/lib"}"#);
            let body = payload(provider, &repository.url()).to_string();
            let signature = format!("{prefix}{}", sign(&app.hook_secret, &body));
            let answer = send(&app, &format!("/hooks/{provider}/acme"), &[(header, &signature)], &body).await;
            assert_eq!(answer.status, 202, "{provider}: {}", answer.text());
            app.work().await;
            let metadata = app.reader().get("/repo/acme/p2/acme/lib.json").await.json();
            assert_eq!(metadata["packages"]["acme/lib"][0]["version"], format!("1.{}.0", number + 1), "{provider}");
        }
    }

    async fn an_answer_names_the_jobs(url: String) {
        let (app, repository) = app_with_library(&url).await;

        let body = payload("gitlab", &repository.url()).to_string();
        let answer = send(&app, "/hooks/gitlab/acme", &[("x-gitlab-token", &app.hook_secret)], &body).await;
        insta::assert_snapshot!(answer.shown(), @r#"
        202 application/json
        {
          "status": "success",
          "jobs": [
            "3"
          ],
          "type": "gitlab"
        }
        "#);
        let again = send(&app, "/hooks/gitlab/acme", &[("x-gitlab-token", &app.hook_secret)], &body).await;
        assert_eq!(again.json()["jobs"], answer.json()["jobs"], "one synchronization waits, not two");
        app.work().await;
    }

    async fn wrong_and_missing_signatures_change_nothing(url: String) {
        let (app, repository) = app_with_library(&url).await;

        for provider in ["github", "gitea", "bitbucket"] {
            let body = payload(provider, &repository.url()).to_string();
            let place = format!("/hooks/{provider}/acme");
            let (_, header, prefix) = SIGNING.into_iter().find(|(name, ..)| *name == provider).unwrap();
            let other_body = format!("{prefix}{}", sign(&app.hook_secret, "{}"));
            let other_key = format!("{prefix}{}", sign("guess", &body));
            let empty_key = format!("{prefix}{}", sign("", &body));
            for wrong in [&*other_body, &*other_key, &*empty_key, "sha256=", "", "sha1=00"] {
                assert_eq!(send(&app, &place, &[(header, wrong)], &body).await.status, 403, "{provider} {wrong}");
            }
            assert_eq!(send(&app, &place, &[], &body).await.status, 401, "{provider}");
        }
        assert_eq!(send(&app, "/hooks/gitlab/acme", &[("x-gitlab-token", "guess")], "{}").await.status, 403);
        assert_eq!(send(&app, "/hooks/gitlab/acme", &[], "{}").await.status, 401);
        let missing = send(&app, "/hooks/github/acme", &[], "{}").await;
        insta::assert_snapshot!(missing.shown(), @r#"
        401 application/json
        {
          "status": "error",
          "code": "signature_missing",
          "message": "the hook carries no signature or token: set the organization's hook secret as its secret, and send again"
        }
        "#);
        let wrong = send(&app, "/hooks/github/acme", &[("x-hub-signature-256", "sha256=00")], "{}").await;
        insta::assert_snapshot!(wrong.shown(), @r#"
        403 application/json
        {
          "status": "error",
          "code": "signature_wrong",
          "message": "the hook's signature or token is wrong, or there is no such organization"
        }
        "#);
        assert!(app.work().await.is_empty());
    }

    async fn an_organization_that_does_not_exist_is_answered_like_a_wrong_signature(url: String) {
        let app = TestApp::start(&url).await;

        for slug in ["no-such", "%00", "other"] {
            let signature = format!("sha256={}", sign(&app.hook_secret, "{}"));
            let place = format!("/hooks/github/{slug}");
            let answer = send(&app, &place, &[("x-hub-signature-256", &signature)], "{}").await;
            let empty = format!("sha256={}", sign("", "{}"));
            let guessed = send(&app, &place, &[("x-hub-signature-256", &empty)], "{}").await;
            assert_eq!((answer.status, guessed.status), (403, 403), "{slug}");
            assert_eq!(answer.body, guessed.body);
        }
        assert_eq!(send(&app, "/hooks/gitlab/no-such", &[("x-gitlab-token", "")], "{}").await.status, 403);
        assert_eq!(send(&app, "/hooks/sourcehut/acme", &[], "{}").await.status, 404);
    }

    async fn the_signature_is_checked_before_the_body_is_looked_at(url: String) {
        let app = TestApp::start(&url).await;

        let deep = "[".repeat(100_000);
        assert_eq!(send(&app, "/hooks/github/acme", &[], &deep).await.status, 401);
        let signature = format!("sha256={}", sign(&app.hook_secret, &deep));
        let signed = send(&app, "/hooks/github/acme", &[("x-hub-signature-256", &signature)], &deep).await;
        assert_eq!(signed.status, 406);
        let large = "x".repeat(2 * 1024 * 1024 + 1);
        assert_eq!(send(&app, "/hooks/github/acme", &[], &large).await.status, 413);
    }

    async fn pings_are_answered_without_a_job(url: String) {
        let app = TestApp::start(&url).await;

        for (provider, header, event) in
            [("github", "x-github-event", "ping"), ("bitbucket", "x-event-key", "diagnostics:ping")]
        {
            let signature = format!("sha256={}", sign(&app.hook_secret, "{}"));
            let headers =
                [("x-hub-signature", &*signature), ("x-hub-signature-256", &*signature), (header, event)];
            let answer = send(&app, &format!("/hooks/{provider}/acme"), &headers, "{}").await;
            assert_eq!(answer.status, 200, "{provider}");
            assert_eq!(send(&app, &format!("/hooks/{provider}/acme"), &[(header, event)], "{}").await.status, 401);
        }
    }

    async fn a_repository_that_nobody_added_is_named_in_the_answer(url: String) {
        let app = TestApp::start(&url).await;

        let body = payload("gitlab", "https://me:secret@git.example.org/acme/nope.git?x=1").to_string();
        let answer = send(&app, "/hooks/gitlab/acme", &[("x-gitlab-token", &app.hook_secret)], &body).await;
        insta::assert_snapshot!(answer.shown(), @r#"
        404 application/json
        {
          "status": "error",
          "code": "not_found",
          "message": "no package of this organization has the repository https://git.example.org/acme/nope.git: add it with `kapelle package add https://git.example.org/acme/nope.git`",
          "warning": "no package of this organization has the repository https://git.example.org/acme/nope.git: add it with `kapelle package add https://git.example.org/acme/nope.git`"
        }
        "#);
        let answer = send(&app, "/hooks/gitlab/acme", &[("x-gitlab-token", &app.hook_secret)], "{}").await;
        insta::assert_snapshot!(answer.shown(), @r#"
        406 application/json
        {
          "status": "error",
          "code": "payload_unknown",
          "message": "the payload names no repository URL"
        }
        "#);
    }

    async fn the_generic_hook_takes_the_secret_or_an_update_token(url: String) {
        let (app, repository) = app_with_library(&url).await;
        let body = payload("generic", &repository.url()).to_string();
        let place = "/hooks/generic/acme";

        for credential in [&app.hook_secret, &app.tokens.update] {
            let bearer = format!("Bearer {credential}");
            assert_eq!(send(&app, place, &[("authorization", &bearer)], &body).await.status, 202);
            assert_eq!(send(&app, &format!("{place}?token={credential}"), &[], &body).await.status, 202);
        }
        app.work().await;
        for wrong in ["guess", &app.tokens.stranger, &app.tokens.revoked] {
            let bearer = format!("Bearer {wrong}");
            assert_eq!(send(&app, place, &[("authorization", &bearer)], &body).await.status, 403);
            assert_eq!(send(&app, &format!("{place}?token={wrong}"), &[], &body).await.status, 403);
        }
        let reader = send(&app, &format!("{place}?token={}", app.tokens.read), &[], &body).await;
        assert_eq!((reader.status, reader.json()["code"].as_str()), (403, Some("read_only")));
        assert_eq!(send(&app, place, &[], &body).await.status, 401);
    }

    async fn update_package_takes_packagists_forms(url: String) {
        let (app, repository) = app_with_library(&url).await;
        let (token, address) = (app.tokens.update.clone(), repository.url());
        let body = json!({ "repository": { "url": address } }).to_string();
        let encoded: String = url::form_urlencoded::byte_serialize(body.as_bytes()).collect();
        let place = "/api/update-package";
        let query = format!("?username=acme&apiToken={token}");

        let bearer = format!("Bearer acme:{token}");
        let in_header = send(&app, place, &[("authorization", &bearer)], &body).await;
        insta::assert_snapshot!(in_header.shown(), @r#"
        202 application/json
        {
          "status": "success",
          "jobs": [
            "3"
          ],
          "type": "github"
        }
        "#);
        let in_body = json!({ "username": "acme", "apiToken": token, "repository": address }).to_string();
        let form = format!("username=acme&apiToken={token}&payload={encoded}");
        for answer in [
            app.anonymous().post(&format!("{place}{query}"), &body).await,
            app.anonymous().post(&format!("/api/github{query}"), &body).await,
            app.anonymous().post(&format!("/api/bitbucket{query}"), &body).await,
            app.anonymous().post(place, &in_body).await,
            app.anonymous().post_form(place, &form).await,
            app.anonymous().post_form(&format!("{place}{query}"), &format!("payload={encoded}")).await,
            app.updater().post(place, &body).await,
        ] {
            assert_eq!((answer.status, &answer.json()["jobs"]), (202, &in_header.json()["jobs"]), "{}", answer.text());
        }
        let signature = format!("sha256={}", sign(&app.hook_secret, &body));
        let signed = send(&app, "/api/github?username=acme", &[("x-hub-signature-256", &signature)], &body).await;
        assert_eq!(signed.status, 202);
        assert_eq!(app.work().await.len(), 1);
    }

    async fn update_package_refuses_with_packagists_statuses(url: String) {
        let (app, repository) = app_with_library(&url).await;
        let body = json!({ "repository": { "url": repository.url() } }).to_string();
        let place = "/api/update-package";

        assert_eq!(app.anonymous().post(place, &body).await.status, 403);
        assert_eq!(app.anonymous().post(place, "").await.status, 403);
        for wrong in ["guess", &app.tokens.read, &app.tokens.revoked] {
            let answer = app.anonymous().post(&format!("{place}?username=acme&apiToken={wrong}"), &body).await;
            assert_eq!(answer.status, 403, "{wrong}");
        }
        let forged = send(&app, &format!("{place}?username=acme"), &[("x-hub-signature-256", "sha256=00")], &body).await;
        assert_eq!(forged.status, 403);
        assert_eq!(app.stranger().post(place, &body).await.status, 404);
        let unknown = json!({ "repository": "https://git.example.org/nobody/nothing" }).to_string();
        assert_eq!(app.updater().post(place, &unknown).await.status, 404);
        for payload in ["", "{}", "nope", "{\"repository\":7}"] {
            assert_eq!(app.updater().post(place, payload).await.status, 406, "{payload}");
        }
        let unreadable = app.updater().post(place, "{").await;
        insta::assert_snapshot!(unreadable.shown(), @r#"
        406 application/json
        {
          "status": "error",
          "code": "payload_unknown",
          "message": "the body is not valid JSON at line 1, column 1"
        }
        "#);
        assert!(app.work().await.is_empty());
    }
}
