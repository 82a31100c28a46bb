//! The feed for mirrors.

use kapelle_registry::clock::{DAY, SECOND};
use kapelle_registry::jobs::{Tidy, enqueue};
use kapelle_registry::{Actor, package};
use kapelle_testing::git::GitRepository;
use kapelle_testing::on_both_databases;
use serde_json::{Value, json};

use crate::app::{START, TestApp};

const PLACE: &str = "/repo/acme/metadata/changes.json";

async fn since(app: &TestApp, since: &Value) -> Value {
    let answer = app.reader().get(&format!("{PLACE}?since={since}")).await;
    assert_eq!(answer.status, 200, "{since}");
    answer.json()
}

fn actions(answer: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let actions = answer["actions"].as_array().unwrap().iter();
    actions
        .map(|action| (text(&action["type"]), text(&action["package"])))
        .collect()
}

fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    expected
        .iter()
        .map(|(kind, package)| ((*kind).to_owned(), (*package).to_owned()))
        .collect()
}

on_both_databases! {
    async fn without_a_point_to_start_from_the_answer_names_one(url: String) {
        let app = TestApp::start(&url).await;

        for query in ["", "?since=", "?since=yesterday", "?since=-5"] {
            let answer = app.reader().get(&format!("{PLACE}{query}")).await;
            assert_eq!(answer.status, 400, "{query}");
            assert!(answer.json()["timestamp"].as_i64().unwrap() >= START * 10, "{query}");
            assert!(answer.json()["error"].is_string());
        }
    }

    async fn the_feed_tells_updates_and_deletions_once(url: String) {
        let app = TestApp::start(&url).await;
        let start = app.reader().get(PLACE).await.json()["timestamp"].clone();
        let repository = GitRepository::with_releases(&[("1.0.0", r#"{"name": "acme/lib"}"#)]);
        app.advance(SECOND).await;
        app.add(&repository).await;

        let added = since(&app, &start).await;
        let mut told = actions(&added);
        told.sort();
        told.dedup();
        assert_eq!(told, pairs(&[("update", "acme/lib"), ("update", "acme/lib~dev")]));
        assert_eq!(added["actions"][0]["time"], START / 1000 + 1);
        assert!(actions(&since(&app, &added["timestamp"]).await).is_empty());

        app.advance(SECOND).await;
        repository.release("1.1.0", r#"{"name": "acme/lib"}"#);
        app.sync("acme/lib").await;
        let updated = since(&app, &added["timestamp"]).await;
        assert!(actions(&updated).contains(&("update".to_owned(), "acme/lib".to_owned())));

        app.advance(SECOND).await;
        let package = app.package("acme/lib").await;
        package::remove(&app.registry, &Actor::Operator, &package).await.unwrap();
        let removed = since(&app, &updated["timestamp"]).await;
        assert_eq!(actions(&removed), pairs(&[("delete", "acme/lib"), ("delete", "acme/lib~dev")]));
        assert!(actions(&since(&app, &removed["timestamp"]).await).is_empty());
    }

    async fn who_was_away_too_long_reads_everything_again(url: String) {
        let app = TestApp::start(&url).await;
        let start = app.reader().get(PLACE).await.json()["timestamp"].clone();
        app.add(&GitRepository::with_releases(&[("1.0.0", r#"{"name": "acme/lib"}"#)])).await;

        app.advance(30 * DAY).await;
        app.add(&GitRepository::with_releases(&[("1.0.0", r#"{"name": "acme/new"}"#)])).await;
        let mut transaction = app.registry.database().write().await.unwrap();
        enqueue(&app.registry, &mut transaction, &Tidy {}).await.unwrap();
        transaction.commit().await.unwrap();
        app.work().await;

        let answer = since(&app, &start).await;
        assert_eq!(actions(&answer), pairs(&[("resync", "*")]));
        assert!(actions(&since(&app, &answer["timestamp"]).await).is_empty());
        assert_eq!(actions(&since(&app, &json!(0)).await), pairs(&[("resync", "*")]));
    }

    async fn the_feed_of_one_organization_is_not_anothers(url: String) {
        let app = TestApp::start(&url).await;
        let start = app.reader().get(PLACE).await.json()["timestamp"].clone();
        app.advance(SECOND).await;
        app.add(&GitRepository::with_releases(&[("1.0.0", r#"{"name": "acme/lib"}"#)])).await;

        let theirs = app.stranger().get(&format!("/repo/other/metadata/changes.json?since={start}")).await;
        assert!(actions(&theirs.json()).is_empty());
    }
}
