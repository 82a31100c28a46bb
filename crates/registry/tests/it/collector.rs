//! Collectors that never rest, among many who store the same and other bytes: nothing that is needed is deleted, and
//! nothing stays that is not.

use std::sync::Arc;
use std::time::Duration;

use futures::TryStreamExt;
use futures::future::try_join_all;
use kapelle_composer::PackageName;
use kapelle_registry::clock::HOUR;
use kapelle_registry::dist::{self, DistError};
use kapelle_registry::jobs::{self, Tidy, Worker};
use kapelle_registry::verify::{self, Options};
use kapelle_registry::{Actor, Clock, Registry, organization, package};
use kapelle_storage::blobs::BlobsConfig;
use kapelle_storage::db::blobs::{self, Touched};
use kapelle_storage::db::dists::Dist;
use kapelle_storage::db::package_references;
use kapelle_testing::git::GitRepository;
use kapelle_testing::on_both_databases;
use kapelle_testing::postgres::TestPostgres;
use kapelle_testing::s3::S3Server;
use kapelle_testing::s3_fault::{S3Failing, S3Fault};
use sha2::{Digest, Sha256};
use tempfile::TempDir;
use tokio::time::interval;
use tokio_util::sync::CancellationToken;

use crate::world::{Arrangement, START, World};

/// Each has packages of the same repositories, so that the bytes of their dists are the same.
const KEEPERS: [&str; 2] = ["acme", "other"];
/// They have the same once more, and are purged meanwhile.
const VICTIMS: [&str; 2] = ["gone", "leaving"];
const ROUNDS: usize = 3;
const TAGS: usize = 8;
/// Other bytes, which nobody ever refers to.
const GARBAGE: usize = 16;
/// How often somebody asks again whose bytes were deleted each time that they were stored.
const PATIENCE: usize = 200;

struct Scene {
    world: World,
    /// By its clock, whatever the world's processes announce was left by somebody who died long ago.
    collector: Registry,
    clock: Clock,
    _folder: Option<TempDir>,
}

/// A repository that every organization has a package of.
struct Round {
    name: PackageName,
    commits: Vec<String>,
    repository: GitRepository,
}

impl Scene {
    async fn new(url: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let blobs = BlobsConfig::new(format!("file:{}", folder.path().display()));
        Self {
            _folder: Some(folder),
            ..Self::storing_in(url, blobs).await
        }
    }

    async fn storing_in(url: &str, blobs: BlobsConfig) -> Self {
        let arrangement = Arrangement {
            blobs,
            ..Arrangement::default()
        };
        let world = World::arranged(url, arrangement).await;
        let clock = Clock::manual(START + 7 * HOUR);
        let collector = world.process_at(&clock);
        for slug in KEEPERS.into_iter().chain(VICTIMS) {
            organization::setup(&world.registry, &Actor::Operator, slug, None)
                .await
                .unwrap();
        }
        Self {
            world,
            collector,
            clock,
            _folder: None,
        }
    }

