//! Machines with mirrors of their own: what only one of them has is not lost by what another one does.

use std::time::Duration;

use kapelle_registry::clock::{HOUR, MINUTE, SECOND};
use kapelle_registry::dist::{self, DistError};
use kapelle_registry::jobs::{End, Ran, Worker};
use kapelle_registry::{Actor, Limits, Registry, package};
use kapelle_storage::db::dists::Dist;
use kapelle_storage::db::jobs::{self, Filter};
use kapelle_storage::db::packages::Package;
use kapelle_storage::db::{audit, depots, package_references};
use kapelle_testing::git::GitRepository;
use kapelle_testing::on_both_databases;
use tempfile::TempDir;
use tokio::task::AbortHandle;

use crate::world::World;

const LIB: &str = r#"{"name": "acme/lib"}"#;

/// Two machines, the first of which has published a repository's branch and built nothing; then the branch was pushed
/// over, and upstream has collected its garbage.
struct Scene {
    world: World,
    repository: GitRepository,
    package: Package,
    /// What the branch was at, and what it is at now.
    old: String,
    new: String,
    other: Registry,
    _folder: TempDir,
}

impl Scene {
    async fn new(url: &str) -> Self {
        Self::with(url, Limits::default()).await
    }

    async fn with(url: &str, limits: Limits) -> Self {
        let world = World::new(url).await;
        let repository = GitRepository::new();
        let old = repository
            .commit("main")
            .file("composer.json", LIB)
            .create();
        let package = world.add(&repository).await;
        let published = world.worker.run_next().await.unwrap().unwrap();
        assert_eq!(
            (published.kind.as_str(), published.end),
            ("SyncPackage", End::Success)
        );
        let new = repository
            .commit("main")
            .orphan()
            .file("composer.json", LIB)
            .create();
        let (other, folder) = world.other_machine(limits);
        other.catch_up().await.unwrap();
        Self {
            world,
            repository,
            package,
            old,
            new,
            other,
            _folder: folder,
        }
    }

    /// Upstream no longer has what no ref leads to.
    fn collect_garbage(&self) {
        self.repository.git(&["gc", "--quiet", "--prune=now"]);
    }

    /// The first machine gives a sign of life.
    async fn beat(&self, works: bool) {
        let registry = &self.world.registry;
        let mut tx = registry.database().write().await.unwrap();
        let now = registry.now();
        depots::beat(&mut tx, registry.depot(), "first", works, now)
            .await
            .unwrap();
        tx.commit().await.unwrap();
    }

    /// The other machine synchronizes the package.
    async fn sync_elsewhere(&self) -> Ran {
        let job = package::sync(&self.other, &Actor::Operator, &self.package)
            .await
            .unwrap();
        let worker = Worker::new(self.other.clone(), "second".to_owned());
        worker.run_this(job).await.unwrap().unwrap()
    }

