//! Documents' dates only move forward.

use kapelle_storage::db::documents;
use kapelle_testing::on_both_databases;

use crate::world::{open, organization};

const PATH: &str = "p2/acme/lib.json";
const BODY: documents::Body<'_> = documents::Body {
    base_url: "https://a",
    gzip: b"g",
    zstd: b"z",
    seal: b"s",
};

on_both_databases! {
    async fn a_date_never_repeats_whatever_the_clock_does(url: String) {
        let db = open(&url).await;
        let id = organization(&db, "acme").await;
        let mut tx = db.write().await.unwrap();
        let mut dates = Vec::new();
        for now in [100, 100, 50, 101, 200] {
            dates.push(documents::put(&mut tx, id, PATH, BODY, now).await.unwrap());
        }
        assert_eq!(dates, [100, 101, 102, 103, 200]);
    }

    async fn a_deleted_document_keeps_its_date_and_comes_back_with_a_newer_one(url: String) {
        let db = open(&url).await;
        let id = organization(&db, "acme").await;
        let mut tx = db.write().await.unwrap();
        assert_eq!(documents::clear(&mut tx, id, PATH, 100).await.unwrap(), None);
        documents::put(&mut tx, id, PATH, BODY, 100).await.unwrap();
        assert_eq!(documents::clear(&mut tx, id, PATH, 100).await.unwrap(), Some(101));
        assert_eq!(documents::clear(&mut tx, id, PATH, 300).await.unwrap(), None);
        let gone = documents::find(&mut tx, id, PATH).await.unwrap().unwrap();
        assert_eq!((gone.gzip, gone.zstd, gone.seal, gone.last_modified), (None, None, None, 101));
        assert!(documents::list(&mut tx, id).await.unwrap()[0].deleted);
        let other = documents::Body { base_url: "https://b", gzip: b"G", zstd: b"Z", seal: b"S" };
        assert_eq!(documents::put(&mut tx, id, PATH, other, 100).await.unwrap(), 102);
        let back = documents::find(&mut tx, id, PATH).await.unwrap().unwrap();
        let parts = [back.gzip, back.zstd, back.seal].map(Option::unwrap);
        assert_eq!(parts, [b"G", b"Z", b"S"].map(|part| part.to_vec()));
        let listed = documents::list(&mut tx, id).await.unwrap();
        assert_eq!((listed[0].base_url.as_str(), listed[0].deleted), ("https://b", false));
    }

    async fn two_organizations_do_not_share_a_path(url: String) {
        let db = open(&url).await;
        let (acme, other) = (organization(&db, "acme").await, organization(&db, "other").await);
        let mut tx = db.write().await.unwrap();
        documents::put(&mut tx, acme, PATH, BODY, 100).await.unwrap();
        assert_eq!(documents::find(&mut tx, other, PATH).await.unwrap(), None);
    }
}
