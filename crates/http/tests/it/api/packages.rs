//! Packages as the management API shows them.

use kapelle_registry::{Actor, package};
use kapelle_testing::git::GitRepository;
use kapelle_testing::on_both_databases;
use serde_json::{Value, json};

use super::signed::Signer;
use crate::app::TestApp;

fn names(list: &Value) -> Vec<&str> {
    list.as_array()
        .unwrap()
        .iter()
        .map(|package| package["name"].as_str().unwrap())
        .collect()
}

on_both_databases! {
    async fn a_package_is_shown_with_its_versions_by_name_or_id(url: String) {
        let app = TestApp::start(&url).await;
        let admin = Signer::admin(&app);
        let repository = GitRepository::with_releases(&[("1.0.0", r#"{"name": "acme/lib"}"#), ("1.1.0", r#"{"name": "acme/lib"}"#)]);
        app.add(&repository).await;
        let id = app.package("acme/lib").await.id;
        let answer = admin.get("/api/packages/acme/lib/").await;
        let shown = answer.json();
        for same in ["/api/packages/acme/lib".to_owned(), "/api/packages/Acme/Lib/".to_owned(), "/api/packages/acme%2Flib/".to_owned(), format!("/api/packages/{id}/")] {
            assert_eq!(admin.get(&same).await.json(), shown, "{same}");
        }
        assert_eq!(shown["links"], json!({ "self": "/api/packages/acme/lib/" }));
        assert_eq!(shown["config"]["url"], json!(repository.url()));
        assert_eq!(shown["installStatistics"], json!({ "total": 0, "lastMonth": 0, "lastDay": 0 }));
        let versions = shown["versions"].as_array().unwrap();
        let mut numbers: Vec<_> = versions.iter().map(|version| version["version"].as_str().unwrap()).collect();
        numbers.sort_unstable();
        assert_eq!(numbers, ["1.0.0", "1.1.0", "dev-main"]);
        let first = versions.iter().find(|version| version["version"] == "1.0.0").unwrap();
        assert_eq!(first["versionNormalized"], "1.0.0.0");
        assert_eq!(first["sourceReference"], first["distReference"]);
        for unknown in ["/api/packages/acme/none/", "/api/packages/0/", "/api/packages/none/", "/api/packages/a%00b/c/"] {
            assert_eq!(admin.get(unknown).await.status, 404, "{unknown}");
        }
    }

    async fn lists_come_in_pages_with_links_to_the_others(url: String) {
        let app = TestApp::start(&url).await;
        let admin = Signer::admin(&app);
        for number in 1..=5 {
            let address = format!("https://git.example.org/acme/lib-{number}.git");
            package::add(&app.registry, &Actor::Operator, app.organization_id, &address, None).await.unwrap();
        }
        app.let_jobs_wait();
        let all = admin.get("/api/packages/").await;
        assert_eq!(names(&all.json()).len(), 5);
        assert!(!all.header("link").contains("next"), "{}", all.header("link"));

        let page = admin.get("/api/packages/?limit=2&origin=private&page=2").await;
        assert_eq!(names(&page.json()), names(&all.json())[2..4]);
        let base = "https://packages.example.org/api/packages/";
        let link = |number, relation| format!("<{base}?page={number}&limit=2&origin=private>; rel=\"{relation}\"");
        let links = [link(1, "first"), link(1, "prev"), link(3, "next"), link(3, "last")].join(", ");
        assert_eq!(page.header("link"), links);
        let last = admin.get("/api/packages/?limit=2&page=3").await;
        assert_eq!(names(&last.json()).len(), 1);
        assert!(!last.header("link").contains("next"));
        for beyond in ["9", "10001", "1000000000"] {
            assert_eq!(admin.get(&format!("/api/packages/?limit=10000&page={beyond}")).await.text(), "[]", "{beyond}");
        }
        assert_eq!(admin.get("/api/packages/?origin=public-proxy").await.text(), "[]");
        assert_eq!(admin.get("/api/packages/?security-issue-state=open").await.text(), "[]", "nobody looks for any");
        for (query, message) in [
            ("limit=0", "limit is a number from 1 to 10000"),
            ("limit=10001", "limit is a number from 1 to 10000"),
            ("page=x", "page is a number from 1 to 1000000000"),
            ("limit[]=1", "limit is given once, as text"),
            ("origin[]=private", "origin is given once, as text"),
            (
                "security-issue-state=shut",
                "security-issue-state is one of open, in-progress, not-affected, incorrect, no-capacity, ignore, resolved",
            ),
            ("origin=elsewhere", "origin is one of private, public-mirror and private-mirror"),
        ] {
            let answer = admin.get(&format!("/api/packages/?{query}")).await;
            assert_eq!((answer.status, &answer.json()["message"]), (400, &json!(message)), "{query}");
        }
    }
}
