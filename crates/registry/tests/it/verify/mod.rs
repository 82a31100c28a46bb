//! Verification: one thing is damaged at a time, and exactly that is found.

mod bytes;
mod depots;
mod rows;

use std::fs;

use kapelle_registry::verify::{self, Options, Report};
use kapelle_registry::{Actor, Registry, jobs, package};
use kapelle_storage::Transaction;
use kapelle_storage::blobs::BlobsConfig;
use kapelle_storage::db::packages::Package;
use kapelle_testing::git::GitRepository;
use kapelle_testing::on_both_databases;
use tempfile::TempDir;

use crate::world::{Arrangement, World};

const LIB: &str = r#"{"name": "acme/lib", "require": {"php": ">=8.1"}}"#;

/// A world whose archives are files, with `acme/lib` published and built.
struct Published {
    world: World,
    repository: GitRepository,
    package: Package,
    /// The commit of 1.0.0.
    reference: String,
    _blobs: TempDir,
}

impl Published {
    async fn new(url: &str) -> Self {
        let published = Self::unbuilt(url).await;
        published.world.work().await;
        published
    }

    /// The dists are still to be built.
    async fn unbuilt(url: &str) -> Self {
        let blobs = tempfile::tempdir().unwrap();
        let arrangement = Arrangement {
            blobs: BlobsConfig::new(format!("file:{}", blobs.path().display())),
            ..Arrangement::default()
        };
        let world = World::arranged(url, arrangement).await;
        let repository = GitRepository::with_releases(&[("1.0.0", LIB), ("1.1.0", LIB)]);
        let package = world.add(&repository).await;
        let ran = world.worker.run_next().await.unwrap().unwrap();
        assert_eq!(ran.kind, "SyncPackage");
        let package = world.now(&package).await;
        let reference = repository.resolve("refs/tags/1.0.0").unwrap();
        Self {
            world,
            repository,
            package,
            reference,
            _blobs: blobs,
        }
    }

    /// Ends the job that was to build the dists.
    async fn cancel_builds(&self) {
        let filter = jobs::Filter {
            state: Some("queued"),
            ..jobs::Filter::default()
        };
        let queued = jobs::list(self.registry(), &Actor::Operator, filter, 10)
            .await
            .unwrap();
        for job in queued {
            jobs::cancel(self.registry(), &Actor::Operator, job.id)
                .await
                .unwrap();
        }
    }

    /// Puts another mirror in the place of the package's, without its commits.
    fn lose_commits(&self) {
        let mirror = self.world.mirror(&self.package);
        fs::remove_dir_all(&mirror).unwrap();
        fs::rename(GitRepository::new().path(), &mirror).unwrap();
    }

    fn registry(&self) -> &Registry {
        &self.world.registry
    }

    async fn transaction(&self) -> Transaction {
        self.registry().database().write().await.unwrap()
    }

    async fn verify(&self) -> Report {
        look(self.registry(), Options::default()).await
    }

    /// The kinds of what is broken and of the notes.
    async fn found(&self) -> (Vec<&'static str>, Vec<&'static str>) {
        kinds(&self.verify().await)
    }

    async fn found_quickly(&self) -> (Vec<&'static str>, Vec<&'static str>) {
        kinds(&look(self.registry(), Options { quick: true }).await)
    }
}

async fn look(registry: &Registry, options: Options) -> Report {
    verify::run(registry, &Actor::Operator, options, &|_| ())
        .await
        .unwrap()
}

fn kinds(report: &Report) -> (Vec<&'static str>, Vec<&'static str>) {
    let codes = |findings: &[verify::Finding]| {
        let mut codes: Vec<_> = findings.iter().map(|one| one.kind.code()).collect();
        codes.sort_unstable();
        codes
    };
    (codes(&report.broken), codes(&report.notes))
}

const NOTHING: (Vec<&str>, Vec<&str>) = (Vec::new(), Vec::new());

on_both_databases! {
    async fn a_healthy_installation_has_no_findings(url: String) {
        let published = Published::new(&url).await;
        let world = &published.world;
        // A moved tag and branch, a removed package, a purged one.
        let moved = published.repository.commit("main").file("composer.json", LIB).create();
        published.repository.set_ref("refs/tags/1.1.0", &moved);
        world.sync(&published.package).await;
        for name in ["acme/removed", "acme/purged"] {
            let repository = GitRepository::with_releases(&[("1.0.0", &format!(r#"{{"name": "{name}"}}"#))]);
            let package = world.add(&repository).await;
            world.work().await;
            let package = world.now(&package).await;
            package::remove(&world.registry, &Actor::Operator, &package).await.unwrap();
        }
        package::purge(&world.registry, &Actor::Operator, world.organization_id, "acme/purged").await.unwrap();
        assert_eq!(world.numbers("p2/acme/lib.json").await, ["1.1.0", "1.0.0"]);
        world.versions("packages.json").await;

        let report = published.verify().await;
        assert_eq!(kinds(&report), NOTHING, "{report:#?}");
        let checked = report.checked;
        assert_eq!((checked.packages, checked.versions), (3, 5));
        assert_eq!((checked.references, checked.archives), (5, 4));
        assert_eq!((checked.blobs, checked.mirrors, checked.documents), (4, 1, 7));
        assert!(checked.archive_bytes > 0 && checked.secrets > 0);
        let quick = look(&world.registry, Options { quick: true }).await;
        assert_eq!(kinds(&quick), NOTHING, "{quick:#?}");
        assert_eq!((quick.checked.archives, quick.checked.mirrors), (0, 0));
    }

    async fn what_moves_is_never_reported_as_broken(url: String) {
        let published = Published::new(&url).await;
        let world = &published.world;
        let pushing = async {
            for number in 0..20 {
                published.repository.release(&format!("2.{number}.0"), LIB);
                world.sync(&published.package).await;
            }
        };
        let verifying = async {
            loop {
                let report = published.verify().await;
                assert!(report.is_sound(), "{report:#?}");
            }
        };
        tokio::select! {
            () = pushing => {}
            () = verifying => {}
        }
        assert_eq!(published.found().await, NOTHING);
    }
}
