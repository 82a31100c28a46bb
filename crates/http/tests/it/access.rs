//! Who gets in: 401 where credentials could help, 404 for those who have no business here, and every form of a token.

use axum::http::Request;
use kapelle_registry::clock::{DAY, MINUTE, SECOND};
use kapelle_storage::Database;
use kapelle_storage::db::{changes, tokens};
use kapelle_testing::git::GitRepository;
use kapelle_testing::on_both_databases;
use sha2::{Digest, Sha256};

use crate::app::{START, TestApp, basic};

/// Every address of the Composer repository that can be asked for with GET.
const PLACES: [&str; 12] = [
    "",
    "/",
    "/packages.json",
    "/packages/packages.json",
    "/p2/acme/lib.json",
    "/p2/acme/lib~dev.json",
    "/dists/acme/lib/0123456789abcdef0123456789abcdef01234567.zip",
    "/search.json?q=x",
    "/packages/list.json",
    "/providers/ext-foo.json",
    "/metadata/changes.json",
    "/no/such/address",
];

/// Revokes a token as another process does, of which this one hears nothing by itself.
async fn revoke_elsewhere(app: &TestApp, url: &str, token: &str, now: i64) {
    let mut tx = Database::connect(url).await.unwrap().write().await.unwrap();
    let hash = Sha256::digest(token.as_bytes());
    let row = tokens::find_by_hash(&mut tx, &hash).await.unwrap().unwrap();
    let id = app.organization_id;
    assert!(tokens::delete(&mut tx, id, row.id).await.unwrap());
    let name = row.id.to_string();
    changes::append(&mut tx, now, id, "token", "delete", &name)
        .await
        .unwrap();
    tx.commit().await.unwrap();
}

