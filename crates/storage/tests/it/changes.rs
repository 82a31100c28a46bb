//! The sequence of changes.

use kapelle_storage::Database;
use kapelle_storage::db::changes::{self, Change};
use kapelle_testing::on_both_databases;

use crate::world::{NOW, open, organization};

on_both_databases! {
    async fn places_follow_the_clock_and_never_go_back(url: String) {
        let db = open(&url).await;
        let id = organization(&db, "acme").await;
        let mut places = Vec::new();
        for now in [NOW, NOW, NOW - 5000, NOW + 1] {
            let mut tx = db.write().await.unwrap();
            places.push(changes::append(&mut tx, now, id, "package", "update", "acme/lib").await.unwrap() - NOW * 10);
            tx.commit().await.unwrap();
        }
        assert_eq!(places, [0, 1, 2, 10]);
    }

    async fn changes_that_are_noted_together_follow_each_other(url: String) {
        let db = open(&url).await;
        let id = organization(&db, "acme").await;
        let mut tx = db.write().await.unwrap();
        let change = |name| Change::new(id, "package", "update", name);
        assert_eq!(changes::append_all(&mut tx, NOW, &["a/a", "b/b"].map(change)).await.unwrap(), NOW * 10 + 1);
        assert_eq!(changes::append_all(&mut tx, NOW, &[]).await.unwrap(), NOW * 10 + 1);
        assert_eq!(changes::append_all(&mut tx, NOW, &["c/c", "d/d"].map(change)).await.unwrap(), NOW * 10 + 3);
        let all = changes::since(&mut tx, 0, 10).await.unwrap();
        let all: Vec<_> = all.iter().map(|change| (change.seq - NOW * 10, change.name.as_str())).collect();
        assert_eq!(all, [(0, "a/a"), (1, "b/b"), (2, "c/c"), (3, "d/d")]);
    }

    async fn a_follower_never_misses_a_change_of_concurrent_writers(url: String) {
        let db = open(&url).await;
        let id = organization(&db, "acme").await;
        let writers: Vec<_> = (0..4).map(|writer| tokio::spawn(write(db.clone(), id, writer))).collect();
        let mut seen: Vec<Change> = Vec::new();
        while seen.len() < 4 * 25 {
            let mut on = db.read().await.unwrap();
            let last = seen.last().map_or(0, |change| change.seq);
            seen.extend(changes::since(&mut on, last, 7).await.unwrap());
        }
        for writer in writers {
            writer.await.unwrap();
        }
        let mut on = db.read().await.unwrap();
        assert_eq!(seen, changes::since(&mut on, 0, 1000).await.unwrap());
        assert_eq!(seen.last().unwrap().seq, changes::latest(&mut on).await.unwrap());
    }

    async fn an_organization_sees_its_own_changes_in_a_window(url: String) {
        let db = open(&url).await;
        let (acme, other) = (organization(&db, "acme").await, organization(&db, "other").await);
        let mut tx = db.write().await.unwrap();
        let mut places = Vec::new();
        for (id, name) in [(acme, "a/a"), (other, "b/b"), (acme, "c/c"), (acme, "d/d")] {
            places.push(changes::append(&mut tx, NOW, id, "package", "update", name).await.unwrap());
        }
        let window = changes::since_for_organization(&mut tx, acme, places[0], Some(places[2]), 10).await.unwrap();
        assert_eq!(window.iter().map(|change| change.name.as_str()).collect::<Vec<_>>(), ["c/c"]);
        let rest = changes::since_for_organization(&mut tx, acme, places[0], None, 10).await.unwrap();
        assert_eq!(rest.len(), 2);
    }

    async fn pruning_keeps_the_newest_change_so_that_places_never_repeat(url: String) {
        let db = open(&url).await;
        let id = organization(&db, "acme").await;
        let mut tx = db.write().await.unwrap();
        assert_eq!(changes::oldest(&mut tx).await.unwrap(), 0);
        for name in ["a/a", "b/b", "c/c"] {
            changes::append(&mut tx, NOW, id, "package", "delete", name).await.unwrap();
        }
        assert_eq!(changes::prune(&mut tx, i64::MAX, 1).await.unwrap(), 1);
        assert_eq!(changes::oldest(&mut tx).await.unwrap(), NOW * 10 + 1);
        assert_eq!(changes::prune(&mut tx, i64::MAX, 100).await.unwrap(), 1);
        let next = changes::append(&mut tx, 0, id, "package", "update", "d/d").await.unwrap();
        assert_eq!(next, NOW * 10 + 3);
    }
}

async fn write(db: Database, id: i64, writer: i64) {
    for number in 0..25 {
        let mut tx = db.write().await.unwrap();
        changes::append(
            &mut tx,
            NOW + writer,
            id,
            "package",
            "update",
            &format!("{writer}/{number}"),
        )
        .await
        .unwrap();
        tx.commit().await.unwrap();
    }
}
