//! Several data folders: what only another one has is not lost, as long as it gives signs of life.

use std::fs;
use std::path::PathBuf;

use kapelle_registry::clock::{HOUR, MINUTE};
use kapelle_registry::verify::Options;
use kapelle_registry::{Limits, Registry};
use kapelle_storage::db::{depots, package_references};
use kapelle_testing::git::GitRepository;
use kapelle_testing::on_both_databases;
use tempfile::TempDir;

use super::{Published, kinds, look};

/// Two machines, of which the first has published `acme/lib`, and nobody is going to build its dists.
struct Machines {
    first: Published,
    second: Registry,
    folder: TempDir,
}

impl Machines {
    async fn new(url: &str) -> Self {
        let first = Published::unbuilt(url).await;
        first.cancel_builds().await;
        let (second, folder) = first.world.other_machine(Limits::default());
        Self {
            first,
            second,
            folder,
        }
    }

    /// Where the second one's mirror is.
    fn mirror(&self) -> PathBuf {
        let id = self.first.package.id;
        self.folder.path().join(format!("mirrors/{id}.git"))
    }

    /// What a look from the second machine finds.
    async fn found(&self) -> (Vec<&'static str>, Vec<&'static str>) {
        kinds(&look(&self.second, Options::default()).await)
    }

    /// The first machine gives a sign of life.
    async fn beat(&self) {
        let registry = self.first.registry();
        let mut transaction = self.first.transaction().await;
        let now = registry.now();
        depots::beat(&mut transaction, registry.depot(), "first", true, now)
            .await
            .unwrap();
        transaction.commit().await.unwrap();
    }

    fn pass_an_hour(&self) {
        self.first.world.clock.advance(HOUR + MINUTE);
    }
}

const UNBUILT: [&str; 2] = ["dist_unbuilt"; 2];
const LOST: [&str; 2] = ["commit_lost"; 2];

on_both_databases! {
    async fn a_commit_that_another_data_folder_has_is_not_lost(url: String) {
        let machines = Machines::new(&url).await;
        fs::rename(GitRepository::new().path(), machines.mirror()).unwrap();
        assert_eq!(machines.found().await, (vec![], UNBUILT.into()));

        machines.pass_an_hour();
        let report = look(&machines.second, Options::default()).await;
        assert_eq!(kinds(&report), (LOST.into(), vec![]), "{report:#?}");
        let finding = &report.broken[0].finding;
        assert!(finding.ends_with("the data folder that had it, of test, gives no sign of life"), "{finding}");
        assert_eq!(machines.first.found().await, (vec![], UNBUILT.into()), "it is there");

        machines.beat().await;
        assert_eq!(machines.found().await, (vec![], UNBUILT.into()));
        machines.first.lose_commits();
        assert_eq!(machines.found().await, (vec![], UNBUILT.into()), "only a look there can tell");
        assert_eq!(machines.first.found().await, (LOST.into(), vec![]));
    }

    async fn a_damaged_mirror_is_bad_only_where_nobody_else_has_the_commits(url: String) {
        let machines = Machines::new(&url).await;
        let mirror = machines.mirror();
        fs::rename(GitRepository::with_releases(&[("0.1.0", "{}")]).path(), &mirror).unwrap();
        fs::remove_dir_all(mirror.join("objects")).unwrap();
        fs::create_dir_all(mirror.join("objects/pack")).unwrap();
        let notes = [UNBUILT.as_slice(), &["mirror_damaged"]].concat();
        assert_eq!(machines.found().await, (vec![], notes));

        machines.pass_an_hour();
        let broken = [LOST.as_slice(), &["mirror_damaged"]].concat();
        assert_eq!(machines.found().await, (broken, vec![]));
    }

    async fn what_was_given_up_is_lost_until_the_data_folder_is_back(url: String) {
        let machines = Machines::new(&url).await;
        machines.pass_an_hour();
        let notes = ["dist_unbuilt", "dist_unbuilt", "mirror_missing"];
        assert_eq!(machines.found().await, (vec![], notes.into()), "upstream may have them");

        let (package, reference) = (machines.first.package.id, &machines.first.reference);
        let now = machines.second.now();
        let mut transaction = machines.first.transaction().await;
        package_references::mark_lost(&mut transaction, package, reference, now).await.unwrap();
        transaction.commit().await.unwrap();
        let found = machines.found().await;
        assert_eq!(found, (vec!["commit_lost"], vec!["dist_unbuilt", "mirror_missing"]));

        machines.beat().await;
        assert_eq!(machines.found().await, (vec![], notes.into()));
    }
}
