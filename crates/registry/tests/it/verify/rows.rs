//! Documents, versions, jobs and secrets that are not as they should be.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use kapelle_registry::clock::{DAY, MINUTE, SECOND};
use kapelle_registry::verify::Kind;
use kapelle_registry::{Actor, document, package};
use kapelle_storage::db::documents::{self, Document};
use kapelle_storage::db::{changes, jobs, organizations, package_references, versions};
use kapelle_testing::on_both_databases;

use super::{NOTHING, Published, kinds};

const TAGGED: &str = "p2/acme/lib.json";

impl Published {
    async fn document(&self, path: &str) -> Document {
        let mut connection = self.registry().database().read().await.unwrap();
        let found = documents::find(&mut connection, self.world.organization_id, path).await;
        found.unwrap().unwrap()
    }

    /// Writes a document as nobody does, with the seal of what was there.
    async fn write(&self, path: &str, gzip: &[u8], zstd: &[u8]) {
        let seal = self.document(path).await.seal.unwrap_or_default();
        let mut transaction = self.transaction().await;
        let id = self.world.organization_id;
        let base_url = "https://kapelle.example/";
        let body = documents::Body {
            base_url,
            gzip,
            zstd,
            seal: &seal,
        };
        documents::put(&mut transaction, id, path, body, 0)
            .await
            .unwrap();
        transaction.commit().await.unwrap();
    }

    /// The same with text in both forms.
    async fn write_text(&self, path: &str, text: &str) {
        self.write(
            path,
            &gzip(text),
            &zstd::bulk::compress(text.as_bytes(), 3).unwrap(),
        )
        .await;
    }

    async fn text(&self, path: &str) -> String {
        let place = format!("acme/{path}");
        let found = document::find(&self.world.other_process(), &Actor::Operator, &place)
            .await
            .unwrap();
        crate::world::body(&found).to_string()
    }
}

fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

