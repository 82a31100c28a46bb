//! A blob that somebody is about to refer to is never deleted.

use kapelle_storage::db::blobs::{self, Touched};
use kapelle_storage::db::dists::{self, Dist};
use kapelle_storage::db::package_references;
use kapelle_storage::{Database, StorageError};
use kapelle_testing::on_both_databases;

use crate::world::{NOW, open, organization, package};

const SHA256: &[u8] = &[7; 32];
const LATER: i64 = NOW + 1_000_000;

on_both_databases! {
    async fn only_a_blob_that_nothing_refers_to_and_nobody_touched_is_collected(url: String) {
        let db = open(&url).await;
        let package = new_package(&db).await;
        let mut tx = db.write().await.unwrap();
        assert_eq!(blobs::touch(&mut tx, SHA256, 5, NOW).await.unwrap(), Touched::Live);
        assert_eq!(blobs::claim_deletable(&mut tx, SHA256, NOW, LATER).await.unwrap(), None);
        assert_eq!(blobs::touch(&mut tx, SHA256, 5, NOW + 5).await.unwrap(), Touched::Live);
        assert_eq!(blobs::claim_deletable(&mut tx, SHA256, NOW + 5, LATER).await.unwrap(), None);
        assert!(dists::insert_if_absent(&mut tx, &dist(package, "aa")).await.unwrap());
        assert_eq!(blobs::claim_deletable(&mut tx, SHA256, LATER + 1, LATER + 2).await.unwrap(), None);
        assert!(dists::delete(&mut tx, package, "aa").await.unwrap());
        let claimed = blobs::claim_deletable(&mut tx, SHA256, LATER + 1, LATER + 2).await.unwrap().unwrap();
        assert_eq!((claimed.sha256.as_slice(), claimed.size), (SHA256, 5));
    }

    async fn a_writer_waits_while_a_blob_is_being_deleted(url: String) {
        let db = open(&url).await;
        let package = new_package(&db).await;
        let mut tx = db.write().await.unwrap();
        blobs::touch(&mut tx, SHA256, 5, NOW).await.unwrap();
        assert!(!blobs::drop_row(&mut tx, SHA256).await.unwrap());
        blobs::claim_deletable(&mut tx, SHA256, LATER, LATER).await.unwrap().unwrap();
        assert_eq!(blobs::touch(&mut tx, SHA256, 5, LATER + 1).await.unwrap(), Touched::Deleting);
        let error = dists::insert_if_absent(&mut tx, &dist(package, "aa")).await.unwrap_err();
        assert!(matches!(error, StorageError::BlobGone { .. }), "{error}");

        assert!(blobs::drop_row(&mut tx, SHA256).await.unwrap());
        assert_eq!(blobs::find(&mut tx, SHA256).await.unwrap(), None);
        assert_eq!(blobs::touch(&mut tx, SHA256, 5, LATER + 2).await.unwrap(), Touched::Live);
        assert!(dists::insert_if_absent(&mut tx, &dist(package, "aa")).await.unwrap());
    }

    async fn what_a_lost_collector_left_is_claimed_again(url: String) {
        let db = open(&url).await;
        let mut tx = db.write().await.unwrap();
        blobs::touch(&mut tx, SHA256, 5, NOW).await.unwrap();
        for (before, now, claimed) in [(LATER, LATER, true), (LATER, LATER, false), (LATER + 1, LATER * 2, true)] {
            let blob = blobs::claim_deletable(&mut tx, SHA256, before, now).await.unwrap();
            assert_eq!(blob.is_some(), claimed);
        }
    }

    async fn a_collector_and_a_writer_at_the_same_time_never_both_win(url: String) {
        let db = open(&url).await;
        let package = new_package(&db).await;
        for round in 0..40_u8 {
            let sha256 = vec![round; 32];
            let mut tx = db.write().await.unwrap();
            blobs::touch(&mut tx, &sha256, 5, NOW).await.unwrap();
            tx.commit().await.unwrap();
            let writer = tokio::spawn(refer(db.clone(), package, sha256.clone()));
            let collector = tokio::spawn(collect(db.clone(), sha256, round % 2 == 0));
            let (referred, claimed) = (writer.await.unwrap(), collector.await.unwrap());
            assert_ne!(referred, claimed, "round {round}");
        }
    }

    async fn the_first_dist_of_a_commit_wins_for_ever(url: String) {
        let db = open(&url).await;
        let package = new_package(&db).await;
        let mut tx = db.write().await.unwrap();
        blobs::touch(&mut tx, SHA256, 5, NOW).await.unwrap();
        for reference in ["aa", "bb", "cc"] {
            package_references::publish(&mut tx, [(package, reference); 2], "here", NOW).await.unwrap();
            package_references::publish(&mut tx, [(package, reference)], "there", NOW + 1).await.unwrap();
        }
        assert!(dists::insert_if_absent(&mut tx, &dist(package, "aa")).await.unwrap());
        let other = Dist { sha1: "other".to_owned(), ..dist(package, "aa") };
        assert!(!dists::insert_if_absent(&mut tx, &other).await.unwrap());
        assert_eq!(dists::find(&mut tx, package, "aa").await.unwrap(), Some(dist(package, "aa")));
        assert_eq!(dists::shown(&mut tx, package).await.unwrap()["aa"].sha1, "1234");

        package_references::mark_purged(&mut tx, package, "bb", NOW + 9).await.unwrap();
        assert_eq!(package_references::list_without_dist(&mut tx, package, 10).await.unwrap(), ["cc"]);
        let purged = package_references::find(&mut tx, package, "bb").await.unwrap().unwrap();
        assert_eq!((purged.published_at, purged.purged_at), (NOW, Some(NOW + 9)));
        assert_eq!(purged.depot.as_deref(), Some("there"));
        assert_eq!(package_references::mark_all_purged(&mut tx, package, NOW).await.unwrap(), 2);
        assert_eq!(dists::delete_all(&mut tx, package).await.unwrap(), 1);
    }
}

