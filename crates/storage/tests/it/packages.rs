//! Packages, their versions, and finding them.

use std::sync::Arc;

use kapelle_storage::Transaction;
use kapelle_storage::db::linked_names::{self, Relation};
use kapelle_storage::db::packages::{self, Package};
use kapelle_storage::db::versions;
use kapelle_testing::on_both_databases;

use crate::world::{NOW, identity, named_package, open, organization, package, version};

on_both_databases! {
    async fn a_removed_package_leaves_its_name_and_repository_to_another(url: String) {
        let db = open(&url).await;
        let acme = organization(&db, "acme").await;
        let mut tx = db.write().await.unwrap();
        let first = named_package(&mut tx, acme, "acme/lib", "").await;
        packages::remove(&mut tx, first, NOW).await.unwrap();
        assert_eq!(packages::find_by_name(&mut tx, acme, "acme/lib").await.unwrap(), None);
        let second = named_package(&mut tx, acme, "acme/lib", "").await;
        let all = packages::find_any_by_name(&mut tx, acme, "acme/lib").await.unwrap();
        assert_eq!(ids(&all), [second, first]);
        assert_eq!(ids(&packages::list(&mut tx, acme, true, 0, 10).await.unwrap()), [first]);
        assert_eq!(ids(&packages::list(&mut tx, acme, false, 0, 10).await.unwrap()), [second]);
        assert_eq!(packages::count(&mut tx, acme).await.unwrap(), 1);
        tx.commit().await.unwrap();

        let mut tx = db.write().await.unwrap();
        assert!(packages::restore(&mut tx, first).await.unwrap_err().is_duplicate());
        drop(tx);
        let mut tx = db.write().await.unwrap();
        packages::remove(&mut tx, second, NOW + 1).await.unwrap();
        packages::restore(&mut tx, first).await.unwrap();
        assert_eq!(packages::find_by_name(&mut tx, acme, "acme/lib").await.unwrap().unwrap().id, first);
    }

    async fn a_name_is_taken_once_per_organization(url: String) {
        let db = open(&url).await;
        let (acme, other) = (organization(&db, "acme").await, organization(&db, "other").await);
        let mut tx = db.write().await.unwrap();
        named_package(&mut tx, acme, "acme/lib", "").await;
        named_package(&mut tx, other, "acme/lib", "").await;
        let rival = package(&mut tx, acme, "example.org/rival").await;
        assert!(packages::set_identity(&mut tx, rival, identity("acme/lib", "")).await.unwrap_err().is_duplicate());
    }

    async fn a_hook_finds_live_packages_by_repository(url: String) {
        let db = open(&url).await;
        let (acme, other) = (organization(&db, "acme").await, organization(&db, "other").await);
        let mut tx = db.write().await.unwrap();
        let mine = package(&mut tx, acme, "example.org/a").await;
        let theirs = package(&mut tx, other, "example.org/a").await;
        let find = async |tx: &mut Transaction, of| ids(&packages::find_by_repository_key(tx, of, "example.org/a").await.unwrap());
        assert_eq!(find(&mut tx, None).await, [mine, theirs]);
        assert_eq!(find(&mut tx, Some(acme)).await, [mine]);
        packages::set_repository(&mut tx, mine, "https://example.org/b", "example.org/b", "git").await.unwrap();
        packages::remove(&mut tx, theirs, NOW).await.unwrap();
        assert_eq!(find(&mut tx, None).await, Vec::<i64>::new());
    }

    async fn only_packages_with_a_live_version_have_a_name_to_offer(url: String) {
        let db = open(&url).await;
        let acme = organization(&db, "acme").await;
        let mut tx = db.write().await.unwrap();
        named_package(&mut tx, acme, "acme/b", "").await;
        named_package(&mut tx, acme, "acme/a-a", "").await;
        let empty = named_package(&mut tx, acme, "acme/empty", "").await;
        package(&mut tx, acme, "example.org/unnamed").await;
        let version = versions::find_live(&mut tx, empty, "1.0.0").await.unwrap().unwrap();
        versions::remove(&mut tx, &[version.id], NOW).await.unwrap();
        let first = packages::names(&mut tx, acme, 0, 1).await.unwrap();
        let rest = packages::names(&mut tx, acme, first[0].id, 10).await.unwrap();
        let names: Vec<&str> = first.iter().chain(&rest).map(|named| named.name.as_str()).collect();
        assert_eq!(names, ["acme/b", "acme/a-a"]);
        for (limit, more) in [(2, true), (3, false)] {
            assert_eq!(packages::are_more_than(&mut tx, acme, limit).await.unwrap(), more, "{limit}");
        }
    }

    async fn search_wants_every_term_and_takes_wildcards_literally(url: String) {
        let db = open(&url).await;
        let acme = organization(&db, "acme").await;
        let mut tx = db.write().await.unwrap();
        named_package(&mut tx, acme, "acme/http-client", "Sends 100% of Requests").await;
        named_package(&mut tx, acme, "acme/http-server", "Answers requests_now!").await;
        let plugin = named_package(&mut tx, acme, "acme/plugin", "Ümlaut").await;
        let plugin_type = packages::Identity { package_type: "composer-plugin", ..identity("acme/plugin", "Ümlaut") };
        packages::set_identity(&mut tx, plugin, plugin_type).await.unwrap();
        for (terms, kind, expected) in [
            (&["HTTP"] as &[&str], None, &["acme/http-client", "acme/http-server"] as &[&str]),
            (&["http", "sends"], None, &["acme/http-client"]),
            (&["100%"], None, &["acme/http-client"]),
            (&["s_n"], None, &["acme/http-server"]),
            (&["now!"], None, &["acme/http-server"]),
            (&["%"], None, &["acme/http-client"]),
            (&["Üml"], None, &["acme/plugin"]),
            (&[], None, &["acme/http-client", "acme/http-server", "acme/plugin"]),
            (&[], Some("composer-plugin"), &["acme/plugin"]),
            (&["a", "c", "m", "e", "ignored"], Some("library"), &["acme/http-client", "acme/http-server"]),
        ] {
            let (rows, total) = packages::search(&mut tx, acme, terms, kind, 10, 0).await.unwrap();
            let names: Vec<_> = rows.iter().filter_map(|row| row.name.as_deref()).collect();
            assert_eq!((names.as_slice(), total), (expected, i64::try_from(expected.len()).unwrap()), "{terms:?}");
        }
        let (page, total) = packages::search(&mut tx, acme, &[], None, 1, 1).await.unwrap();
        assert_eq!((page[0].name.as_deref(), total), (Some("acme/http-server"), 3));
        let long = "x".repeat(100_000);
        assert_eq!(packages::search(&mut tx, acme, &[&long], None, 1, 0).await.unwrap().1, 0);
    }

    async fn providers_are_found_by_the_names_of_their_versions(url: String) {
        let db = open(&url).await;
        let acme = organization(&db, "acme").await;
        let mut tx = db.write().await.unwrap();
        let id = named_package(&mut tx, acme, "acme/log", "").await;
        let names = ["psr/log-implementation".to_owned(), "acme/old".to_owned(), "acme/old".to_owned()];
        linked_names::replace(&mut tx, id, Relation::Provides, &names).await.unwrap();
        assert_eq!(ids(&packages::linked(&mut tx, acme, Relation::Provides, "acme/old").await.unwrap()), [id]);
        linked_names::replace(&mut tx, id, Relation::Provides, &names[..1]).await.unwrap();
        assert_eq!(linked_names::list(&mut tx, id, Relation::Provides).await.unwrap(), ["psr/log-implementation"]);
        assert_eq!(packages::linked(&mut tx, acme, Relation::Provides, "acme/old").await.unwrap(), []);
    }

    async fn a_moved_version_keeps_the_moment_it_was_first_published(url: String) {
        let db = open(&url).await;
        let acme = organization(&db, "acme").await;
        let mut tx = db.write().await.unwrap();
        let package = named_package(&mut tx, acme, "acme/lib", "").await;
        let before = versions::find_live(&mut tx, package, "1.0.0").await.unwrap().unwrap();
        let moved = versions::Version { reference: "ffff".to_owned(), ..before.clone() };
        versions::update(&mut tx, [&moved], NOW + 5).await.unwrap();
        versions::set_default_branch(&mut tx, before.id, true, NOW + 6).await.unwrap();
        let after = versions::find_live(&mut tx, package, "1.0.0").await.unwrap().unwrap();
        let expected = versions::Version {
            reference: "ffff".to_owned(),
            default_branch: true,
            updated_at: NOW + 6,
            ..before
        };
        assert_eq!(after, expected);
    }

    async fn a_removed_version_makes_room_for_a_new_one_and_stays_as_a_tombstone(url: String) {
        let db = open(&url).await;
        let acme = organization(&db, "acme").await;
        let mut tx = db.write().await.unwrap();
        let package = named_package(&mut tx, acme, "acme/lib", "").await;
        let first = versions::find_live(&mut tx, package, "1.0.0").await.unwrap().unwrap();
        versions::remove(&mut tx, &[first.id], NOW).await.unwrap();
        assert!(versions::remove(&mut tx, &[first.id], NOW).await.is_err());
        assert!(versions::update(&mut tx, [&first], NOW).await.is_err());
        versions::insert(&mut tx, [&version(package, "1.0.0")], NOW).await.unwrap();
        let live = versions::list_live(&mut tx, package).await.unwrap();
        assert_eq!(live.iter().map(|version| version.id > first.id).collect::<Vec<_>>(), [true]);
        assert_eq!(versions::list_all(&mut tx, package).await.unwrap().len(), 2);
        assert_eq!(versions::count(&mut tx, package).await.unwrap(), 1);
        assert_eq!(versions::purge(&mut tx, package, 100).await.unwrap(), 2);
    }

    async fn a_live_version_is_not_added_twice(url: String) {
        let db = open(&url).await;
        let acme = organization(&db, "acme").await;
        let mut tx = db.write().await.unwrap();
        let package = named_package(&mut tx, acme, "acme/lib", "").await;
        let both = [version(package, "2.0.0"), version(package, "1.0.0")];
        assert!(versions::insert(&mut tx, &both, NOW).await.unwrap_err().is_duplicate());
    }

    async fn what_many_rows_say_comes_back_as_it_was(url: String) {
        let db = open(&url).await;
        let acme = organization(&db, "acme").await;
        let mut tx = db.write().await.unwrap();
        let package = package(&mut tx, acme, "example.org/a").await;
        let odd: String = ('\u{1}'..='\u{2ff}').chain("\u{2028}\u{fffe}😀".chars()).collect();
        let manifests = [odd.as_str(), r#"{"a\u0000b": "\\u0000 \" \/ \ud800"}"#, "", "null", "'$1", "1e3", "\u{10ffff}"];
        let mut expected = Vec::new();
        for (number, manifest) in manifests.into_iter().enumerate() {
            expected.push(versions::Version {
                manifest: manifest.into(),
                default_branch: number == 1,
                released_at: [i64::MIN, i64::MAX, 0, -1][number % 4],
                published_at: [i64::MAX, (1 << 53) + 1, i64::MIN, 7][number % 4],
                ..version(package, &format!("{number}.0.0"))
            });
        }
        // More than SQLite packs into one row.
        expected.extend((10..80).map(|number| version(package, &format!("{number}.0.0"))));
        // More than goes into one text.
        let long: Arc<str> = "\"\u{e9}".repeat(700_000).into();
        for number in 7..10 {
            let manifest = Arc::clone(&long);
            expected.push(versions::Version { manifest, ..version(package, &format!("{number}.0.0")) });
        }
        versions::insert(&mut tx, &expected, NOW).await.unwrap();
        let without_id = |version: versions::Version| versions::Version { id: 0, ..version };
        let found = versions::list_live(&mut tx, package).await.unwrap();
        assert!(found.iter().cloned().map(without_id).eq(expected.iter().cloned()));

        let turned: Vec<_> = found.iter().zip(expected.iter().rev()).collect();
        let turned = turned.into_iter().map(|(version, other)| versions::Version {
            manifest: other.manifest.clone(),
            released_at: other.released_at,
            ..version.clone()
        });
        let turned: Vec<_> = turned.collect();
        versions::update(&mut tx, &turned, NOW).await.unwrap();
        assert!(versions::list_live(&mut tx, package).await.unwrap() == turned);
    }

    async fn a_text_with_nul_is_refused_among_many_rows(url: String) {
        let db = open(&url).await;
        let acme = organization(&db, "acme").await;
        let mut tx = db.write().await.unwrap();
        let package = package(&mut tx, acme, "example.org/a").await;
        let bad = versions::Version { manifest: "{\0}".into(), ..version(package, "2.0.0") };
        let error = versions::insert(&mut tx, &[version(package, "1.0.0"), bad], NOW).await.unwrap_err();
        assert_eq!(error.to_string(), r#"a text contains a NUL character, which cannot be stored: "{\0}""#);
        assert_eq!(versions::list_all(&mut tx, package).await.unwrap(), []);
    }
}

fn ids(packages: &[Package]) -> Vec<i64> {
    packages.iter().map(|package| package.id).collect()
}