on_both_databases! {
    async fn a_document_that_says_something_else_is_found_and_can_be_made_anew(url: String) {
        let published = Published::new(&url).await;
        let text = published.text(TAGGED).await.replace(">=8.1", ">=8.2");
        published.write_text(TAGGED, &text).await;
        let report = published.verify().await;
        assert_eq!(kinds(&report), (vec!["document_differs"], vec![]), "{report:#?}");
        assert_eq!(report.broken[0].about.document.as_deref(), Some(TAGGED));
        assert_eq!(published.found_quickly().await, (vec!["document_differs"], vec![]));

        // What the advice says.
        let same = package::Source::Repository { kind: "vcs".to_owned(), url: published.package.repository_url.clone() };
        let edit = package::Edit { source: Some(same), ..package::Edit::default() };
        package::edit(published.registry(), &Actor::Operator, &published.package, &edit).await.unwrap();
        published.world.work().await;
        assert_eq!(published.world.numbers(TAGGED).await, ["1.1.0", "1.0.0"]);
        assert_eq!(published.found().await, NOTHING);
    }

    async fn a_document_that_cannot_be_unpacked_is_found(url: String) {
        let published = Published::new(&url).await;
        let whole = published.document(TAGGED).await;
        let (gzip_form, zstd_form) = (whole.gzip.unwrap(), whole.zstd.unwrap());
        let cut = &gzip_form[..gzip_form.len() - 9];
        for (gzip_form, zstd_form) in [
            (cut, zstd_form.as_slice()),
            (gzip_form.as_slice(), b"no zstd".as_slice()),
            (&gzip("{}"), zstd_form.as_slice()),
        ] {
            published.write(TAGGED, gzip_form, zstd_form).await;
            assert_eq!(published.found().await, (vec!["document_damaged"], vec![]));
        }
        published.write(TAGGED, &gzip_form, &zstd_form).await;
        assert_eq!(published.found().await, NOTHING);
    }

    async fn a_document_is_written_again_only_if_it_says_something_else_or_is_damaged(url: String) {
        let published = Published::new(&url).await;
        let whole = published.document(TAGGED).await;
        let refreshed = async || {
            document::refresh_package(published.registry(), published.package.id, None).await.unwrap();
            published.document(TAGGED).await
        };
        assert_eq!(refreshed().await, whole);

        let zstd_form = whole.zstd.clone().unwrap();
        published.write(TAGGED, &gzip("{}"), &zstd_form).await;
        let damaged = published.document(TAGGED).await;
        let repaired = refreshed().await;
        assert_eq!((&repaired.gzip, &repaired.zstd), (&whole.gzip, &whole.zstd));
        assert!(repaired.last_modified > damaged.last_modified);
        assert_eq!(published.found().await, NOTHING);
    }

    async fn a_published_checksum_that_is_not_the_archives_is_found(url: String) {
        let published = Published::new(&url).await;
        let text = published.text(TAGGED).await;
        let at = text.rfind(r#""shasum":""#).unwrap() + 10;
        let wrong = format!("{}{}{}", &text[..at], "0".repeat(40), &text[at + 40..]);
        published.write_text(TAGGED, &wrong).await;
        assert_eq!(published.found().await, (vec!["shasum_differs"], vec![]));
    }

    async fn a_checksum_that_is_not_published_yet_is_fine(url: String) {
        let published = Published::unbuilt(&url).await;
        published.world.dist("acme/lib", &published.reference).await;
        assert_eq!(published.found().await, NOTHING);
    }

    async fn a_root_that_names_other_packages_is_found(url: String) {
        let published = Published::new(&url).await;
        let text = published.text("packages.json").await;
        published.write_text("packages.json", &text.replace("acme/lib", "acme/other")).await;
        assert_eq!(published.found().await, (vec!["document_differs"], vec![]));
    }

    async fn a_document_without_its_package_is_found(url: String) {
        let published = Published::new(&url).await;
        let text = published.text(TAGGED).await;
        package::remove(published.registry(), &Actor::Operator, &published.package).await.unwrap();
        assert_eq!(published.found().await, NOTHING);
        published.write_text(TAGGED, &text).await;
        assert_eq!(published.found().await, (vec!["document_orphaned"], vec![]));
    }

    async fn a_version_at_a_commit_that_was_never_published_is_found(url: String) {
        let published = Published::new(&url).await;
        let mut transaction = published.transaction().await;
        let live = versions::list_live(&mut transaction, published.package.id).await.unwrap();
        let mut changed = live.into_iter().find(|version| version.version == "1.0.0").unwrap();
        changed.reference = "1".repeat(40);
        versions::update(&mut transaction, [&changed], 0).await.unwrap();
        transaction.commit().await.unwrap();
        let id = published.package.id;
        document::refresh_package(published.registry(), id, None).await.unwrap();
        assert_eq!(published.found().await, (vec!["ref_unpublished", "reference_unknown"], vec![]));
    }

    async fn what_was_purged_and_is_still_there_is_found(url: String) {
        let published = Published::new(&url).await;
        let mut transaction = published.transaction().await;
        let (id, reference) = (published.package.id, &published.reference);
        package_references::mark_purged(&mut transaction, id, reference, 1).await.unwrap();
        transaction.commit().await.unwrap();
        assert_eq!(published.found().await, (vec!["purged_kept"], vec![]));
    }

    async fn a_document_that_followers_were_told_is_gone_is_found(url: String) {
        let published = Published::new(&url).await;
        let now = published.registry().now();
        let id = published.world.organization_id;
        let mut transaction = published.transaction().await;
        changes::append(&mut transaction, now, id, "package", "delete", "acme/lib").await.unwrap();
        transaction.commit().await.unwrap();
        assert_eq!(published.found().await, (vec!["document_unannounced"], vec![]));
    }

    async fn a_document_that_followers_were_never_told_of_is_found(url: String) {
        let published = Published::new(&url).await;
        let id = published.world.organization_id;
        // The sequence is lost but for a later change of something else.
        let now = published.registry().now() + DAY;
        let mut transaction = published.transaction().await;
        let last = changes::append(&mut transaction, now, id, "token", "update", "1").await.unwrap();
        changes::prune(&mut transaction, last, 1_000).await.unwrap();
        transaction.commit().await.unwrap();
        published.world.clock.advance(DAY);
        assert_eq!(published.found().await, NOTHING, "it was long ago");

        published.world.clock.advance(2 * DAY);
        let row = published.document(TAGGED).await;
        let mut transaction = published.transaction().await;
        let seconds = published.registry().now() / SECOND;
        let (gzip, zstd, seal) = (row.gzip.unwrap(), row.zstd.unwrap(), row.seal.unwrap());
        let body = documents::Body { base_url: &row.base_url, gzip: &gzip, zstd: &zstd, seal: &seal };
        documents::put(&mut transaction, id, TAGGED, body, seconds).await.unwrap();
        transaction.commit().await.unwrap();
        let report = published.verify().await;
        assert_eq!(kinds(&report), (vec!["document_unannounced"], vec![]), "{report:#?}");
    }

    async fn dates_of_a_clock_that_was_set_back_are_noted(url: String) {
        let published = Published::new(&url).await;
        published.world.clock.advance(-2 * DAY);
        let notes = vec!["document_ahead", "document_ahead", "sequence_ahead"];
        assert_eq!(published.found().await, (vec![], notes));
    }

    async fn a_job_without_a_sign_of_life_is_noted(url: String) {
        let published = Published::unbuilt(&url).await;
        let now = published.registry().now();
        let mut transaction = published.transaction().await;
        let queued = jobs::list(&mut transaction, jobs::Filter::default(), 1).await.unwrap();
        let lost = jobs::claim_one(&mut transaction, queued[0].id, "lost", now, now + MINUTE).await;
        assert_eq!(lost.unwrap().unwrap().kind, "BuildDists");
        transaction.commit().await.unwrap();
        assert_eq!(published.found().await, NOTHING);
        published.world.clock.advance(MINUTE + SECOND);
        let report = published.verify().await;
        assert_eq!(kinds(&report), (vec![], vec!["job_abandoned"]), "{report:#?}");
        assert!(report.notes[0].about.job.is_some());
    }

    async fn a_secret_that_the_key_does_not_open_is_found(url: String) {
        let published = Published::new(&url).await;
        let mut transaction = published.transaction().await;
        let id = published.world.organization_id;
        organizations::replace_secret(&mut transaction, id, b"sealed by nobody").await.unwrap();
        transaction.commit().await.unwrap();
        let report = published.verify().await;
        assert_eq!(kinds(&report), (vec!["secret_unreadable"], vec![]), "{report:#?}");
    }
}

#[test]
fn every_kind_has_a_code_of_its_own() {
    let mut codes: Vec<&str> = Kind::ALL.iter().map(|kind| kind.code()).collect();
    let count = codes.len();
    codes.sort_unstable();
    codes.dedup();
    assert_eq!(codes.len(), count);
}