on_both_databases! {
    async fn dists_that_are_added_at_once_are_like_others(url: String) {
        let db = open(&url).await;
        let package = new_package(&db).await;
        let mut tx = db.write().await.unwrap();
        let other = Dist { sha256: vec![0, 255], has_lfs: true, ..dist(package, "bb") };
        let dists = [dist(package, "aa"), other];
        let blobs = dists.iter().map(|dist| (dist.sha256.as_slice(), dist.size));
        blobs::insert_all(&mut tx, blobs, NOW).await.unwrap();
        dists::insert_all(&mut tx, &dists).await.unwrap();
        assert_eq!(dists::list(&mut tx, package).await.unwrap(), dists);
        let blob = blobs::find(&mut tx, &[0, 255]).await.unwrap().unwrap();
        assert_eq!((blob.size, blob.state.as_str(), blob.touched_at), (dists[1].size, "live", NOW));
    }

    async fn a_commit_is_lost_until_somebody_has_it_again(url: String) {
        let db = open(&url).await;
        let package = new_package(&db).await;
        let mut tx = db.write().await.unwrap();
        blobs::touch(&mut tx, SHA256, 5, NOW).await.unwrap();
        for reference in ["aa", "bb", "cc", "dd"] {
            package_references::publish(&mut tx, [(package, reference); 2], "here", NOW).await.unwrap();
        }
        dists::insert_if_absent(&mut tx, &dist(package, "aa")).await.unwrap();
        package_references::mark_purged(&mut tx, package, "bb", NOW).await.unwrap();
        for (reference, is_news) in [("aa", false), ("bb", false), ("cc", true), ("cc", false), ("dd", true)] {
            let marked = package_references::mark_lost(&mut tx, package, reference, NOW + 5).await.unwrap();
            assert_eq!(marked, is_news, "{reference}");
        }
        let lost = package_references::list_lost(&mut tx, package).await.unwrap();
        let lost: Vec<_> = lost.iter().map(|lost| (lost.reference.as_str(), lost.lost_at)).collect();
        assert_eq!(lost, [("cc", Some(NOW + 5)), ("dd", Some(NOW + 5))]);
        package_references::publish(&mut tx, [(package, "cc")], "there", NOW + 9).await.unwrap();
        package_references::mark_found(&mut tx, package, "dd").await.unwrap();
        assert_eq!(package_references::list_lost(&mut tx, package).await.unwrap(), []);
    }
}

async fn new_package(db: &Database) -> i64 {
    let organization = organization(db, "acme").await;
    let mut tx = db.write().await.unwrap();
    let id = package(&mut tx, organization, "example.org/a").await;
    tx.commit().await.unwrap();
    id
}

fn dist(package_id: i64, reference: &str) -> Dist {
    Dist {
        package_id,
        reference: reference.to_owned(),
        sha256: SHA256.to_vec(),
        sha1: "1234".to_owned(),
        size: 5,
        has_submodules: false,
        has_lfs: true,
        created_at: LATER,
        extension: "zip".to_owned(),
    }
}

/// Whether a dist now refers to the blob.
async fn refer(db: Database, package: i64, sha256: Vec<u8>) -> bool {
    let mut tx = db.write().await.unwrap();
    let dist = Dist {
        sha256: sha256.clone(),
        ..dist(package, &hex::encode(sha256))
    };
    let inserted = dists::insert_if_absent(&mut tx, &dist).await;
    tokio::task::yield_now().await;
    match inserted {
        Ok(inserted) => tx.commit().await.map(|()| inserted).unwrap(),
        Err(StorageError::BlobGone { .. }) => false,
        Err(error) => panic!("{error}"),
    }
}

/// Whether the blob was claimed, in one of the two ways.
async fn collect(db: Database, sha256: Vec<u8>, by_name: bool) -> bool {
    let mut tx = db.write().await.unwrap();
    let claimed = if by_name {
        blobs::claim(&mut tx, &sha256, LATER + 1).await
    } else {
        blobs::claim_deletable(&mut tx, &sha256, LATER, LATER + 1).await
    };
    let claimed = claimed.unwrap().is_some();
    tokio::task::yield_now().await;
    tx.commit().await.unwrap();
    claimed
}