    /// Publishes another repository in every organization. The victims have all its dists, the others have none.
    async fn publish(&self, round: usize, tags: usize) -> (Round, Vec<Dist>) {
        let name = format!("acme/lib{round}");
        let repository = GitRepository::new();
        let commits = (0..tags)
            .map(|tag| {
                let manifest = format!(r#"{{"name": "{name}", "description": "Release {tag}"}}"#);
                repository.release(&format!("1.{tag}.0"), &manifest)
            })
            .collect();
        let published = Round {
            name: name.parse().unwrap(),
            commits,
            repository,
        };
        let registry = &self.world.registry;
        for slug in KEEPERS.into_iter().chain(VICTIMS) {
            let id = self.organization(slug).await;
            let url = published.repository.url();
            let (_, job) = package::add(registry, &Actor::Operator, id, &url, None)
                .await
                .unwrap();
            self.world.worker.run_this(job).await.unwrap().unwrap();
        }
        let mut dists = Vec::new();
        for slug in VICTIMS {
            for commit in &published.commits {
                dists.push(download(registry, slug, &published.name, commit).await);
            }
        }
        (published, dists)
    }

    async fn organization(&self, slug: &str) -> i64 {
        let found = organization::named(&self.world.registry, &Actor::Operator, slug).await;
        found.unwrap().id
    }

    /// Every dist of both keepers, each asked for by two processes at once.
    async fn store(&self, round: &Round) -> Vec<Dist> {
        let storing = [false, true].into_iter().flat_map(|backwards| {
            let process = self.world.other_process();
            KEEPERS.map(|slug| {
                let (process, name) = (process.clone(), round.name.clone());
                let mut commits = round.commits.clone();
                if backwards {
                    commits.reverse();
                }
                tokio::spawn(async move {
                    let mut dists = Vec::new();
                    for commit in commits {
                        let dist = download(&process, slug, &name, &commit).await;
                        is_whole(&process, &dist).await;
                        dists.push(dist);
                    }
                    dists
                })
            })
        });
        try_join_all(storing).await.unwrap().concat()
    }

    /// Removes the victims' packages for ever.
    async fn purge(&self, round: &Round) {
        for slug in VICTIMS {
            let id = self.organization(slug).await;
            let name = round.name.as_str();
            let found = package::find(&self.collector, &Actor::Operator, id, name).await;
            package::remove(&self.collector, &Actor::Operator, &found.unwrap())
                .await
                .unwrap();
            package::purge(&self.collector, &Actor::Operator, id, name)
                .await
                .unwrap();
        }
    }

    async fn collect(&self) {
        let mut transaction = self.collector.database().write().await.unwrap();
        let job = jobs::enqueue(&self.collector, &mut transaction, &Tidy {})
            .await
            .unwrap();
        transaction.commit().await.unwrap();
        self.worker().run_this(job).await.unwrap();
    }

    /// Of the collector's process.
    fn worker(&self) -> Worker {
        Worker::new(self.collector.clone(), "collector".to_owned())
    }

    /// Collects without a pause until `done`.
    async fn collect_on(&self, done: &CancellationToken) {
        while !done.is_cancelled() {
            self.collect().await;
        }
    }

    /// Announces bytes without a pause and never refers to them, as whoever is killed; other ones are even stored.
    async fn abandon_on(&self, dists: &[Dist], done: &CancellationToken) {
        let registry = &self.world.registry;
        for (number, dist) in dists.iter().cycle().enumerate() {
            if done.is_cancelled() {
                return;
            }
            let garbage = format!("garbage {}", number % GARBAGE);
            let (sha256, size) = (
                Sha256::digest(&garbage),
                i64::try_from(garbage.len()).unwrap(),
            );
            let mut transaction = registry.database().write().await.unwrap();
            blobs::touch(&mut transaction, &dist.sha256, dist.size, registry.now())
                .await
                .unwrap();
            blobs::touch(&mut transaction, &sha256, size, self.clock.now())
                .await
                .unwrap();
            transaction.commit().await.unwrap();
            let file = self.world.folder().join(&garbage);
            std::fs::write(&file, &garbage).unwrap();
            registry.blobs().put_file(&sha256, &file).await.unwrap();
        }
    }
}

/// Asks for a dist until it can be had.
async fn download(registry: &Registry, slug: &str, name: &PackageName, commit: &str) -> Dist {
    let mut last = None;
    for _ in 0..PATIENCE {
        match dist::find(registry, &Actor::Operator, slug, name, commit).await {
            Ok(dist) => return dist,
            Err(error @ DistError::Unavailable { .. }) => last = Some(error),
            Err(error) => panic!("{error}"),
        }
    }
    panic!("{name} at {commit} cannot be had: {last:?}");
}

/// Its bytes are there, and those that it promises. Nothing is made anew by this look.
async fn is_whole(registry: &Registry, dist: &Dist) {
    let blob = registry.blobs().get(&dist.sha256, None).await;
    let blob = blob.unwrap_or_else(|error| panic!("{error}: {dist:?}"));
    let bytes: Vec<_> = blob.stream.try_collect().await.unwrap();
    assert_eq!(
        Sha256::digest(bytes.concat())[..],
        dist.sha256[..],
        "{dist:?}"
    );
}

on_both_databases! {
    async fn collectors_take_nothing_from_those_who_store_and_leave_nothing_behind(url: String) {
        let scene = Scene::new(&url).await;
        let mut kept = Vec::new();
        for round in 0..ROUNDS {
            let (round, victims) = scene.publish(round, TAGS).await;
            let done = CancellationToken::new();
            let stored = async {
                let (stored, ()) = tokio::join!(scene.store(&round), scene.purge(&round));
                done.cancel();
                stored
            };
            let (stored, (), (), ()) = tokio::join!(
                stored,
                scene.collect_on(&done),
                scene.collect_on(&done),
                scene.abandon_on(&victims, &done),
            );
            assert_eq!(stored.len(), 2 * KEEPERS.len() * TAGS);
            kept.extend(stored);
        }
        for dist in &kept {
            is_whole(&scene.world.registry, dist).await;
        }
        scene.worker().run_until_idle().await.unwrap();
        scene.clock.advance(7 * HOUR);
        scene.collect().await;
        let report = verify::run(&scene.collector, &Actor::Operator, Options::default(), &|_| ()).await.unwrap();
        assert!(report.is_sound() && report.notes.is_empty(), "{report:#?}");
        assert_eq!(report.checked.blobs, (ROUNDS * TAGS) as u64);
    }

    async fn who_stores_waits_for_a_deletion_that_takes_its_time(url: String) {
        let s3 = S3Server::start().await;
        let place = format!(
            "s3://{}/archives?endpoint={}&region={}&path_style=true&allow_http=true",
            S3Server::BUCKET,
            s3.endpoint(),
            S3Server::REGION
        );
        let blobs = BlobsConfig {
            access_key: Some(S3Server::ACCESS_KEY.to_owned()),
            secret: Some(S3Server::SECRET_KEY.to_owned()),
            ..BlobsConfig::new(place)
        };
        let scene = Arc::new(Scene::storing_in(&url, blobs).await);
        let (round, victims) = scene.publish(0, 1).await;
        s3.fail(S3Failing::deletions(S3Fault::Slow));
        let commit = round.commits[0].clone();
        let (purging, storing) = (Arc::clone(&scene), Arc::clone(&scene));
        let name = round.name.clone();
        let purging = tokio::spawn(async move { purging.purge(&round).await });
        while s3.failed().is_empty() {
            tokio::task::yield_now().await;
        }
        let storing = tokio::spawn(async move { download(&storing.world.registry, "acme", &name, &commit).await });
        // Far longer than it takes to store what nobody deletes.
        let mut ticks = interval(Duration::from_millis(20));
        for _ in 0..60 {
            ticks.tick().await;
            assert!(!storing.is_finished(), "its bytes are about to be deleted");
        }
        s3.heal();
        purging.await.unwrap();
        let dist = storing.await.unwrap();
        assert_eq!(dist.sha256, victims[0].sha256);
        is_whole(&scene.world.registry, &dist).await;
    }
}

/// A writer is held up between storing bytes and referring to them. On SQLite it would hold up the collector, too.
#[tokio::test]
async fn bytes_that_were_deleted_and_announced_anew_meanwhile_are_stored_again() {
    let database = TestPostgres::create().await;
    let scene = Scene::new(database.url()).await;
    let repository = GitRepository::new();
    let commit = repository.release("1.0.0", r#"{"name": "acme/lib"}"#);
    let package = scene.world.add(&repository).await;
    scene.world.worker.run_next().await.unwrap();
    let registry = &scene.world.registry;
    let mut held = registry.database().write().await.unwrap();
    package_references::lock(&mut held, package.id, &commit)
        .await
        .unwrap();
    let storing = tokio::spawn({
        let (process, commit) = (scene.world.other_process(), commit.clone());
        async move { download(&process, "acme", &"acme/lib".parse().unwrap(), &commit).await }
    });
    let stored = loop {
        let mut files = registry.blobs().walk();
        if let Some(sha256) = files.try_next().await.unwrap().and_then(|file| file.sha256) {
            break sha256;
        }
        tokio::task::yield_now().await;
    };

    scene.collect().await;
    assert_eq!(registry.blobs().size(&stored).await.unwrap(), None);
    let mut transaction = registry.database().write().await.unwrap();
    let other = blobs::touch(&mut transaction, &stored, 1, registry.now()).await;
    assert_eq!(other.unwrap(), Touched::Live);
    transaction.commit().await.unwrap();
    drop(held);
    is_whole(registry, &storing.await.unwrap()).await;
}
