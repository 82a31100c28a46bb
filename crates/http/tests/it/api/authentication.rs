//! Nothing is answered to whoever did not sign it, in time, and once.

use axum::http::{Method, Request};
use kapelle_http::ApiSettings;
use kapelle_registry::actor::KeyAccess;
use kapelle_registry::api_key::{self, NewApiKey};
use kapelle_registry::{Actor, organization};
use kapelle_testing::git::GitRepository;
use kapelle_testing::on_both_databases;
use packagist_api::SignatureVersion;
use secrecy::ExposeSecret;

use super::signed::Signer;
use crate::app::{Answer, Options, TestApp};

const PACKAGES: &str = "/api/packages/";
const LATE: &str = "Timestamp is beyond the +-15 second difference allowed.";

fn told(answer: &Answer) -> (u16, String) {
    let message = answer.json()["message"].as_str().unwrap().to_owned();
    assert_eq!(answer.json()["status"], "error");
    assert_eq!(answer.header("content-type"), "application/json");
    (answer.status, message)
}

fn refused(status: u16, message: &str) -> (u16, String) {
    (status, message.to_owned())
}

on_both_databases! {
    async fn a_signed_request_is_answered_and_any_other_is_not(url: String) {
        let app = TestApp::start(&url).await;
        let admin = Signer::admin(&app);
        let answer = admin.get(PACKAGES).await;
        assert_eq!((answer.status, answer.text().as_str()), (200, "[]"));
        assert_eq!(admin.get("/api/packages").await.status, 200);

        let unauthenticated = refused(401, "An authentication exception occurred.");
        let wrong = refused(400, "Invalid signature.");
        for header in ["", "Basic dG9rZW46eA==", &format!("PACKAGIST-TOKEN {}", app.api_key.0)] {
            assert_eq!(told(&admin.send(Method::GET, PACKAGES, "", header).await), unauthenticated, "{header}");
        }
        assert_eq!(told(&app.anonymous().get(PACKAGES).await), unauthenticated);
        assert_eq!(told(&app.anonymous().get("/api/nowhere").await), unauthenticated);
        assert_eq!(told(&app.reader().get(PACKAGES).await), unauthenticated);
        let stranger = Signer::with(&app, "packagist_ack_x".to_owned(), "s".to_owned());
        assert_eq!(told(&stranger.get(PACKAGES).await), unauthenticated);
        let liar = Signer::with(&app, app.api_key.0.clone(), "another".to_owned());
        assert_eq!(told(&liar.get(PACKAGES).await), wrong);
        let header = admin.sign(&Method::GET, PACKAGES, "");
        for (method, target, body) in [
            (Method::POST, PACKAGES, ""),
            (Method::GET, "/api/packages", ""),
            (Method::GET, "/api/packages/?limit=1", ""),
            (Method::GET, PACKAGES, "{}"),
        ] {
            assert_eq!(told(&admin.send(method, target, body, &header).await), wrong, "{target} {body}");
        }
        assert_eq!(admin.send(Method::GET, PACKAGES, "", &header).await.status, 200, "it was not used up by what was wrong");
        let incomplete = header.replace("Signature=", "Other=");
        let answer = admin.send(Method::GET, PACKAGES, "", &incomplete).await;
        assert_eq!(told(&answer), refused(400, "Request must contain a signature."));
    }

    async fn the_host_that_is_signed_is_that_of_the_public_url(url: String) {
        let app = TestApp::start(&url).await;
        for (host, status) in [("packages.example.org", 200), ("registry.internal", 400), ("evil.example.org", 400)] {
            let signer = Signer { host: host.to_owned(), ..Signer::admin(&app) };
            assert_eq!(signer.get(PACKAGES).await.status, status, "{host}");
            app.clock.advance(120_000);
        }
    }

    async fn without_a_public_url_the_host_is_the_one_that_was_asked(url: String) {
        let api = ApiSettings { accept_any_host: true, ..ApiSettings::default() };
        let app = TestApp::with(&url, Options { api, ..Options::default() }).await;
        for (host, status) in [("packages.example.org", 200), ("registry.internal", 200), ("registry.internal:8443", 400), ("evil.example.org", 400)] {
            let signer = Signer { host: host.to_owned(), ..Signer::admin(&app) };
            assert_eq!(signer.get(PACKAGES).await.status, status, "{host}");
            app.clock.advance(120_000);
        }
        // As it comes by HTTP/2, and by a proxy.
        let signer = Signer { host: "other.internal".to_owned(), ..Signer::admin(&app) };
        let header = signer.sign(&Method::GET, PACKAGES, "");
        let request = Request::get(format!("https://Other.internal:8443{PACKAGES}")).header("authorization", header);
        assert_eq!(app.anonymous().send(request, "").await.status, 200);
    }

    async fn a_key_that_reads_is_told_so_before_anything_is_done(url: String) {
        let app = TestApp::start(&url).await;
        let new = NewApiKey { organization_id: app.organization_id, description: "", access: KeyAccess::Read };
        let created = api_key::create(&app.registry, &Actor::Operator, new).await.unwrap();
        let reader = Signer::with(&app, created.key, created.secret.expose_secret().to_owned());
        let answer = reader.get(PACKAGES).await;
        assert_eq!((answer.status, answer.header("cache-control")), (200, "private, no-store"));
        let header = reader.sign(&Method::POST, PACKAGES, "{}");
        let answer = reader.send(Method::POST, PACKAGES, "{}", &header).await;
        assert_eq!(told(&answer), refused(403, "this API key may only read: use one with admin access"));
    }

    async fn a_key_alone_reads_where_that_is_wished_and_changes_nothing(url: String) {
        let api = ApiSettings { accept_packagist_token: true, ..ApiSettings::default() };
        let app = TestApp::with(&url, Options { api, ..Options::default() }).await;
        let admin = Signer::admin(&app);
        let header = format!("PACKAGIST-TOKEN {}", app.api_key.0);
        let answer = admin.send(Method::GET, "/api/packages/?limit=1", "", &header).await;
        assert_eq!((answer.status, answer.text().as_str()), (200, "[]"));
        assert!(answer.header("link").contains("limit=1"));
        let unauthenticated = refused(401, "An authentication exception occurred.");
        for (method, header) in [
            (Method::POST, header.as_str()), (Method::PUT, &header), (Method::DELETE, &header), (Method::HEAD, &header),
            (Method::GET, "PACKAGIST-TOKEN packagist_ack_x"), (Method::GET, "PACKAGIST-TOKEN "),
        ] {
            let answer = admin.send(method.clone(), "/api/packages/", "{}", header).await;
            if method == Method::HEAD {
                assert_eq!(answer.status, 401);
            } else {
                assert_eq!(told(&answer), unauthenticated, "{method} {header}");
            }
        }
        assert_eq!(admin.get("/api/packages/").await.status, 200, "signatures are taken as well");
    }

    async fn a_request_is_answered_only_in_time_and_once(url: String) {
        let app = TestApp::start(&url).await;
        for (ahead, status) in [(15, 200), (-15, 200), (16, 400), (-16, 400)] {
            let signer = Signer { ahead, ..Signer::admin(&app) };
            let answer = signer.get(&format!("/api/packages/?ahead={ahead}")).await;
            assert_eq!(answer.status, status, "{ahead}");
            if status == 400 {
                assert_eq!(told(&answer), refused(400, LATE));
            }
            app.clock.advance(120_000);
        }
        let admin = Signer::admin(&app);
        let again = "This request was sent before: every request needs a cnonce of its own.";
        let header = admin.sign(&Method::GET, PACKAGES, "");
        assert_eq!(admin.send(Method::GET, PACKAGES, "", &header).await.status, 200);
        assert_eq!(told(&admin.send(Method::GET, PACKAGES, "", &header).await), refused(400, again));
        let header = admin.sign(&Method::POST, "/api/nowhere/", "{}");
        let first = admin.send(Method::POST, "/api/nowhere/", "{}", &header).await;
        assert_eq!(told(&first), refused(404, "No endpoint found"));
        let second = admin.send(Method::POST, "/api/nowhere/", "{}", &header).await;
        assert_eq!(told(&second), refused(400, again));
    }

    async fn signatures_that_leave_out_the_query_are_refused(url: String) {
        let app = TestApp::start(&url).await;
        let old = Signer { version: SignatureVersion::V1, ..Signer::admin(&app) };
        assert_eq!(told(&old.get(PACKAGES).await), refused(400, "Unsupported signature version."));
    }

    async fn signatures_that_leave_out_the_query_are_accepted_where_that_is_wished(url: String) {
        let api = ApiSettings { accept_signature_v1: true, ..ApiSettings::default() };
        let app = TestApp::with(&url, Options { api, ..Options::default() }).await;
        let old = Signer { version: SignatureVersion::V1, ..Signer::admin(&app) };
        assert_eq!(old.get(PACKAGES).await.status, 200);
        let header = Signer::admin(&app).sign(&Method::GET, PACKAGES, "").replace("nonce-0", "nonce-9").replace("Version=2, ", "");
        assert_eq!(told(&old.send(Method::GET, PACKAGES, "", &header).await), refused(400, "Invalid signature."));
    }

    async fn a_key_opens_its_own_organization_and_a_removed_one_nothing(url: String) {
        let app = TestApp::start(&url).await;
        let other = organization::named(&app.registry, &Actor::Operator, "other").await.unwrap();
        let new = NewApiKey { organization_id: other.id, description: "", access: KeyAccess::Read };
        let created = api_key::create(&app.registry, &Actor::Operator, new).await.unwrap();
        let repository = GitRepository::with_releases(&[("1.0.0", r#"{"name": "acme/lib"}"#)]);
        app.add(&repository).await;
        let stranger = Signer::with(&app, created.key, created.secret.expose_secret().to_owned());
        assert_eq!(stranger.get(PACKAGES).await.text(), "[]");
        assert_eq!(told(&stranger.get("/api/packages/acme/lib/").await), refused(404, "there is no package \"acme/lib\""));
        assert_eq!(Signer::admin(&app).get("/api/packages/acme/lib/").await.status, 200);
        api_key::remove(&app.registry, &Actor::Operator, other.id, created.id).await.unwrap();
        assert_eq!(stranger.get(PACKAGES).await.status, 401);
    }
}
