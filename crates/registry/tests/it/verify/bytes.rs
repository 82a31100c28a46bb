//! Archives and mirrors that are lost, damaged or left over.

use std::fs::{self, File};
use std::path::PathBuf;
use std::time::SystemTime;

use kapelle_registry::Limits;
use kapelle_registry::clock::{DAY, HOUR};
use kapelle_registry::jobs::End;
use kapelle_storage::db::dists::{self, Dist};
use kapelle_storage::db::{blobs, versions};
use kapelle_testing::git::GitRepository;
use kapelle_testing::on_both_databases;

use super::{LIB, NOTHING, Published, kinds, look};
use crate::world::World;

impl Published {
    async fn dist(&self) -> Dist {
        let mut connection = self.registry().database().read().await.unwrap();
        let found = dists::find(&mut connection, self.package.id, &self.reference).await;
        found.unwrap().unwrap()
    }

    /// Where the bytes of 1.0.0 are.
    async fn archive(&self) -> PathBuf {
        let sha256 = self.dist().await.sha256;
        self.registry().blobs().local_path(&sha256).unwrap()
    }
}

on_both_databases! {
    async fn lost_bytes_are_found_and_are_back_after_the_next_download(url: String) {
        let published = Published::new(&url).await;
        fs::remove_file(published.archive().await).unwrap();

        let report = published.verify().await;
        assert_eq!(kinds(&report), (vec!["blob_missing"], vec![]), "{report:#?}");
        let finding = &report.broken[0];
        assert_eq!(finding.about.package.as_deref(), Some("acme/lib"));
        assert_eq!(finding.about.version.as_deref(), Some("1.0.0"));
        assert_eq!(finding.about.reference.as_ref(), Some(&published.reference));
        assert!(finding.advice.contains("next download"), "{finding:?}");
        assert_eq!(published.found_quickly().await, (vec!["blob_missing"], vec![]));

        published.world.dist("acme/lib", &published.reference).await;
        assert_eq!(published.found().await, NOTHING);
    }

    async fn lost_bytes_that_no_mirror_has_are_in_the_backup_only(url: String) {
        let published = Published::new(&url).await;
        fs::remove_file(published.archive().await).unwrap();
        published.lose_commits();
        let report = published.verify().await;
        assert_eq!(kinds(&report), (vec!["blob_missing"], vec!["mirror_incomplete"]), "{report:#?}");
        assert!(report.broken[0].advice.contains("backup"), "{report:#?}");
    }

    async fn a_flipped_byte_is_found_by_reading(url: String) {
        let published = Published::new(&url).await;
        let archive = published.archive().await;
        let mut bytes = fs::read(&archive).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        fs::write(&archive, bytes).unwrap();

        let report = published.verify().await;
        assert_eq!(kinds(&report), (vec!["blob_damaged"], vec![]), "{report:#?}");
        assert!(report.broken[0].advice.contains(archive.to_str().unwrap()), "{report:#?}");
        assert_eq!(published.found_quickly().await, NOTHING);

        fs::remove_file(&archive).unwrap();
        published.world.dist("acme/lib", &published.reference).await;
        assert_eq!(published.found().await, NOTHING);
    }

    async fn bytes_that_are_too_few_are_found_without_reading(url: String) {
        let published = Published::new(&url).await;
        let archive = File::options().write(true).open(published.archive().await).unwrap();
        archive.set_len(100).unwrap();
        assert_eq!(published.found_quickly().await, (vec!["blob_damaged"], vec![]));
        assert_eq!(published.found().await, (vec!["blob_damaged"], vec![]));
    }

    async fn an_archive_of_something_else_is_found(url: String) {
        let published = Published::new(&url).await;
        let mut transaction = published.transaction().await;
        let live = versions::list_live(&mut transaction, published.package.id).await.unwrap();
        let mut changed = live.into_iter().find(|version| version.version == "1.0.0").unwrap();
        changed.manifest = r#"{"name": "acme/lib", "require": {"php": ">=8.2"}}"#.into();
        versions::update(&mut transaction, [&changed], 0).await.unwrap();
        transaction.commit().await.unwrap();
        let id = published.package.id;
        kapelle_registry::document::refresh_package(published.registry(), id, None).await.unwrap();
        assert_eq!(published.found().await, (vec!["archive_differs"], vec![]));
    }

    async fn a_checksum_that_is_not_that_of_the_bytes_is_found(url: String) {
        let published = Published::new(&url).await;
        let wrong = Dist { sha1: "0".repeat(40), ..published.dist().await };
        let mut transaction = published.transaction().await;
        dists::delete(&mut transaction, published.package.id, &published.reference).await.unwrap();
        dists::insert_if_absent(&mut transaction, &wrong).await.unwrap();
        transaction.commit().await.unwrap();
        assert_eq!(published.found().await, (vec!["dist_checksum", "shasum_differs"], vec![]));
    }

    async fn what_is_left_in_the_store_is_noted(url: String) {
        let published = Published::new(&url).await;
        let world = &published.world;
        let mut transaction = published.transaction().await;
        blobs::touch(&mut transaction, &[1; 32], 4, world.registry.now()).await.unwrap();
        transaction.commit().await.unwrap();
        assert_eq!(published.found().await, NOTHING, "somebody is about to store it");

        let announced = world.registry.blobs().local_path(&[1; 32]).unwrap();
        let unknown = world.registry.blobs().local_path(&[2; 32]).unwrap();
        let unfinished = unknown.with_extension("").with_file_name(format!("{}#1", "02".repeat(32)));
        for path in [&announced, &unknown, &unfinished] {
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "left").unwrap();
        }
        assert_eq!(published.found().await, (vec![], vec!["blob_unknown"]));
        world.clock.advance(7 * HOUR);
        let file = File::options().write(true).open(&unfinished).unwrap();
        file.set_modified(SystemTime::UNIX_EPOCH).unwrap();
        let notes = vec!["blob_unfinished", "blob_unknown", "blob_unused"];
        assert_eq!(published.found().await, (vec![], notes));
    }

    async fn a_lost_mirror_is_noted_and_one_with_damage_too(url: String) {
        let published = Published::new(&url).await;
        let mirror = published.world.mirror(&published.package);
        fs::remove_dir_all(&mirror).unwrap();
        assert_eq!(published.found().await, (vec![], vec!["mirror_missing"]));

        published.world.sync(&published.package).await;
        assert_eq!(published.found().await, NOTHING);
        fs::remove_dir_all(mirror.join("objects")).unwrap();
        fs::create_dir_all(mirror.join("objects/pack")).unwrap();
        assert_eq!(published.found().await, (vec![], vec!["mirror_damaged"]));
        assert_eq!(published.found_quickly().await, NOTHING);
    }

    async fn a_commit_that_is_neither_built_nor_mirrored_is_lost(url: String) {
        let published = Published::unbuilt(&url).await;
        assert_eq!(published.found().await, NOTHING, "a job is going to build them");
        published.cancel_builds().await;
        assert_eq!(published.found().await, (vec![], vec!["dist_unbuilt"; 2]));

        published.lose_commits();
        assert_eq!(published.found_quickly().await, (vec!["commit_lost"; 2], vec![]));
        assert_eq!(published.found().await, (vec!["commit_lost"; 2], vec![]));
    }

    async fn an_archive_that_nobody_knows_any_more_is_found(url: String) {
        let published = Published::new(&url).await;
        let mut transaction = published.transaction().await;
        dists::delete(&mut transaction, published.package.id, &published.reference).await.unwrap();
        transaction.commit().await.unwrap();
        let report = published.verify().await;
        assert_eq!(kinds(&report), (vec!["dist_missing"], vec![]), "{report:#?}");

        published.world.dist("acme/lib", &published.reference).await;
        assert_eq!(published.found().await, NOTHING);
        published.world.clock.advance(DAY);
        assert_eq!(published.found().await, NOTHING);
    }

    async fn why_an_archive_cannot_be_built_is_noted(url: String) {
        let limits = Limits { entries: 1, ..Limits::default() };
        let world = World::with_limits(&url, limits).await;
        let repository = GitRepository::new();
        let commit = repository.commit("main").file("composer.json", LIB).file("a.php", "").create();
        repository.tag("1.0.0", &commit);
        world.add(&repository).await;
        let ran = world.worker.run_until_idle().await.unwrap();
        assert_eq!(ran.last().unwrap().end, End::Error, "{ran:?}");

        let report = look(&world.registry, kapelle_registry::verify::Options::default()).await;
        assert_eq!(kinds(&report), (vec![], vec!["dist_unbuilt"]), "{report:#?}");
        assert!(report.notes[0].finding.contains("no dist"), "{report:#?}");
    }
}
