//! The hot path answers exactly what the router answers.

use axum::http::{HeaderMap, Request};
use kapelle_registry::Actor;
use kapelle_registry::actor::TokenAccess;
use kapelle_registry::token::{self, NewToken};
use kapelle_testing::git::GitRepository;
use kapelle_testing::on_both_databases;

use crate::app::{Answer, Client, TestApp, basic};

const LIB: &str = "/repo/acme/p2/acme/lib.json";
const NOBODY: &str = "/repo/acme/p2/acme/nobody.json";
const ROOT: &str = "/repo/acme/packages.json";

async fn get(client: &Client<'_>, path: &str, headers: &[(&str, &str)]) -> Answer {
    let request = headers
        .iter()
        .fold(Request::get(path), |request, (name, value)| {
            request.header(*name, *value)
        });
    client.send(request, "").await
}

/// The router states the length itself, on the hot path the server does when it writes.
fn came_from_memory(answer: &Answer) -> bool {
    !answer.headers.contains_key("content-length")
}

/// What a client sees of the headers, but for what differs from request to request.
fn headers(answer: &Answer) -> HeaderMap {
    let mut headers = answer.headers.clone();
    headers.remove("content-length");
    headers.remove("x-request-id");
    headers
}

on_both_databases! {
    async fn an_answer_from_memory_is_the_routers(url: String) {
        let app = TestApp::start(&url).await;
        app.add(&GitRepository::with_releases(&[("1.0.0", r#"{"name": "acme/lib"}"#)])).await;
        let reader = app.reader();
        for path in [LIB, ROOT, NOBODY] {
            for encoding in ["gzip", "zstd", "gzip;q=0.5, zstd;q=0.1"] {
                let wish = [("accept-encoding", encoding)];
                // Written so, the address is the same and leads to the same handler, but not to memory.
                let router = get(&reader, &path.replace("acme", "%61cme"), &wish).await;
                let memory = get(&reader, path, &wish).await;
                assert!(came_from_memory(&memory) && !came_from_memory(&router), "{path} {encoding}");
                assert_eq!(memory.status, router.status, "{path} {encoding}");
                assert_eq!(headers(&memory), headers(&router), "{path} {encoding}");
                assert_eq!(memory.body, router.body, "{path} {encoding}");
                assert_ne!(memory.header("x-request-id"), "");
            }
        }
    }

    async fn memory_knows_what_the_client_has(url: String) {
        let app = TestApp::start(&url).await;
        app.add(&GitRepository::with_releases(&[("1.0.0", r#"{"name": "acme/lib"}"#)])).await;
        let date = app.reader().get(LIB).await.header("last-modified").to_owned();
        let same = get(&app.reader(), LIB, &[("if-modified-since", &date), ("x-request-id", "id-1")]).await;
        assert_eq!((same.status, same.body.len()), (304, 0));
        assert_eq!(same.header("x-request-id"), "id-1");
        assert_eq!(same.header("last-modified"), date);
        let other = [("if-modified-since", "Sat, 01 Jan 2050 00:00:00 GMT"), ("accept-encoding", "gzip")];
        assert_eq!(get(&app.reader(), LIB, &other).await.status, 200);
    }

    async fn memory_opens_for_nobody_else(url: String) {
        let app = TestApp::start(&url).await;
        app.add(&GitRepository::with_releases(&[("1.0.0", r#"{"name": "acme/lib"}"#)])).await;
        let gzip = [("accept-encoding", "gzip")];
        for path in [LIB, ROOT] {
            for _ in 0..2 {
                assert_eq!(get(&app.reader(), path, &gzip).await.status, 200);
                assert_eq!(get(&app.stranger(), path, &gzip).await.status, 404);
                assert_eq!(get(&app.anonymous(), path, &gzip).await.status, 401);
                assert_eq!(get(&app.holding(&app.tokens.revoked), path, &gzip).await.status, 401);
                assert_eq!(get(&app.holding(&app.tokens.expiring), path, &gzip).await.status, 200);
            }
        }
        app.advance(kapelle_registry::clock::DAY).await;
        assert_eq!(get(&app.holding(&app.tokens.expiring), LIB, &gzip).await.status, 401);
        app.clock.advance(61_000);
        assert_eq!(get(&app.reader(), LIB, &gzip).await.status, 503, "nobody confirmed who may read");
    }

    async fn a_connection_loses_what_its_token_loses(url: String) {
        let app = TestApp::start(&url).await;
        app.add(&GitRepository::with_releases(&[("1.0.0", r#"{"name": "acme/lib"}"#)])).await;
        let new = NewToken {
            organization_id: app.organization_id,
            description: "test".to_owned(),
            access: TokenAccess::Read,
            expires_at: None,
        };
        let created = token::create(&app.registry, &Actor::Operator, &new).await.unwrap();
        let caller = app.service.caller();
        let at_once = |secret: &str| {
            let request = Request::get(LIB).header("authorization", basic("token", secret)).header("accept-encoding", "gzip");
            caller.at_once(&mut request.body(()).unwrap()).map(|response| response.status().as_u16())
        };
        // Once through the router, so that memory knows document and tokens.
        for secret in [created.reveal(), &app.tokens.read, &app.tokens.stranger, &app.tokens.expiring] {
            get(&app.holding(secret), LIB, &[("accept-encoding", "gzip")]).await;
        }
        assert_eq!(at_once(created.reveal()), Some(200));
        assert_eq!(at_once(created.reveal()), Some(200));
        assert_eq!(at_once(&app.tokens.stranger), None, "the next one on the same connection is somebody else");
        assert_eq!(at_once(&app.tokens.expiring), Some(200));
        app.advance(kapelle_registry::clock::DAY).await;
        assert_eq!(at_once(&app.tokens.expiring), None);
        get(&app.holding(created.reveal()), LIB, &[("accept-encoding", "gzip")]).await;
        assert_eq!(at_once(created.reveal()), Some(200));
        token::remove(&app.registry, &Actor::Operator, app.organization_id, created.id).await.unwrap();
        assert_eq!(at_once(created.reveal()), None);
        assert_eq!(get(&app.holding(created.reveal()), LIB, &[]).await.status, 401);
        assert_eq!(at_once(created.reveal()), None);
    }
}
