//! Disks that run full: nothing is changed any more, everything can be read, and it ends by itself.

use std::fs;
use std::time::Duration;

use kapelle_registry::clock::{HOUR, MINUTE};
use kapelle_registry::jobs::{self, End};
use kapelle_registry::organization::{self, OrganizationError};
use kapelle_registry::statistics::{self, Install};
use kapelle_registry::{Actor, Limits, dist, document, hook, package};
use kapelle_storage::StorageError;
use kapelle_storage::blobs::BlobsConfig;
use kapelle_storage::db::install_statistics;
use kapelle_testing::git::GitRepository;
use kapelle_testing::on_both_databases;
use tokio::net::TcpListener;

use crate::world::{Arrangement, World};

const LIB: &str = r#"{"name": "acme/lib"}"#;
const SENTENCE: &str = "the disk of the data folder has 4 GiB of 100 GiB free, less than the 5 % of limits.free_disk: \
     nothing is changed until there is room; delete what is not needed there, or enlarge it";

on_both_databases! {
    async fn without_room_nothing_is_changed_and_everything_can_be_read(url: String) {
        let world = World::new(&url).await;
        let registry = &world.registry;
        let repository = GitRepository::with_releases(&[("1.0.0", LIB)]);
        let built = repository.resolve("refs/tags/1.0.0").unwrap();
        let added = world.add(&repository).await;
        world.work().await;
        let unbuilt = repository.release("1.1.0", LIB);
        package::sync(registry, &Actor::Operator, &added).await.unwrap();
        world.worker.run_next().await.unwrap();

        world.leave_free(4);
        assert_eq!(registry.check_disk().await.unwrap().to_string(), SENTENCE);
        let refused: Vec<String> = [
            hook::received(registry, &Actor::Operator, world.organization_id, &[repository.url()])
                .await.unwrap_err().to_string(),
            package::sync(registry, &Actor::Operator, &added).await.unwrap_err().to_string(),
            organization::setup(registry, &Actor::Operator, "new", None).await.unwrap_err().to_string(),
            dist::find(registry, &Actor::Operator, "acme", &"acme/lib".parse().unwrap(), &unbuilt)
                .await.unwrap_err().to_string(),
        ].into();
        assert_eq!(refused, [SENTENCE; 4]);
        assert_eq!(world.worker.run_next().await.unwrap(), None, "jobs wait");
        world.clock.advance(2 * HOUR);
        registry.tick().await.unwrap();

        assert!(!world.dist("acme/lib", &built).await.is_empty());
        assert_eq!(world.numbers("p2/acme/lib.json").await, ["1.1.0", "1.0.0"]);
        let root = document::find(registry, &Actor::Operator, "acme/packages.json").await;
        assert!(root.is_ok(), "a document is made anew for its readers: {root:?}");
    }

    async fn with_room_again_what_waited_is_done_without_anybody(url: String) {
        let world = World::new(&url).await;
        let repository = GitRepository::with_releases(&[("1.0.0", LIB)]);
        let commit = repository.resolve("refs/tags/1.0.0").unwrap();
        world.add(&repository).await;
        world.leave_free(4);
        assert_eq!(world.worker.run_next().await.unwrap(), None);
        world.leave_free(5);
        assert_eq!(world.worker.run_next().await.unwrap(), None, "a fifth more is wanted");

        world.leave_free(6);
        assert_eq!(world.work().await.len(), 2);
        assert!(!world.dist("acme/lib", &commit).await.is_empty());
        assert!(organization::setup(&world.registry, &Actor::Operator, "new", None).await.is_ok());
    }

    async fn a_job_that_runs_is_stopped_and_done_later(url: String) {
        // Its heart beats twelve times in that time.
        let limits = Limits { lease: Duration::from_millis(600), ..Limits::default() };
        let world = World::with_limits(&url, limits).await;
        let host = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = host.local_addr().unwrap();
        let silent = format!("http://{address}/acme/lib.git");
        let (_, job) =
            package::add(&world.registry, &Actor::Operator, world.organization_id, &silent, None)
                .await.unwrap();
        // As many times as a job that fails would be tried, and once more.
        for attempt in 1..=6 {
            world.leave_free(50);
            let worker = world.worker.clone();
            let running = tokio::spawn(async move { worker.run_next().await });
            // What git wants to know is never answered.
            let _connection = host.accept().await.unwrap();
            world.leave_free(4);
            let ran = running.await.unwrap().unwrap().unwrap();
            assert_eq!((ran.id, ran.end), (job, End::Again), "attempt {attempt}");
            assert_eq!(ran.message, SENTENCE);
            world.clock.advance(HOUR + MINUTE);
            if attempt == 1 {
                let log = jobs::log(&world.registry, &Actor::Operator, job).await.unwrap();
                assert_eq!(log[0].line, format!("attempt 1 of 5: {SENTENCE}"));
            }
        }
        let row = jobs::show(&world.registry, &Actor::Operator, job).await.unwrap();
        assert_eq!((row.state.as_str(), row.attempt), ("queued", 6));
    }

    async fn installs_are_counted_while_nothing_else_is_written(url: String) {
        let world = World::new(&url).await;
        let repository = GitRepository::with_releases(&[("1.0.0", LIB)]);
        let added = world.add(&repository).await;
        world.work().await;
        world.leave_free(4);
        world.registry.check_disk().await;

        let install = Install { name: "acme/lib".to_owned(), version: "1.0.0.0".to_owned() };
        let organization_id = world.organization_id;
        statistics::record_installs(&world.registry, &Actor::Operator, organization_id, vec![install])
            .unwrap();
        statistics::flush(&world.registry).await.unwrap();
        let mut connection = world.registry.database().read().await.unwrap();
        let total = install_statistics::total(&mut connection, added.id).await.unwrap();
        assert_eq!(total, 1);
    }

    async fn every_handle_on_the_database_is_shut(url: String) {
        let world = World::new(&url).await;
        let database = world.registry.database().clone();
        world.leave_free(4);
        world.registry.check_disk().await;
        let refused = database.write().await.map(drop).unwrap_err();
        assert!(matches!(refused, StorageError::Shut { .. }), "{refused}");
        let refused = organization::setup(&world.registry, &Actor::Operator, "new", None).await;
        assert!(matches!(refused, Err(OrganizationError::Storage(StorageError::Shut { .. }))));
    }

    async fn a_damaged_mirror_is_kept_until_its_dists_can_be_stored(url: String) {
        let store = tempfile::tempdir().unwrap();
        let blobs = store.path().join("blobs");
        let arrangement = Arrangement {
            blobs: BlobsConfig::new(format!("file:{}", blobs.display())),
            ..Arrangement::default()
        };
        let world = World::arranged(&url, arrangement).await;
        let repository = GitRepository::with_releases(&[("1.0.0", LIB), ("1.1.0", LIB)]);
        let package = world.add(&repository).await;
        // Published, and no dist is built yet.
        world.worker.run_next().await.unwrap();
        let lost = repository.resolve("refs/tags/1.1.0").unwrap();
        let kept = repository.resolve("refs/tags/1.0.0").unwrap();
        repository.set_ref("refs/heads/main", &kept);
        repository.delete_ref("refs/tags/1.1.0");
        repository.git(&["gc", "--quiet", "--prune=now"]);
        let missing = format!("{}\n", "0123456789".repeat(4));
        fs::write(world.mirror(&package).join("refs/heads/main"), missing).unwrap();
        fs::remove_dir_all(&blobs).unwrap();
        fs::write(&blobs, "in the way").unwrap();

        let job = package::sync(&world.registry, &Actor::Operator, &package).await.unwrap();
        let ran = world.worker.run_this(job).await.unwrap().unwrap();
        assert_eq!(ran.end, End::Again, "{}", ran.message);
        assert!(ran.message.contains("could not be"), "{}", ran.message);
        assert_eq!(world.numbers("p2/acme/lib.json").await, ["1.1.0", "1.0.0"]);

        fs::remove_file(&blobs).unwrap();
        world.clock.advance(HOUR);
        let ran = world.worker.run_this(job).await.unwrap().unwrap();
        assert_eq!(ran.end, End::Success, "{}", ran.message);
        assert!(!world.dist("acme/lib", &lost).await.is_empty());
    }
}
