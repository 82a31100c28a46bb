//! Search, the list of names, providers, and the question for advisories.

use kapelle_testing::git::GitRepository;
use kapelle_testing::on_both_databases;
use serde_json::json;

use crate::app::{TestApp, without_folders};

async fn app(url: &str) -> TestApp {
    let app = TestApp::start(url).await;
    for manifest in [
        r#"{"name": "acme/http", "description": "Talks to servers", "provide": {"psr/http-client-implementation": "1.0"}}"#,
        r#"{"name": "acme/log", "description": "Writes 100% of lines", "type": "symfony-bundle", "abandoned": "acme/logger"}"#,
        r#"{"name": "other/http-tools", "description": "", "replace": {"old/tools": "*"}, "provide": {"ext-foo": "*"}}"#,
    ] {
        app.add(&GitRepository::with_releases(&[("1.0.0", manifest)]))
            .await;
    }
    app
}

/// The names in an answer to a search.
async fn found(app: &TestApp, query: &str) -> Vec<String> {
    let answer = app
        .reader()
        .get(&format!("/repo/acme/search.json?{query}"))
        .await;
    assert_eq!(answer.status, 200, "{query}");
    let json = answer.json();
    let names = json["results"]
        .as_array()
        .unwrap()
        .iter()
        .map(|hit| hit["name"].as_str().unwrap().to_owned());
    names.collect()
}

on_both_databases! {
    async fn search_looks_for_every_word_in_name_and_description(url: String) {
        let app = app(&url).await;

        let answer = app.reader().get("/repo/acme/search.json?q=log&type=").await;
        insta::assert_snapshot!(answer.shown(), @r#"
        200 application/json
        {
          "results": [
            {
              "name": "acme/log",
              "description": "Writes 100% of lines",
              "url": "file://[folder]/repository.git",
              "repository": "file://[folder]/repository.git",
              "downloads": 0,
              "abandoned": "acme/logger"
            }
          ],
          "total": 1
        }
        "#);
        assert_eq!(found(&app, "q=HTTP").await, ["acme/http", "other/http-tools"]);
        assert_eq!(found(&app, "query=acme+servers").await, ["acme/http"]);
        assert_eq!(found(&app, "q=acme%2Fnope&type=").await, [""; 0]);
        assert_eq!(found(&app, "q=&type=symfony-bundle").await, ["acme/log"]);
        assert_eq!(found(&app, "q=100%25").await, ["acme/log"]);
        assert_eq!(found(&app, "q=%25").await, ["acme/log"]);
        assert_eq!(found(&app, "q=%00%FF'%22&type=%00").await, [""; 0]);
        assert_eq!(found(&app, "").await.len(), 3);
    }

    async fn search_goes_on_to_the_next_page(url: String) {
        let app = app(&url).await;

        let first = app.reader().get("/repo/acme/search.json?q=h&per_page=2").await.json();
        assert_eq!((first["results"].as_array().unwrap().len(), &first["total"]), (2, &json!(2)));
        assert!(first.get("next").is_none());
        let first = app.reader().get("/repo/acme/search.json?per_page=2").await.json();
        assert_eq!(
            first["next"],
            "https://packages.example.org/repo/acme/search.json?q=&type=&per_page=2&page=2"
        );
        assert_eq!(found(&app, "per_page=2&page=2").await, ["other/http-tools"]);
        assert_eq!(found(&app, "per_page=0&page=-3").await, ["acme/http"]);
        assert_eq!(found(&app, "page=999999999999").await, [""; 0]);
    }

    async fn the_list_takes_no_parameter_a_glob_or_a_vendor(url: String) {
        let app = app(&url).await;

        for (query, names) in [
            ("", json!(["acme/http", "acme/log", "other/http-tools"])),
            ("?filter=", json!(["acme/http", "acme/log", "other/http-tools"])),
            ("?filter=acme%2F%2A", json!(["acme/http", "acme/log"])),
            ("?filter=*HTTP", json!(["acme/http"])),
            ("?filter=.*", json!([])),
            ("?vendor=acme", json!(["acme/http", "acme/log"])),
            ("?vendor=acme&filter=l*", json!(["acme/log"])),
            ("?vendor=nobody", json!([])),
        ] {
            let answer = app.reader().get(&format!("/repo/acme/packages/list.json{query}")).await;
            assert_eq!(answer.json(), json!({ "packageNames": names }), "{query}");
        }
    }

    async fn providers_of_a_name_may_be_none(url: String) {
        let app = app(&url).await;

        let answer = app.reader().get("/repo/acme/providers/psr/http-client-implementation.json").await;
        insta::assert_snapshot!(answer.shown(), @r#"
        200 application/json
        {
          "providers": [
            {
              "name": "acme/http",
              "description": "Talks to servers",
              "type": "library"
            }
          ]
        }
        "#);
        for (name, provider) in [("old/tools", Some("other/http-tools")), ("ext-foo", Some("other/http-tools"))] {
            let answer = app.reader().get(&format!("/repo/acme/providers/{name}.json")).await;
            assert_eq!(answer.json()["providers"][0]["name"].as_str(), provider, "{name}");
        }
        for name in ["acme/nope", "ext-bar", "php", "a%00b"] {
            let answer = app.reader().get(&format!("/repo/acme/providers/{name}.json")).await;
            assert_eq!((answer.status, answer.json()), (200, json!({ "providers": [] })), "{name}");
        }
    }

    async fn advisories_name_what_was_asked_and_is_known(url: String) {
        let app = app(&url).await;
        let place = "/repo/acme/security-advisories";

        let asked = "packages%5B0%5D=acme%2Fhttp&packages%5B1%5D=elsewhere%2Flib&packages%5B2%5D=acme%2Flog";
        let expected = json!({ "advisories": { "acme/http": [], "acme/log": [] } });
        assert_eq!(app.reader().post_form(place, asked).await.json(), expected);
        assert_eq!(app.reader().get(&format!("{place}?{asked}")).await.json(), expected);
        assert_eq!(app.reader().post(place, r#"{"packages":["acme/http","acme/log"]}"#).await.json(), expected);
        assert_eq!(app.reader().post_form(place, "").await.json(), json!({ "advisories": {} }));
        assert_eq!(app.anonymous().post_form(place, asked).await.status, 401);
    }

    async fn addresses_in_search_results_hold_no_secrets(url: String) {
        let app = app(&url).await;

        let answer = app.reader().get("/repo/acme/search.json?q=http").await.json();
        let repository = answer["results"][0]["repository"].as_str().unwrap();
        assert_eq!(without_folders(repository), "file://[folder]/repository.git");
    }
}