    /// The first machine's worker waits for an urgent job, which it takes.
    async fn build_what_is_asked_for(&self) -> Ran {
        let registry = &self.world.registry;
        loop {
            let mut on = registry.database().read().await.unwrap();
            let wanted = Filter {
                kind: Some("BuildOneDist"),
                ..Filter::default()
            };
            if !jobs::list(&mut on, wanted, 1).await.unwrap().is_empty() {
                break;
            }
            drop(on);
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        self.world.worker.run_next().await.unwrap().unwrap()
    }

    /// The first machine's worker takes every job that comes.
    fn work(&self) -> Working {
        let worker = self.world.worker.clone();
        let work = async move {
            loop {
                worker.run_until_idle().await.unwrap();
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        Working(tokio::spawn(work).abort_handle())
    }

    /// Where the branch is, by the metadata.
    async fn branch(&self) -> String {
        self.world.registry.catch_up().await.unwrap();
        let versions = self.world.versions("p2/acme/lib~dev.json").await.unwrap();
        versions[0]["source"]["reference"]
            .as_str()
            .unwrap()
            .to_owned()
    }

    async fn download(&self, from: &Registry, reference: &str) -> Result<Dist, DistError> {
        let name = "acme/lib".parse().unwrap();
        dist::find(from, &Actor::Operator, "acme", &name, reference).await
    }
}

/// Ends with the test.
struct Working(AbortHandle);

impl Drop for Working {
    fn drop(&mut self) {
        self.0.abort();
    }
}

on_both_databases! {
    async fn what_upstream_still_gives_by_its_name_is_built_by_whoever_synchronizes(url: String) {
        let scene = Scene::new(&url).await;
        let ran = scene.sync_elsewhere().await;
        assert_eq!(ran.end, End::Success, "{}", ran.message);
        assert_eq!(scene.branch().await, scene.new);
        for machine in [&scene.world.registry, &scene.other] {
            assert!(scene.download(machine, &scene.old).await.unwrap().size > 0);
        }
        scene.world.work().await;
    }

    async fn what_only_another_machine_has_is_built_there_before_it_is_left_behind(url: String) {
        let scene = Scene::new(&url).await;
        scene.collect_garbage();
        scene.beat(true).await;
        let (ran, built) = tokio::join!(scene.sync_elsewhere(), scene.build_what_is_asked_for());
        assert_eq!(ran.end, End::Success, "{}", ran.message);
        assert_eq!((built.kind.as_str(), built.end), ("BuildOneDist", End::Success), "{}", built.message);
        assert_eq!(scene.branch().await, scene.new);
        assert!(scene.download(&scene.other, &scene.old).await.unwrap().size > 0);
    }

    async fn a_branch_stays_where_it_was_until_the_machine_that_has_it_is_back(url: String) {
        let scene = Scene::new(&url).await;
        scene.collect_garbage();
        scene.repository.tag("1.0.0", &scene.new);
        let ran = scene.sync_elsewhere().await;
        assert_eq!(ran.end, End::Again, "{}", ran.message);
        assert!(ran.message.contains("1 new") && ran.message.contains("upstream no longer has it"), "{}", ran.message);
        assert_eq!(scene.branch().await, scene.old);
        assert_eq!(scene.world.numbers("p2/acme/lib.json").await, ["1.0.0"], "the rest does not wait");
        let faults = scene.world.faults(&scene.package).await;
        let (name, reason) = &faults[0];
        assert_eq!(name, "refs/heads/main");
        assert!(reason.contains(&format!("stays at {}", scene.old)), "{reason}");
        assert_eq!(scene.world.now(&scene.package).await.sync_error.unwrap(), ran.message);

        // The machine is back.
        while scene.world.worker.run_next().await.unwrap().is_some_and(|ran| ran.kind != "BuildOneDist") {}
        assert!(scene.download(&scene.other, &scene.old).await.unwrap().size > 0);
        scene.world.clock.advance(10 * SECOND);
        let worker = Worker::new(scene.other.clone(), "second".to_owned());
        worker.run_until_idle().await.unwrap();
        assert_eq!(scene.branch().await, scene.new);
        assert_eq!(scene.world.faults(&scene.package).await, []);
        assert_eq!(scene.world.now(&scene.package).await.sync_error, None);
    }

    async fn a_commit_that_was_not_looked_at_stays_with_the_machine_that_has_it(url: String) {
        let scene = Scene::new(&url).await;
        scene.repository.commit("main").file("composer.json", "{").create();
        scene.repository.commit("develop").file("composer.json", LIB).create();
        scene.repository.set_default_branch("develop");
        scene.collect_garbage();
        let ran = scene.sync_elsewhere().await;
        assert_eq!(ran.end, End::Success, "{}", ran.message);
        let mut on = scene.world.registry.database().read().await.unwrap();
        let reference = package_references::find(&mut on, scene.package.id, &scene.old).await.unwrap();
        assert_eq!(reference.unwrap().depot.as_deref(), Some(scene.world.registry.depot()));
    }

    async fn a_deleted_tag_stays_published_until_its_dist_is_built(url: String) {
        let scene = Scene::new(&url).await;
        let tagged = scene.repository.commit("side").orphan().file("composer.json", LIB).create();
        scene.repository.tag("1.0.0", &tagged);
        scene.world.sync(&scene.package).await;
        let mut tx = scene.world.registry.database().write().await.unwrap();
        kapelle_storage::db::dists::delete_all(&mut tx, scene.package.id).await.unwrap();
        tx.commit().await.unwrap();
        scene.repository.delete_ref("refs/tags/1.0.0");
        scene.repository.delete_ref("refs/heads/side");
        scene.collect_garbage();

        let ran = scene.sync_elsewhere().await;
        assert_eq!(ran.end, End::Again, "{}", ran.message);
        assert_eq!(scene.world.numbers("p2/acme/lib.json").await, ["1.0.0"]);
        scene.world.worker.run_until_idle().await.unwrap();
        scene.world.clock.advance(10 * SECOND);
        scene.world.worker.run_until_idle().await.unwrap();
        assert_eq!(scene.world.numbers("p2/acme/lib.json").await, Vec::<String>::new());
        assert!(scene.download(&scene.other, &tagged).await.unwrap().size > 0);
    }

    async fn what_a_machine_took_with_it_is_given_up_after_an_hour_and_told(url: String) {
        let scene = Scene::new(&url).await;
        scene.collect_garbage();
        scene.world.clock.advance(HOUR - SECOND);
        scene.other.catch_up().await.unwrap();
        assert_eq!(scene.sync_elsewhere().await.end, End::Again);
        scene.world.clock.advance(MINUTE);
        scene.other.catch_up().await.unwrap();
        let ran = scene.sync_elsewhere().await;
        assert_eq!(ran.end, End::Success, "{}", ran.message);
        assert_eq!(scene.branch().await, scene.new);

        let id = scene.package.id.to_string();
        let shown = async || {
            let details = package::show(&scene.other, &Actor::Operator, scene.world.organization_id, &id).await;
            details.unwrap().lost.into_iter().map(|lost| lost.reference).collect::<Vec<_>>()
        };
        assert_eq!(shown().await, std::slice::from_ref(&scene.old));
        let (subject, detail) = scene.world.audited("dist.lose").await;
        assert_eq!((subject.as_str(), detail.contains(&scene.old)), ("acme/lib", true));
        let lost = scene.download(&scene.other, &scene.old).await.unwrap_err();
        assert!(matches!(lost, DistError::Lost { .. }), "{lost}");
        let worker = Worker::new(scene.other.clone(), "second".to_owned());
        worker.run_until_idle().await.unwrap();
        let mut connection = scene.other.database().read().await.unwrap();
        let rows = audit::list(&mut connection, None, None, 100).await.unwrap();
        drop(connection);
        assert_eq!(rows.iter().filter(|row| row.action == "dist.lose").count(), 1, "told once");

        // Somebody finds that machine again.
        scene.beat(true).await;
        let working = scene.work();
        assert!(scene.download(&scene.other, &scene.old).await.unwrap().size > 0);
        assert_eq!(shown().await, Vec::<String>::new());
        drop(working);
    }

    async fn a_download_waits_for_whoever_can_build_it(url: String) {
        let scene = Scene::new(&url).await;
        scene.beat(true).await;
        let working = scene.work();
        let downloads = (0..8).map(|_| scene.download(&scene.other, &scene.old));
        for dist in futures::future::join_all(downloads).await {
            assert!(dist.unwrap().size > 0);
        }
        drop(working);
    }

    async fn a_download_that_nobody_builds_in_time_is_told_to_come_again(url: String) {
        let limits = Limits { build_wait: Duration::from_millis(300), ..Limits::default() };
        let scene = Scene::with(&url, limits).await;
        let late = scene.download(&scene.other, &scene.old).await.unwrap_err();
        assert!(matches!(late, DistError::Unavailable { .. }), "{late}");
        assert!(late.to_string().ends_with("a worker was asked to build the dist: try again in a moment"), "{late}");
        // It goes before the rest.
        let ran = scene.world.worker.run_next().await.unwrap().unwrap();
        assert_eq!((ran.kind.as_str(), ran.end), ("BuildOneDist", End::Success));
        assert!(scene.download(&scene.other, &scene.old).await.unwrap().size > 0);
    }

    async fn a_machine_without_a_mirror_fetches_what_it_is_to_build(url: String) {
        let scene = Scene::new(&url).await;
        let worker = Worker::new(scene.other.clone(), "second".to_owned());
        let ran = worker.run_next().await.unwrap().unwrap();
        assert_eq!((ran.kind.as_str(), ran.end), ("BuildDists", End::Success), "{}", ran.message);
        assert_eq!(ran.message, "built 1 dists");
        assert!(scene.download(&scene.other, &scene.old).await.unwrap().size > 0);
    }

    async fn what_a_machine_without_the_commits_cannot_build_is_left_to_the_one_with_them(url: String) {
        let scene = Scene::new(&url).await;
        scene.collect_garbage();
        scene.beat(true).await;
        let worker = Worker::new(scene.other.clone(), "second".to_owned());
        let ran = worker.run_next().await.unwrap().unwrap();
        assert_eq!((ran.kind.as_str(), ran.end), ("BuildDists", End::Success), "{}", ran.message);
        assert_eq!(ran.message, "built 0 dists, 1 are left to other data folders: see the job's log");
        assert_eq!(worker.run_next().await.unwrap(), None, "it is not ours to take");
        let ran = scene.world.worker.run_next().await.unwrap().unwrap();
        assert_eq!((ran.kind.as_str(), ran.end), ("BuildOneDist", End::Success), "{}", ran.message);
        let versions = scene.world.versions("p2/acme/lib~dev.json").await.unwrap();
        assert_eq!(versions[0]["dist"]["shasum"].as_str().unwrap().len(), 40);
    }
}
