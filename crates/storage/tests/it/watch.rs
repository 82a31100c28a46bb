//! Waking up on changes.

use std::time::Duration;

use kapelle_storage::Database;
use kapelle_storage::db::changes;
use kapelle_testing::on_both_databases;

use crate::world::{NOW, open, organization};

on_both_databases! {
    async fn a_change_of_another_process_wakes_a_watcher(url: String) {
        let db = open(&url).await;
        let id = organization(&db, "acme").await;
        let other = Database::connect(&url).await.unwrap();
        let mut watcher = db.watch().await.unwrap();
        let mut tx = other.write().await.unwrap();
        changes::append(&mut tx, NOW, id, "package", "update", "acme/lib").await.unwrap();
        tx.commit().await.unwrap();
        assert!(watcher.changed(Duration::from_secs(30)).await.unwrap());
        assert!(!watcher.changed(Duration::ZERO).await.unwrap());
        watcher.close().await.unwrap();
    }

    async fn a_change_before_the_wait_is_not_missed(url: String) {
        let db = open(&url).await;
        let mut watcher = db.watch().await.unwrap();
        let id = organization(&db, "acme").await;
        let mut tx = db.write().await.unwrap();
        changes::append(&mut tx, NOW, id, "token", "delete", "1").await.unwrap();
        tx.commit().await.unwrap();
        assert!(watcher.changed(Duration::from_secs(30)).await.unwrap());
    }
}
