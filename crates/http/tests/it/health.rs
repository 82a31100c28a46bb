//! Probes, metrics, request ids and failures of our own.

use std::sync::{Arc, Mutex};

use axum::http::Request;
use kapelle_http::{ApiSettings, AppState, GuardedMetrics, HttpService};
use kapelle_registry::Random;
use kapelle_storage::db::documents;
use kapelle_testing::on_both_databases;
use metrics_exporter_prometheus::PrometheusBuilder;
use tower::ServiceExt;

use crate::app::{PUBLIC_URL, START, TestApp, Traced};

/// What was logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

on_both_databases! {
    async fn probes_say_whether_the_process_lives_and_is_ready(url: String) {
        let app = TestApp::start(&url).await;

        assert_eq!(app.anonymous().get("/healthz").await.text(), r#"{"status":"ok"}"#);
        assert_eq!(app.anonymous().get("/readyz").await.text(), r#"{"status":"ready"}"#);
        app.clock.advance(11_000);
        let unready = app.anonymous().get("/readyz").await;
        insta::assert_snapshot!(unready.shown(), @r#"
        503 application/json
        {
          "status": "unready",
          "reason": "changes of other processes were not confirmed lately"
        }
        "#);
        assert_eq!(app.anonymous().get("/healthz").await.status, 200);
        app.advance(0).await;
        assert_eq!(app.anonymous().get("/readyz").await.status, 200);
    }

    async fn every_answer_repeats_the_id_of_its_request(url: String) {
        let app = TestApp::start(&url).await;

        let first = app.anonymous().get("/healthz").await;
        let second = app.anonymous().get("/healthz").await;
        assert_ne!(first.header("x-request-id"), second.header("x-request-id"));
        let given = app.anonymous().get_with("/healthz", "x-request-id", "proxy-17").await;
        assert_eq!(given.header("x-request-id"), "proxy-17");
        let forged = app.anonymous().get_with("/healthz", "x-request-id", "a b").await;
        assert_ne!(forged.header("x-request-id"), "a b");
    }

    async fn the_access_log_has_one_line_per_request_and_no_secret(url: String) {
        let app = TestApp::start(&url).await;
        let log = Log::default();
        let writer = log.clone();
        let subscriber = tracing_subscriber::fmt()
            .without_time()
            .with_ansi(false)
            .with_max_level(tracing::Level::DEBUG)
            .with_writer(move || writer.clone())
            .finish();
        let guard = tracing::subscriber::set_default(subscriber);

        let request = Request::get("/repo/acme/search.json?q=private-query").header("x-request-id", "id-1");
        app.reader().send(request, "").await;
        let place = format!("/hooks/generic/acme?token={}", app.hook_secret);
        app.anonymous().post(&place, r#"{"repository":"https://git.example.org/a/b"}"#).await;
        drop(guard);

        let text = log.text();
        let lines: Vec<&str> = text.lines().filter(|line| line.contains("kapelle::access")).collect();
        assert_eq!(lines.len(), 2, "{text}");
        for part in ["request=\"id-1\"", "method=\"GET\"", "path=\"/repo/acme/search.json\"", "status=200"] {
            assert!(lines[0].contains(part), "{part}: {}", lines[0]);
        }
        assert!(lines[0].contains("organization=\"acme\"") && lines[1].contains("organization=\"acme\""));
        for secret in ["private-query", &app.hook_secret, &app.tokens.read, "Basic "] {
            assert!(!text.contains(secret), "{secret}: {text}");
        }
    }

    async fn a_failure_of_ours_names_the_request_and_hides_its_cause(url: String) {
        let app = TestApp::start(&url).await;
        let mut damaging = app.registry.database().write().await.unwrap();
        let (id, seconds) = (app.organization_id, START / 1_000);
        let body = documents::Body { base_url: PUBLIC_URL, gzip: b"no gzip", zstd: b"", seal: b"" };
        documents::put(&mut damaging, id, "packages.json", body, seconds).await.unwrap();
        damaging.commit().await.unwrap();

        let request = Request::get("/repo/acme/packages.json").header("x-request-id", "id-1");
        let failed = app.reader().send(request, "").await;
        insta::assert_snapshot!(failed.shown(), @r#"
        500 application/json
        {
          "status": "error",
          "code": "internal",
          "message": "the server failed to answer; its log tells more under the id of this request",
          "warning": "the server failed to answer; its log tells more under the id of this request",
          "id": "id-1"
        }
        "#);
    }

    async fn a_database_that_cannot_be_asked_is_named_and_nobody_waits_for_ever(url: String) {
        let app = TestApp::start(&url).await;
        app.reader().get("/repo/acme/packages.json").await;
        app.registry.database().close().await;
        app.let_jobs_wait();

        let outage = app.reader().get("/repo/acme/search.json").await;
        insta::assert_snapshot!(outage.shown(), @r#"
        503 application/json
        {
          "status": "error",
          "code": "database_unavailable",
          "message": "the database of this server does not answer at the moment: try again soon",
          "warning": "the database of this server does not answer at the moment: try again soon"
        }
        "#);
        assert_eq!(outage.header("retry-after"), "10");
        let place = format!("/hooks/generic/acme?token={}", app.hook_secret);
        let hook = app.anonymous().post(&place, r#"{"repository":"https://git.example.org/a/b"}"#).await;
        assert_eq!((hook.status, hook.json()["code"].as_str()), (503, Some("database_unavailable")));
        let made = app.reader().get("/repo/acme/p2/acme/lib.json").await;
        assert_eq!(made.status, 503);
        let remembered = app.reader().get("/repo/acme/packages.json").await;
        assert_eq!(remembered.status, 200, "what memory has is served for another minute");
        let unready = app.anonymous().get("/readyz").await;
        insta::assert_snapshot!(unready.shown(), @r#"
        503 application/json
        {
          "status": "unready",
          "reason": "the database does not answer"
        }
        "#);
    }

    async fn metrics_need_their_token_or_a_listener_of_their_own(url: String) {
        let app = TestApp::start(&url).await;
        assert_eq!(app.anonymous().get("/metrics").await.status, 404);

        let recorder = PrometheusBuilder::new().build_recorder();
        let handle = recorder.handle();
        let guard = GuardedMetrics { handle: handle.clone(), token: "secret".into() };
        let state = AppState::new(app.registry.clone(), ApiSettings::default(), &Random::seeded(2), Some(guard), Box::new(Traced));
        let guarded = HttpService::new(state);
        let status = async |authorization: &str| {
            let request = Request::get("/metrics").header("authorization", authorization);
            let request = request.body(axum::body::Body::empty()).unwrap();
            guarded.clone().oneshot(request).await.unwrap().status().as_u16()
        };
        assert_eq!(status("Bearer secret").await, 200);
        assert_eq!(status("Bearer wrong").await, 401);
        let request = Request::get("/metrics").body(axum::body::Body::empty()).unwrap();
        let open = kapelle_http::metrics_router(handle).oneshot(request).await.unwrap();
        assert_eq!(open.status(), 200);
    }

    async fn the_front_page_tells_everybody_the_same(url: String) {
        let app = TestApp::start(&url).await;

        let page = app.anonymous().get("/").await;
        assert_eq!((page.status, page.header("content-type")), (200, "text/html; charset=utf-8"));
        assert!(!page.text().contains("acme"));
    }
}
