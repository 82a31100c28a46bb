//! `packages.json` and `p2/…`: what is in them, in which form they come, and when not at all.

use std::io::Read;

use kapelle_registry::clock::SECOND;
use kapelle_registry::{Actor, package};
use kapelle_testing::git::GitRepository;
use kapelle_testing::on_both_databases;
use serde_json::json;

use crate::app::TestApp;

const LIB: &str = "/repo/acme/p2/acme/lib.json";

fn library() -> GitRepository {
    GitRepository::with_releases(&[
        (
            "1.0.0",
            r#"{"name": "acme/lib", "description": "A library", "require": {"php": ">=8.1"}}"#,
        ),
        (
            "v1.1.0",
            r#"{"name": "acme/lib", "description": "A library", "require": {"php": ">=8.2"}}"#,
        ),
    ])
}

on_both_databases! {
    async fn the_root_leads_everywhere_with_complete_addresses(url: String) {
        let app = TestApp::start(&url).await;
        app.add(&library()).await;

        let root = app.reader().get("/repo/acme/packages.json").await;
        insta::assert_snapshot!(root.shown(), @r#"
        200 application/json
        {
          "packages": [],
          "metadata-url": "https://packages.example.org/repo/acme/p2/%package%.json",
          "available-packages": [
            "acme/lib"
          ],
          "metadata-changes-url": "https://packages.example.org/repo/acme/metadata/changes.json",
          "notify-batch": "https://packages.example.org/repo/acme/downloads",
          "search": "https://packages.example.org/repo/acme/search.json?q=%query%&type=%type%",
          "list": "https://packages.example.org/repo/acme/packages/list.json",
          "providers-api": "https://packages.example.org/repo/acme/providers/%package%.json",
          "security-advisories": {
            "metadata": false,
            "api-url": "https://packages.example.org/repo/acme/security-advisories"
          },
          "warning": "Composer 1 cannot read this repository: update to Composer 2 (composer self-update --2).",
          "warning-versions": "<1.999"
        }
        "#);
        assert_eq!(app.reader().get("/repo/acme/packages/packages.json").await.body, root.body);
    }

    async fn a_packages_tags_and_branches_are_two_documents(url: String) {
        let app = TestApp::start(&url).await;
        app.add(&library()).await;

        let tagged = app.reader().get(LIB).await;
        insta::assert_snapshot!(tagged.shown(), @r#"
        200 application/json
        {
          "packages": {
            "acme/lib": [
              {
                "name": "acme/lib",
                "version": "v1.1.0",
                "version_normalized": "1.1.0.0",
                "source": {
                  "type": "git",
                  "url": "file://[folder]/repository.git",
                  "reference": "110976bcb5d511eb4931ca953dd6ec6c41efe0c2"
                },
                "dist": {
                  "type": "zip",
                  "url": "https://packages.example.org/repo/acme/dists/acme/lib/110976bcb5d511eb4931ca953dd6ec6c41efe0c2.zip",
                  "reference": "110976bcb5d511eb4931ca953dd6ec6c41efe0c2",
                  "shasum": "ddb337aea1a014e14cbca5e4ffadf2d97ce7c45a"
                },
                "require": {
                  "php": ">=8.2"
                },
                "time": "2023-11-14T22:14:20+00:00",
                "description": "A library"
              },
              {
                "version": "1.0.0",
                "version_normalized": "1.0.0.0",
                "source": {
                  "type": "git",
                  "url": "file://[folder]/repository.git",
                  "reference": "5dfc9c7ca025021044e3f8d540a62379b51964bf"
                },
                "dist": {
                  "type": "zip",
                  "url": "https://packages.example.org/repo/acme/dists/acme/lib/5dfc9c7ca025021044e3f8d540a62379b51964bf.zip",
                  "reference": "5dfc9c7ca025021044e3f8d540a62379b51964bf",
                  "shasum": "91b740943fa093e73e30e5cf48981b2a8e4333f2"
                },
                "require": {
                  "php": ">=8.1"
                },
                "time": "2023-11-14T22:13:20+00:00"
              }
            ]
          },
          "minified": "composer/2.0"
        }
        "#);
        let branches = app.reader().get("/repo/acme/p2/acme/lib~dev.json").await;
        insta::assert_snapshot!(branches.shown(), @r#"
        200 application/json
        {
          "packages": {
            "acme/lib": [
              {
                "name": "acme/lib",
                "version": "dev-main",
                "version_normalized": "dev-main",
                "source": {
                  "type": "git",
                  "url": "file://[folder]/repository.git",
                  "reference": "110976bcb5d511eb4931ca953dd6ec6c41efe0c2"
                },
                "dist": {
                  "type": "zip",
                  "url": "https://packages.example.org/repo/acme/dists/acme/lib/110976bcb5d511eb4931ca953dd6ec6c41efe0c2.zip",
                  "reference": "110976bcb5d511eb4931ca953dd6ec6c41efe0c2",
                  "shasum": "ddb337aea1a014e14cbca5e4ffadf2d97ce7c45a"
                },
                "require": {
                  "php": ">=8.2"
                },
                "time": "2023-11-14T22:14:20+00:00",
                "default-branch": true,
                "description": "A library"
              }
            ]
          },
          "minified": "composer/2.0"
        }
        "#);
    }

    async fn a_document_comes_with_what_caches_need(url: String) {
        let app = TestApp::start(&url).await;
        app.add(&library()).await;

        let answer = app.reader().get_with(LIB, "accept-encoding", "gzip").await;
        assert_eq!(answer.header("content-type"), "application/json");
        assert_eq!(answer.header("cache-control"), "private, max-age=0, must-revalidate");
        assert_eq!(answer.header("vary"), "Accept-Encoding, Authorization");
        assert_eq!(answer.header("content-encoding"), "gzip");
        assert!(answer.header("last-modified").ends_with(" GMT"));
        let head = app.reader().head(LIB).await;
        assert_eq!((head.status, head.body.len()), (200, 0));
        assert_eq!(head.header("last-modified"), answer.header("last-modified"));
    }

    async fn only_the_very_same_date_is_answered_304(url: String) {
        let app = TestApp::start(&url).await;
        app.add(&library()).await;

        for path in [LIB, "/repo/acme/p2/acme/lib~dev.json", "/repo/acme/packages.json"] {
            let fresh = app.reader().get(path).await;
            let same = app.reader().get_with(path, "if-modified-since", fresh.header("last-modified")).await;
            assert_eq!((same.status, same.body.len()), (304, 0), "{path}");
            assert_eq!(same.header("content-length"), "", "{path}");
            for name in ["last-modified", "cache-control", "vary", "content-type"] {
                assert_eq!(same.header(name), fresh.header(name), "{name}");
            }
            for other in ["Sun, 01 Nov 2037 10:00:00 GMT", "Thu, 01 Jan 1970 00:00:00 GMT", "x"] {
                let answer = app.reader().get_with(path, "if-modified-since", other).await;
                assert_eq!((answer.status, &answer.body), (200, &fresh.body), "{path} {other}");
            }
        }
    }

    async fn the_date_changes_exactly_when_the_bytes_do(url: String) {
        let app = TestApp::start(&url).await;
        let repository = library();
        app.add(&repository).await;
        let before = app.reader().get(LIB).await;

        app.advance(5 * SECOND).await;
        app.sync("acme/lib").await;
        assert_eq!(app.reader().get(LIB).await.header("last-modified"), before.header("last-modified"));
        repository.release("1.2.0", r#"{"name": "acme/lib"}"#);
        app.sync("acme/lib").await;
        let after = app.reader().get(LIB).await;
        assert_ne!(after.header("last-modified"), before.header("last-modified"));
        assert_ne!(after.body, before.body);
    }

    async fn every_form_of_a_document_has_the_same_content(url: String) {
        let app = TestApp::start(&url).await;
        // Larger than the pieces in which it is inflated.
        let words: Vec<String> = (0..30_000).map(|number| format!("word {number}")).collect();
        let manifest = serde_json::json!({"name": "acme/lib", "description": words.join(" ")}).to_string();
        app.add(&GitRepository::with_releases(&[("1.0.0", &manifest)])).await;

        let plain = app.reader().get(LIB).await;
        assert_eq!(plain.header("content-encoding"), "");
        assert_eq!(plain.header("content-length"), plain.body.len().to_string());
        let gzip = app.reader().get_with(LIB, "accept-encoding", "gzip").await;
        let mut inflated = Vec::new();
        flate2::read::GzDecoder::new(gzip.body.as_ref()).read_to_end(&mut inflated).unwrap();
        assert_eq!(inflated, plain.body);
        let zstd = app.reader().get_with(LIB, "accept-encoding", "deflate, gzip, br, zstd").await;
        assert_eq!(zstd.header("content-encoding"), "zstd");
        assert_eq!(zstd.body[..4], [0x28, 0xb5, 0x2f, 0xfd]);
        assert_eq!(zstd.header("last-modified"), plain.header("last-modified"));
    }

    async fn names_are_looked_up_in_lower_case_and_unknown_ones_are_quiet(url: String) {
        let app = TestApp::start(&url).await;
        app.add(&library()).await;

        let plain = app.reader().get(LIB).await;
        assert_eq!(app.reader().get("/repo/Acme/p2/ACME/Lib.json").await.body, plain.body);
        for path in ["acme/nope.json", "acme/nope~dev.json", "acme/lib", "acme/lib%00.json", "acme/..%2flib.json"] {
            let answer = app.reader().get(&format!("/repo/acme/p2/{path}")).await;
            assert_eq!((answer.status, answer.json()["warning"].is_null()), (404, true), "{path}");
        }
    }

    async fn a_removed_package_is_gone_from_root_and_metadata_and_comes_back(url: String) {
        let app = TestApp::start(&url).await;
        app.add(&library()).await;
        let before = app.reader().get(LIB).await;
        let package = app.package("acme/lib").await;

        app.advance(SECOND).await;
        package::remove(&app.registry, &Actor::Operator, &package).await.unwrap();
        assert_eq!(app.reader().get(LIB).await.status, 404);
        assert_eq!(app.reader().get("/repo/acme/p2/acme/lib~dev.json").await.status, 404);
        assert!(app.reader().get("/repo/acme/packages.json").await.json().get("available-packages").is_none());

        package::undo(&app.registry, &Actor::Operator, app.organization_id, "acme/lib").await.unwrap();
        app.work().await;
        let after = app.reader().get(LIB).await;
        assert_eq!(after.body, before.body);
        assert_ne!(after.header("last-modified"), before.header("last-modified"));
        let root = app.reader().get("/repo/acme/packages.json").await.json();
        assert_eq!(root["available-packages"], json!(["acme/lib"]));
    }

    async fn another_public_address_gives_other_documents_with_other_dates(url: String) {
        let app = TestApp::start(&url).await;
        app.add(&library()).await;
        let before = app.reader().get(LIB).await;

        app.registry.set_public_url("https://moved.example.org/composer/".parse().unwrap());
        app.advance(SECOND).await;
        let after = app.reader().get(LIB).await;
        assert!(after.text().contains("https://moved.example.org/composer/repo/acme/dists/"), "{}", after.text());
        assert_ne!(after.header("last-modified"), before.header("last-modified"));
    }
}
