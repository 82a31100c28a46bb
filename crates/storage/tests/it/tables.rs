//! The tables whose rules are small.

use kapelle_storage::db::install_statistics::{self, Installs};
use kapelle_storage::db::nodes::{self, Node};
use kapelle_storage::db::package_refs::{self, PackageRef};
use kapelle_storage::db::{
    api_keys, audit, facts, organizations, ssh_host_keys, teams, tokens, users,
};
use kapelle_testing::on_both_databases;

use crate::world::{NOW, open, organization, package};

on_both_databases! {
    async fn a_token_is_found_by_its_hash_until_it_is_deleted(url: String) {
        let db = open(&url).await;
        let (acme, other) = (organization(&db, "acme").await, organization(&db, "other").await);
        let mut tx = db.write().await.unwrap();
        let new = tokens::NewToken {
            organization_id: acme,
            hash: b"hash",
            hint: "abcd",
            description: "ci",
            access: "read",
            created_at: NOW,
            expires_at: Some(NOW + 1),
        };
        let id = tokens::insert(&mut tx, new).await.unwrap();
        tokens::touch_last_used(&mut tx, &[(id, NOW + 5), (id, NOW + 3), (id + 1, NOW)]).await.unwrap();
        let found = tokens::find_by_hash(&mut tx, b"hash").await.unwrap().unwrap();
        assert_eq!((found.id, found.expires_at, found.last_used_at), (id, Some(NOW + 1), Some(NOW + 5)));
        assert_eq!(tokens::list(&mut tx, acme).await.unwrap(), [found]);
        assert!(!tokens::delete(&mut tx, other, id).await.unwrap());
        assert!(tokens::delete(&mut tx, acme, id).await.unwrap());
        assert_eq!(tokens::find_by_hash(&mut tx, b"hash").await.unwrap(), None);
    }

    async fn an_api_key_is_found_by_its_public_half(url: String) {
        let db = open(&url).await;
        let acme = organization(&db, "acme").await;
        let mut tx = db.write().await.unwrap();
        let new = api_keys::NewApiKey {
            organization_id: acme,
            key: "public",
            secret: b"sealed",
            description: "",
            access: "admin",
            created_at: NOW,
        };
        let id = api_keys::insert(&mut tx, new).await.unwrap();
        api_keys::touch_last_used(&mut tx, &[(id, NOW)]).await.unwrap();
        assert!(api_keys::exchange_secret(&mut tx, id, b"sealed", b"again").await.unwrap());
        assert!(!api_keys::exchange_secret(&mut tx, id, b"sealed", b"lost").await.unwrap());
        let found = api_keys::find_by_key(&mut tx, "public").await.unwrap().unwrap();
        assert_eq!((&*found.secret, found.last_used_at), (b"again".as_slice(), Some(NOW)));
        assert_eq!(api_keys::list(&mut tx, acme).await.unwrap(), [found]);
        assert!(api_keys::delete(&mut tx, acme, id).await.unwrap());
    }

    async fn setting_up_twice_makes_no_second_owner(url: String) {
        let db = open(&url).await;
        let acme = organization(&db, "acme").await;
        let mut tx = db.write().await.unwrap();
        let mut keys = Vec::new();
        for new in [true, false] {
            let user = users::upsert(&mut tx, "ada@example.org", NOW).await.unwrap();
            let team = teams::upsert(&mut tx, acme, "Owners", NOW).await.unwrap();
            assert_eq!(teams::add_member(&mut tx, team, user, NOW).await.unwrap(), new);
            keys.push((user, team));
        }
        assert_eq!(keys[0], keys[1]);
        assert_eq!(teams::list(&mut tx, acme).await.unwrap().len(), 1);
        assert_eq!(teams::members(&mut tx, keys[0].1).await.unwrap(), users::list(&mut tx).await.unwrap());
        let found = users::find_by_email(&mut tx, "ada@example.org").await.unwrap().unwrap();
        assert_eq!(found.id, keys[0].0);
    }

    async fn organizations_are_found_by_slug_and_listed(url: String) {
        let db = open(&url).await;
        let id = organization(&db, "b").await;
        organization(&db, "a").await;
        let mut on = db.read().await.unwrap();
        assert_eq!(organizations::find_by_slug(&mut on, "b").await.unwrap().unwrap().id, id);
        assert_eq!(organizations::find_by_slug(&mut on, "B").await.unwrap(), None);
        let slugs: Vec<_> = organizations::list(&mut on).await.unwrap().into_iter().map(|row| row.slug).collect();
        assert_eq!(slugs, ["a", "b"]);
    }

    async fn a_host_key_is_accepted_once(url: String) {
        let db = open(&url).await;
        let mut tx = db.write().await.unwrap();
        assert!(ssh_host_keys::insert(&mut tx, "example.org", "ssh-ed25519", "AAAA", NOW).await.unwrap());
        assert!(!ssh_host_keys::insert(&mut tx, "example.org", "ssh-ed25519", "BBBB", NOW).await.unwrap());
        assert!(ssh_host_keys::insert(&mut tx, "[example.org]:22", "ssh-ed25519", "CCCC", NOW).await.unwrap());
        let kept = ssh_host_keys::list(&mut tx, "example.org").await.unwrap();
        assert_eq!(kept[0].public_key, "AAAA");
        assert_eq!(ssh_host_keys::delete(&mut tx, "example.org").await.unwrap(), 1);
        assert_eq!(ssh_host_keys::list_all(&mut tx).await.unwrap().len(), 1);
    }

    async fn refs_are_replaced_and_deleted_by_name(url: String) {
        let db = open(&url).await;
        let acme = organization(&db, "acme").await;
        let mut tx = db.write().await.unwrap();
        let id = package(&mut tx, acme, "example.org/a").await;
        let tag = PackageRef { name: "refs/tags/1.0.0".into(), commit_id: "aa".into(), error: None };
        let bad = PackageRef { error: Some("no composer.json".into()), commit_id: "bb".into(), ..tag.clone() };
        let main = PackageRef { name: "refs/heads/main".into(), ..tag.clone() };
        package_refs::upsert(&mut tx, [(id, &tag), (id, &main)]).await.unwrap();
        package_refs::upsert(&mut tx, [(id, &bad)]).await.unwrap();
        assert_eq!(package_refs::list(&mut tx, id).await.unwrap(), [main, bad]);
        package_refs::delete(&mut tx, id, &["refs/tags/1.0.0".into(), "absent".into()]).await.unwrap();
        assert_eq!(package_refs::delete_all(&mut tx, id).await.unwrap(), 1);
    }

    async fn installs_of_a_day_add_up(url: String) {
        let db = open(&url).await;
        let acme = organization(&db, "acme").await;
        let mut tx = db.write().await.unwrap();
        let package_id = package(&mut tx, acme, "example.org/a").await;
        let one = |day, installs| Installs { package_id, version_normalized: "1.0.0.0".into(), day, installs };
        install_statistics::add(&mut tx, &[one(1, 2), one(2, 3), one(1, 5)]).await.unwrap();
        let found = install_statistics::for_package(&mut tx, package_id, 1, 1).await.unwrap();
        assert_eq!(found, [one(1, 7)]);
        assert_eq!(install_statistics::for_package(&mut tx, package_id, 0, 9).await.unwrap().len(), 2);
    }

    async fn a_node_is_alive_while_it_beats(url: String) {
        let db = open(&url).await;
        let mut tx = db.write().await.unwrap();
        let node = Node { name: "one".into(), kind: "serve".into(), started_at: NOW, seen_at: NOW };
        let later = Node { seen_at: NOW + 10, ..node.clone() };
        nodes::beat(&mut tx, &node).await.unwrap();
        nodes::beat(&mut tx, &later).await.unwrap();
        assert_eq!(nodes::list_alive(&mut tx, NOW + 10).await.unwrap(), [later]);
        assert_eq!(nodes::list_alive(&mut tx, NOW + 11).await.unwrap(), []);
        nodes::remove(&mut tx, "one").await.unwrap();
        assert_eq!(nodes::list_alive(&mut tx, 0).await.unwrap(), []);
    }

    async fn the_audit_is_paged_from_the_newest_entry(url: String) {
        let db = open(&url).await;
        let acme = organization(&db, "acme").await;
        let mut tx = db.write().await.unwrap();
        let mut keys = Vec::new();
        for organization_id in [None, Some(acme), Some(acme)] {
            let new = audit::NewAuditEntry {
                organization_id,
                at: NOW,
                actor: "cli",
                action: "package.add",
                subject: "acme/lib",
                detail: "{}",
            };
            keys.push(audit::insert(&mut tx, new).await.unwrap());
        }
        let page = audit::list(&mut tx, Some(acme), None, 1).await.unwrap();
        assert_eq!(page[0].id, keys[2]);
        let next = audit::list(&mut tx, Some(acme), Some(keys[2]), 10).await.unwrap();
        assert_eq!(next.iter().map(|entry| entry.id).collect::<Vec<_>>(), [keys[1]]);
        assert_eq!(audit::list(&mut tx, None, None, 10).await.unwrap().len(), 3);
    }

    async fn a_fact_is_written_over(url: String) {
        let db = open(&url).await;
        let mut tx = db.write().await.unwrap();
        facts::set(&mut tx, "url", "https://a").await.unwrap();
        facts::set(&mut tx, "url", "https://b").await.unwrap();
        assert_eq!(facts::get(&mut tx, "url").await.unwrap().as_deref(), Some("https://b"));
    }
}