on_both_databases! {
    async fn anonymous_is_asked_for_credentials_everywhere_and_never_told_what_exists(url: String) {
        let app = TestApp::start(&url).await;

        for organization in ["acme", "no-such", "ac%00me", "%ff"] {
            for place in PLACES {
                let answer = app.anonymous().get(&format!("/repo/{organization}{place}")).await;
                if organization == "%ff" {
                    assert_ne!(answer.status, 404, "{organization}{place}");
                    continue;
                }
                assert_eq!(answer.status, 401, "{organization}{place}");
                assert_eq!(answer.header("www-authenticate"), "Basic realm=\"Composer repository\"");
                assert_eq!(answer.header("content-type"), "application/json");
                assert_eq!(answer.json()["code"], "credentials_needed");
            }
        }
    }

    async fn a_stranger_learns_nothing(url: String) {
        let app = TestApp::start(&url).await;
        app.add(&GitRepository::with_releases(&[("1.0.0", r#"{"name": "acme/lib"}"#)])).await;

        for place in PLACES {
            let ours = app.stranger().get(&format!("/repo/acme{place}")).await;
            let nobodys = app.stranger().get(&format!("/repo/no-such{place}")).await;
            assert_eq!((ours.status, ours.body), (404, nobodys.body), "{place}");
        }
        let root = app.stranger().get("/repo/acme/packages.json").await;
        insta::assert_snapshot!(root.shown(), @r#"
        404 application/json
        {
          "status": "error",
          "code": "not_found",
          "message": "there is no such repository, or the token that was sent does not open it",
          "warning": "there is no such repository, or the token that was sent does not open it"
        }
        "#);
        let package = app.stranger().get("/repo/acme/p2/acme/lib.json").await;
        insta::assert_snapshot!(package.shown(), @r#"
        404 application/json
        {
          "status": "error",
          "code": "not_found",
          "message": "not found"
        }
        "#);
    }

    async fn tokens_that_are_wrong_revoked_or_expired_are_named_so(url: String) {
        let app = TestApp::start(&url).await;
        let (revoked, expiring) = (app.tokens.revoked.clone(), app.tokens.expiring.clone());

        assert_eq!(app.holding(&expiring).get("/repo/acme/packages.json").await.status, 200);
        app.advance(DAY).await;
        for token in ["wrong", &revoked, &expiring] {
            let answer = app.holding(token).get("/repo/acme/packages.json").await;
            assert_eq!(answer.status, 401);
            assert_eq!(answer.json()["code"], "credentials_invalid");
        }
        let answer = app.holding("wrong").get("/repo/acme/packages.json").await;
        insta::assert_snapshot!(answer.shown(), @r#"
        401 application/json
        {
          "status": "error",
          "code": "credentials_invalid",
          "message": "the token that was sent is unknown, expired or revoked: ask for a new one",
          "warning": "the token that was sent is unknown, expired or revoked: ask for a new one"
        }
        "#);
    }

    async fn a_token_is_taken_in_every_form_that_composer_sends(url: String) {
        let app = TestApp::start(&url).await;
        let token = &app.tokens.read;

        for (name, value) in [
            ("authorization", basic("token", token)),
            ("authorization", basic("anybody", token)),
            ("authorization", basic(token, "")),
            ("authorization", basic(token, "private-token")),
            ("authorization", basic(token, "x-oauth-basic")),
            ("authorization", format!("Bearer {token}")),
            ("private-token", token.clone()),
        ] {
            let answer = app.anonymous().get_with("/repo/acme/packages.json", name, &value).await;
            assert_eq!(answer.status, 200, "{name}: {value}");
        }
        for (name, value) in [
            ("authorization", "Basic !".to_owned()),
            ("authorization", "Digest x".to_owned()),
            ("authorization", basic("token", "")),
            ("private-token", "wrong".to_owned()),
        ] {
            let answer = app.anonymous().get_with("/repo/acme/packages.json", name, &value).await;
            assert_eq!(answer.json()["code"], "credentials_invalid", "{name}: {value}");
        }
    }

    async fn a_server_that_lost_its_database_serves_nothing_private(url: String) {
        let app = TestApp::start(&url).await;
        app.reader().get("/repo/acme/packages.json").await;

        app.clock.advance(10 * SECOND + 1);
        assert_eq!(app.anonymous().get("/readyz").await.status, 503);
        assert_eq!(app.reader().get("/repo/acme/packages.json").await.status, 200);
        app.clock.advance(MINUTE);
        let stale = app.reader().get("/repo/acme/packages.json").await;
        insta::assert_snapshot!(stale.shown(), @r#"
        503 application/json
        {
          "status": "error",
          "code": "stale",
          "message": "this server has lost touch with its database and serves nothing private until it is back",
          "warning": "this server has lost touch with its database and serves nothing private until it is back"
        }
        "#);
        app.advance(0).await;
        assert_eq!(app.reader().get("/repo/acme/packages.json").await.status, 200);
    }

    async fn a_token_that_was_revoked_while_we_were_cut_off_is_honoured_for_a_minute_at_most(url: String) {
        let app = TestApp::start(&url).await;
        let code = async |token: &str| {
            let answer = app.holding(token).get("/repo/acme/packages.json").await;
            if answer.status == 200 { "fine".to_owned() } else { answer.json()["code"].as_str().unwrap().to_owned() }
        };
        assert_eq!(code(&app.tokens.read).await, "fine");
        assert_eq!(code(&app.tokens.update).await, "fine");
        revoke_elsewhere(&app, &url, &app.tokens.read, START).await;
        app.clock.advance(MINUTE);
        assert_eq!(code(&app.tokens.read).await, "fine", "nobody has told us");
        app.clock.advance(1);
        for token in [&app.tokens.read, &app.tokens.update] {
            assert_eq!(code(token).await, "stale");
        }
        app.registry.catch_up().await.unwrap();
        assert_eq!(code(&app.tokens.read).await, "credentials_invalid");
        assert_eq!(code(&app.tokens.update).await, "fine");
    }

    async fn a_token_that_was_revoked_is_refused_from_the_first_confirmation_on_whatever_was_pruned(url: String) {
        let app = TestApp::start(&url).await;
        let status = async |token: &str| app.holding(token).get("/repo/acme/packages.json").await.status;
        for token in [&app.tokens.read, &app.tokens.update] {
            assert_eq!(status(token).await, 200);
        }
        revoke_elsewhere(&app, &url, &app.tokens.read, START).await;
        app.advance(30 * SECOND).await;
        assert_eq!(status(&app.tokens.read).await, 401);

        revoke_elsewhere(&app, &url, &app.tokens.update, START + MINUTE).await;
        let later = START + 8 * DAY;
        let mut tx = app.registry.database().write().await.unwrap();
        let last = changes::append(&mut tx, later, app.organization_id, "package", "update", "a/b").await.unwrap();
        assert!(changes::prune(&mut tx, last, 1_000).await.unwrap() > 0);
        tx.commit().await.unwrap();
        app.advance(8 * DAY).await;
        assert_eq!(status(&app.tokens.update).await, 401);
    }

    async fn addresses_and_methods_that_do_not_exist_are_answered_in_json(url: String) {
        let app = TestApp::start(&url).await;

        let nowhere = app.anonymous().get("/nowhere").await;
        insta::assert_snapshot!(nowhere.shown(), @r#"
        404 application/json
        {
          "status": "error",
          "code": "not_found",
          "message": "not found"
        }
        "#);
        let deleted = app.reader().send(Request::delete("/repo/acme/packages.json"), "").await;
        insta::assert_snapshot!(deleted.shown(), @r#"
        405 application/json
        {
          "status": "error",
          "code": "method_not_allowed",
          "message": "this address does not take that method"
        }
        "#);
        let below = app.reader().get("/repo/acme/p/acme/lib%24abc.json").await;
        assert_eq!((below.status, below.json()["warning"].is_null()), (404, true));
    }

    async fn the_repository_explains_itself_to_those_who_may_read_it(url: String) {
        let app = TestApp::start(&url).await;

        let page = app.reader().get("/repo/acme/").await;
        insta::assert_snapshot!(page.shown(), @r#"
        200 application/json
        {
          "name": "acme",
          "message": "This is a Composer repository. Add the entry below to \"repositories\" in your composer.json.",
          "repositories": [
            {
              "type": "composer",
              "url": "https://packages.example.org/repo/acme"
            }
          ]
        }
        "#);
        assert_eq!(app.reader().get("/repo/acme").await.body, page.body);
    }
}
