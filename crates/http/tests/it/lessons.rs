//! What went wrong in other registries and in their clients, tried on ours. docs/security.md has the whole table.

use kapelle_registry::jobs::End;
use kapelle_registry::{Actor, package};
use kapelle_testing::git::GitRepository;
use kapelle_testing::on_both_databases;

use crate::app::{Options, TestApp};

/// Must never be an argument of a command.
const OPTION: &str = "--output=lesson";

on_both_databases! {
    /// CVE-2022-24828: the `readme` of a composer.json became an argument of git. CVE-2024-35241 and CVE-2024-35242: so did
    /// names of branches. CVE-2026-40261: so did the reference of a `source`.
    async fn nothing_that_a_package_says_becomes_an_argument(url: String) {
        let app = TestApp::with(&url, Options { count_git: true, ..Options::default() }).await;
        let manifest = format!(
            r#"{{"name": "acme/lib", "readme": "{OPTION}", "source": {{"type": "git", "url": "{OPTION}", "reference": "{OPTION}"}},
                "support": {{"source": "{OPTION}"}}, "archive": {{"exclude": ["{OPTION}"], "name": "{OPTION}"}}, "bin": ["{OPTION}"]}}"#
        );
        let repository = GitRepository::with_releases(&[("1.0.0", &manifest)]);
        let head = repository.resolve("refs/heads/main").unwrap();
        for name in [format!("refs/heads/{OPTION}"), format!("refs/heads/x;{OPTION}"), format!("refs/tags/{OPTION}")] {
            repository.set_odd_ref(&name, &head);
        }
        let ran = app.add(&repository).await;
        assert_eq!(ran[0].end, End::Success, "{}", ran[0].message);
        let dist = app.reader().get(&format!("/repo/acme/dists/acme/lib/{head}.zip")).await;
        assert_eq!(dist.status, 200);

        let commands = app.git_log();
        assert!(!commands.is_empty());
        assert!(!commands.contains("lesson"), "{commands}");
    }

    /// CVE-2024-24821: code in the project's folder was run. A registry has even less reason to.
    async fn no_code_of_a_package_is_run(url: String) {
        let app = TestApp::start(&url).await;
        let repository = GitRepository::new();
        let ran = repository.path().join("ran");
        let touch = format!("touch {}", ran.display());
        let php = format!("<?php file_put_contents('{}', '');", ran.display());
        let scripts = ["pre-install-cmd", "post-update-cmd", "post-autoload-dump", "pre-archive-cmd", "post-archive-cmd"]
            .map(|event| format!(r#""{event}": ["{touch}"]"#));
        let manifest = format!(
            r#"{{"name": "acme/plugin", "type": "composer-plugin", "scripts": {{{}}},
                "extra": {{"class": "Evil"}}, "autoload": {{"files": ["evil.php"]}}, "bin": ["evil"]}}"#,
            scripts.join(", ")
        );
        let commit = repository
            .commit("main")
            .file("composer.json", &manifest)
            .file("evil.php", &php)
            .file("vendor/autoload.php", &php)
            .file("vendor/composer/InstalledVersions.php", &php)
            .executable("evil", format!("#!/bin/sh\n{touch}\n"))
            .file(".gitattributes", "* filter=evil diff=evil merge=evil export-subst\n")
            .file(".git-hooks/post-checkout", &touch)
            .create();
        repository.tag("1.0.0", &commit);
        app.add(&repository).await;
        assert_eq!(app.reader().get(&format!("/repo/acme/dists/acme/plugin/{commit}.zip")).await.status, 200);
        assert!(!ran.exists());
        let metadata = app.reader().get("/repo/acme/p2/acme/plugin.json").await.text();
        assert!(!metadata.contains("scripts") && !metadata.contains("touch"), "{metadata}");
    }

    /// CVE-2026-40176 and CVE-2026-40261: `source` blocks of Perforce ran commands in clients, also where Perforce was not
    /// installed. packagist.org drops them, and Fossil's.
    async fn sources_of_perforce_and_fossil_are_neither_served_nor_added(url: String) {
        let app = TestApp::start(&url).await;
        for (number, kind) in ["perforce", "fossil", "p4", "hg", "svn"].into_iter().enumerate() {
            let manifest = format!(
                r#"{{"name": "acme/lib{number}", "source": {{"type": "{kind}", "url": "x; id", "reference": "$(id)"}},
                    "dist": {{"type": "{kind}", "url": "file:///etc/passwd"}},
                    "repositories": [{{"type": "{kind}", "url": "x; id"}}]}}"#
            );
            let repository = GitRepository::with_releases(&[("1.0.0", &manifest)]);
            app.add(&repository).await;
            let answer = app.reader().get(&format!("/repo/acme/p2/acme/lib{number}.json")).await;
            let version = &answer.json()["packages"][format!("acme/lib{number}")][0];
            assert_eq!(version["source"]["type"], "git");
            assert_eq!(version["source"]["url"], repository.url());
            assert_eq!(version["dist"]["type"], "zip");
            let body = answer.text();
            for word in [kind, "x; id", "$(id)", "passwd", "repositories"] {
                assert!(word == "p4" || !body.contains(&format!("\"{word}\"")), "{word} is in {body}");
            }
        }
        for address in [
            "p4://host:1666/depot", "perforce://host/depot", "fossil://host/repo", "fossil+https://h/r",
            "hg::https://host/repo", "hg+ssh://host/repo", "svn://host/repo", "svn+ssh://host/repo", "bzr://host/repo",
            "ext::sh -c id", "P4://host/depot",
        ] {
            let added = package::add(&app.registry, &Actor::Operator, app.organization_id, address, None).await;
            assert!(added.is_err(), "{address}");
        }
        assert!(app.work().await.is_empty());
    }

    /// GHSA-f9f8-rm49-7jv2 (CVE-2026-45793): a token whose form was not known was refused, and printed on the way.
    async fn a_token_of_an_unknown_form_is_never_repeated(url: String) {
        let app = TestApp::start(&url).await;
        let unknown = [
            "ghs_0123abcd-EFGH-lesson", "github_pat_11AAA_lesson", "glpat-lesson.01.abc", "lesson%00", "lesson==", "../lesson",
            "x'lesson\"<b>",
        ];
        for token in unknown {
            for place in ["/repo/acme/packages.json", "/repo/acme/p2/acme/lib.json", "/repo/acme/search.json?q=x"] {
                let answer = app.holding(token).get(place).await;
                assert_eq!(answer.status, 401, "{token}");
                assert!(!answer.text().contains("lesson"), "{}", answer.text());
                let headers = format!("{:?}", answer.headers);
                assert!(!headers.contains("lesson"), "{headers}");
            }
        }
    }

    /// GL#331601, CVE-2026-3073: one route forgot to ask who may. Here every route below an organization is tried, by
    /// everybody who may not.
    async fn no_route_forgets_to_ask(url: String) {
        let app = TestApp::start(&url).await;
        let repository = GitRepository::new();
        let commit = repository.release("1.0.0", r#"{"name": "acme/lib", "description": "lesson", "provide": {"acme/api": "1"}}"#);
        app.add(&repository).await;
        let routes = [
            "packages.json".to_owned(), "packages/packages.json".to_owned(), "p2/acme/lib.json".to_owned(),
            "p2/acme/lib~dev.json".to_owned(), format!("dists/acme/lib/{commit}.zip"), "search.json?q=lib".to_owned(),
            "packages/list.json".to_owned(), "providers/acme/api.json".to_owned(), "metadata/changes.json?since=0".to_owned(),
            "security-advisories?packages[]=acme/lib".to_owned(), String::new(), "some/thing".to_owned(),
        ];
        let none = [app.anonymous(), app.holding(&app.tokens.revoked), app.holding("guess")];
        for route in &routes {
            // Written so, the address does not lead to what memory holds.
            for place in [format!("/repo/acme/{route}"), format!("/repo/%61cme/{route}"), format!("/repo/ACME/{route}")] {
                for nobody in &none {
                    let answer = nobody.get(&place).await;
                    assert_eq!(answer.status, 401, "{place}");
                    assert_eq!(nobody.head(&place).await.status, 401, "{place}");
                    assert!(!answer.text().contains("lesson"), "{place}");
                }
                let stranger = app.stranger().get(&place).await;
                assert_eq!(stranger.status, 404, "{place}");
                assert!(!stranger.text().contains("lesson"), "{place}");
            }
            let ours = app.reader().get(&format!("/repo/acme/{route}")).await.status;
            assert_eq!(ours, if route == "some/thing" { 404 } else { 200 }, "{route}");
        }
    }

    /// laravel-lang (May 2026), intercom-php (April 2026): about 700 tags were pointed at commits with code to be run at
    /// once (`autoload.files`). Today the metadata follows the tag; what lock files name keeps its bytes, whatever is then
    /// served under the version.
    async fn a_tag_that_is_pointed_elsewhere_changes_nothing_for_lock_files(url: String) {
        let app = TestApp::start(&url).await;
        let repository = GitRepository::new();
        let good = repository.release("1.0.0", r#"{"name": "acme/lib"}"#);
        app.add(&repository).await;
        let place = format!("/repo/acme/dists/acme/lib/{good}.zip");
        let before = app.reader().get(&place).await;
        let old = app.reader().get("/repo/acme/p2/acme/lib.json").await;

        let evil = repository
            .commit("evil")
            .orphan()
            .file("composer.json", r#"{"name": "acme/lib", "autoload": {"files": ["evil.php"]}}"#)
            .file("evil.php", "<?php")
            .create();
        repository.tag("1.0.0", &evil);
        repository.branch("main", &evil);
        app.sync("acme/lib").await;
        app.lose_mirrors();

        let after = app.reader().get(&place).await;
        assert_eq!((after.status, &after.body, after.header("etag")), (200, &before.body, before.header("etag")));
        let new = app.reader().get("/repo/acme/p2/acme/lib.json").await;
        assert!(new.text().contains(&evil) && !new.text().contains(&good), "{}", new.text());
        assert_ne!(new.header("last-modified"), old.header("last-modified"));
    }
}
