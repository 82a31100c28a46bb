//! Reports of installs: counted for those who may read, never loud for anybody.

use kapelle_registry::{Actor, package, statistics};
use kapelle_testing::git::GitRepository;
use kapelle_testing::on_both_databases;

use crate::app::TestApp;

const PLACE: &str = "/repo/acme/downloads";
const REPORT: &str = r#"{"downloads":[{"name":"acme\/lib","version":"1.0.0.0"},{"name":"elsewhere\/unknown","version":"2.0.0.0"}]}"#;

async fn app(url: &str) -> TestApp {
    let app = TestApp::start(url).await;
    app.add(&GitRepository::with_releases(&[(
        "1.0.0",
        r#"{"name": "acme/lib"}"#,
    )]))
    .await;
    app
}

async fn installs(app: &TestApp) -> i64 {
    statistics::flush(&app.registry).await.unwrap();
    package::show(
        &app.registry,
        &Actor::Operator,
        app.organization_id,
        "acme/lib",
    )
    .await
    .unwrap()
    .installs
}

on_both_databases! {
    async fn installs_are_counted_and_unknown_packages_are_ordinary(url: String) {
        let app = app(&url).await;

        let answer = app.reader().post(PLACE, REPORT).await;
        assert_eq!((answer.status, answer.text().as_str()), (201, r#"{"status":"success"}"#));
        app.reader().post(PLACE, REPORT).await;
        assert_eq!(installs(&app).await, 2);
        let found = app.reader().get("/repo/acme/search.json?q=lib").await.json();
        assert_eq!(found["results"][0]["downloads"], 2);
    }

    async fn reports_of_nobody_and_strangers_are_taken_but_not_counted(url: String) {
        let app = app(&url).await;

        let revoked = app.tokens.revoked.clone();
        for client in [app.anonymous(), app.stranger(), app.holding("wrong"), app.holding(&revoked)] {
            let answer = client.post(PLACE, REPORT).await;
            assert_eq!((answer.status, answer.text().as_str()), (201, r#"{"status":"success"}"#));
        }
        assert_eq!(app.anonymous().post("/repo/no-such/downloads", REPORT).await.status, 201);
        assert_eq!(installs(&app).await, 0);
    }

    async fn what_is_no_report_is_answered_without_a_warning(url: String) {
        let app = app(&url).await;

        let large = format!("[\"{}\"]", "x".repeat(2 * 1024 * 1024));
        for body in ["", "{", "[]", r#"{"downloads":7}"#, &"[".repeat(100_000), &large] {
            let answer = app.reader().post(PLACE, body).await;
            assert_eq!((answer.status, answer.json()["status"].as_str()), (200, Some("error")));
            assert!(answer.json().get("warning").is_none());
        }
        let odd = r#"{"downloads":[7,{},{"name":"acme/lib","version":"\u0000"},{"name":"../x","version":"1"}]}"#;
        assert_eq!(app.reader().post(PLACE, odd).await.status, 201);
        assert_eq!(installs(&app).await, 0);
    }
}
