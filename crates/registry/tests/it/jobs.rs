//! Jobs: retried with patience, taken over when their worker is lost, never run twice to effect.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use kapelle_registry::clock::{DAY, HOUR, MINUTE, SECOND};
use kapelle_registry::jobs::{self, End, Worker};
use kapelle_registry::{Actor, package};
use kapelle_storage::db::audit;
use kapelle_storage::db::changes;
use kapelle_storage::db::jobs as rows;
use kapelle_testing::git::GitRepository;
use kapelle_testing::on_both_databases;
use kapelle_vcs::GitConfig;
use tokio_util::sync::CancellationToken;

use crate::world::{Arrangement, World, claimant};

const LIB: &str = r#"{"name": "acme/lib"}"#;

/// While there is a pipe `gate`, a git that lists refs says there that it has begun, and waits until somebody writes.
fn with_a_gate(config: &mut GitConfig, folder: &Path) {
    gate(config, folder, "ls-remote");
}

/// The same for a git that reads objects.
fn with_a_gate_to_objects(config: &mut GitConfig, folder: &Path) {
    gate(config, folder, "cat-file");
}

fn gate(config: &mut GitConfig, folder: &Path, verb: &str) {
    let (script, gate) = (folder.join("git"), folder.join("gate"));
    let gate = gate.display();
    let wait =
        format!("if [ \"$1\" = {verb} ] && [ -p {gate} ]; then echo > {gate}; cat {gate}; fi");
    fs::write(&script, format!("#!/bin/sh\n{wait}\nexec git \"$@\"\n")).unwrap();
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
    config.binary = script;
}

on_both_databases! {
    async fn an_unreachable_repository_is_tried_again_later_and_then_given_up(url: String) {
        let world = World::new(&url).await;
        // Nobody listens on the discard port.
        let address = "http://127.0.0.1:9/acme/lib.git";
        let (added, job) =
            package::add(&world.registry, &Actor::Operator, world.organization_id, address, None)
                .await
                .unwrap();
        let mut waits = Vec::new();
        loop {
            let ran = world.worker.run_next().await.unwrap().unwrap();
            assert_eq!(ran.id, job);
            if ran.end != End::Again {
                assert_eq!(ran.end, End::Error);
                break;
            }
            assert_eq!(world.worker.run_next().await.unwrap(), None, "it has to wait");
            let row = jobs::show(&world.registry, &Actor::Operator, job).await.unwrap();
            let wait = row.run_at - world.registry.now();
            waits.push(wait / SECOND);
            world.clock.advance(wait);
        }
        assert_eq!(waits, [10, 40, 160, 640]);
        let error = world.now(&added).await.sync_error.unwrap();
        assert!(error.contains("127.0.0.1:9"), "{error}");
    }

    async fn a_lost_workers_job_is_taken_over_and_the_lost_one_changes_nothing(url: String) {
        let world = World::new(&url).await;
        let repository = GitRepository::with_releases(&[("1.0.0", LIB)]);
        world.add(&repository).await;
        let now = world.registry.now();
        let mut transaction = world.registry.database().write().await.unwrap();
        let lost = rows::claim(&mut transaction, claimant("lost"), 2, now, now + MINUTE).await.unwrap().unwrap();
        transaction.commit().await.unwrap();

        assert_eq!(world.worker.run_next().await.unwrap(), None, "the lease still holds");
        world.clock.advance(MINUTE + SECOND);
        let ran = world.worker.run_next().await.unwrap().unwrap();
        assert_eq!((ran.id, ran.end), (lost.id, End::Success));

        let mut transaction = world.registry.database().write().await.unwrap();
        let held = rows::is_held(&mut transaction, lost.id, lost.attempt).await.unwrap();
        assert!(!held);
    }

    async fn a_look_whose_job_was_taken_over_meanwhile_notes_nothing(url: String) {
        let arrangement = Arrangement { change_git: with_a_gate, ..Arrangement::default() };
        let world = World::arranged(&url, arrangement).await;
        let repository = GitRepository::with_releases(&[("1.0.0", LIB)]);
        let package = world.add(&repository).await;
        world.work().await;
        let before = world.now(&package).await.synced_at;
        let gate = world.folder().join("gate");
        assert!(std::process::Command::new("mkfifo").arg(&gate).status().unwrap().success());
        let job = package::sync(&world.registry, &Actor::Operator, &package).await.unwrap();
        let worker = world.worker.clone();
        let running = tokio::spawn(async move { worker.run_next().await });
        let at = gate.clone();
        tokio::task::spawn_blocking(move || fs::read(at)).await.unwrap().unwrap();

        world.clock.advance(MINUTE + SECOND);
        let mut transaction = world.registry.database().write().await.unwrap();
        rows::reclaim_expired(&mut transaction, world.registry.now()).await.unwrap();
        transaction.commit().await.unwrap();
        tokio::task::spawn_blocking(move || fs::write(gate, "")).await.unwrap().unwrap();

        assert_eq!(running.await.unwrap().unwrap().unwrap().end, End::Superseded);
        assert_eq!(world.now(&package).await.synced_at, before);
        let row = jobs::show(&world.registry, &Actor::Operator, job).await.unwrap();
        assert_eq!(row.state, "queued");
    }

    async fn of_several_slots_one_is_not_for_patient_jobs(url: String) {
        let arrangement = Arrangement { change_git: with_a_gate_to_objects, ..Arrangement::default() };
        let world = World::arranged(&url, arrangement).await;
        let repositories = ["one", "two"].map(|name| {
            GitRepository::with_releases(&[("1.0.0", &format!(r#"{{"name": "acme/{name}"}}"#))])
        });
        let package = world.add(&repositories[0]).await;
        world.worker.run_next().await.unwrap();
        world.add(&repositories[1]).await;
        world.worker.run_next().await.unwrap();
        let queued = async || {
            let filter = jobs::Filter { state: Some("queued"), ..jobs::Filter::default() };
            rows::list(&mut world.registry.database().read().await.unwrap(), filter, 10).await.unwrap()
        };
        let patient: Vec<_> = queued().await.iter().map(|job| job.id).collect();
        assert_eq!(patient.len(), 2, "the dists of both");
        let gate = world.folder().join("gate");
        assert!(std::process::Command::new("mkfifo").arg(&gate).status().unwrap().success());
        let (worker, stop) = (world.worker.clone(), CancellationToken::new());
        let running = tokio::spawn({
            let stop = stop.clone();
            async move { worker.run(2, stop).await }
        });
        let at = gate.clone();
        tokio::task::spawn_blocking(move || fs::read(at)).await.unwrap().unwrap();

        let look = package::sync(&world.registry, &Actor::Operator, &package).await.unwrap();
        world.is_over(look).await;
        assert_eq!(queued().await.len(), 1, "one of the two has to wait for the other");

        let open = move || {
            let _writer = fs::File::options().write(true).open(&gate)?;
            fs::remove_file(&gate)
        };
        tokio::task::spawn_blocking(open).await.unwrap().unwrap();
        for job in patient {
            world.is_over(job).await;
        }
        stop.cancel();
        running.await.unwrap();
    }

    async fn a_slot_goes_from_look_to_look_until_it_has_to_stop(url: String) {
        let arrangement = Arrangement { change_git: with_a_gate, ..Arrangement::default() };
        let world = World::arranged(&url, arrangement).await;
        let mut packages = Vec::new();
        let repositories: Vec<_> = (10..22)
            .map(|number| GitRepository::with_releases(&[("1.0.0", &format!(r#"{{"name": "acme/lib-{number}"}}"#))]))
            .collect();
        for repository in &repositories {
            packages.push(world.add(repository).await);
        }
        world.work().await;
        world.clock.advance(SECOND);
        let looks = package::sync_page(&world.registry, &Actor::Operator, &packages).await.unwrap();
        let (worker, stop) = (world.worker.clone(), CancellationToken::new());
        let running = tokio::spawn({
            let stop = stop.clone();
            async move { worker.run(1, stop).await }
        });
        for look in looks {
            world.is_over(look).await;
            let row = jobs::show(&world.registry, &Actor::Operator, look).await.unwrap();
            assert_eq!((row.state.as_str(), row.attempt, row.message.as_str()), ("success", 1, "nothing changed"));
        }

        let gate = world.folder().join("gate");
        assert!(std::process::Command::new("mkfifo").arg(&gate).status().unwrap().success());
        let looks = package::sync_page(&world.registry, &Actor::Operator, &packages[..2]).await.unwrap();
        let at = gate.clone();
        tokio::task::spawn_blocking(move || fs::read(at)).await.unwrap().unwrap();
        stop.cancel();
        tokio::task::spawn_blocking(move || fs::write(gate, "")).await.unwrap().unwrap();
        running.await.unwrap();
        let mut states = Vec::new();
        for look in looks {
            states.push(jobs::show(&world.registry, &Actor::Operator, look).await.unwrap().state);
        }
        assert_eq!(states, ["success", "queued"]);
    }

    async fn a_look_that_finds_nothing_new_ends_its_job(url: String) {
        let world = World::new(&url).await;
        let repository = GitRepository::with_releases(&[("1.0.0", LIB)]);
        let package = world.add(&repository).await;
        world.work().await;
        world.clock.advance(SECOND);
        let job = package::sync(&world.registry, &Actor::Operator, &package).await.unwrap();
        world.work().await;
        let row = jobs::show(&world.registry, &Actor::Operator, job).await.unwrap();
        let now = Some(world.registry.now());
        assert_eq!((row.state.as_str(), row.message.as_str()), ("success", "nothing changed"));
        assert_eq!((row.finished_at, row.owner, row.lease_until), (now, None, None));
        assert_eq!(world.now(&package).await.synced_at, now);
    }

    async fn a_released_job_is_run_by_another_worker_at_once(url: String) {
        let world = World::new(&url).await;
        let repository = GitRepository::with_releases(&[("1.0.0", LIB)]);
        world.add(&repository).await;
        let leaving = Worker::new(world.registry.clone(), "leaving".to_owned());
        let now = world.registry.now();
        let mut transaction = world.registry.database().write().await.unwrap();
        rows::claim(&mut transaction, claimant("leaving"), 2, now, now + MINUTE).await.unwrap();
        transaction.commit().await.unwrap();

        assert_eq!(leaving.release().await.unwrap(), 1);
        world.work().await;
        assert_eq!(world.numbers("p2/acme/lib.json").await, ["1.0.0"]);
    }

    async fn a_package_has_one_pending_synchronization_however_often_it_is_asked_for(url: String) {
        let world = World::new(&url).await;
        let repository = GitRepository::with_releases(&[("1.0.0", LIB)]);
        let added = world.add(&repository).await;
        let first = package::sync(&world.registry, &Actor::Operator, &added).await.unwrap();
        let second = package::sync(&world.registry, &Actor::Operator, &added).await.unwrap();
        assert_eq!(first, second);
        assert_eq!(world.work().await.len(), 2, "the synchronization and the dists");
    }

    async fn a_cancelled_job_does_not_run(url: String) {
        let world = World::new(&url).await;
        let repository = GitRepository::with_releases(&[("1.0.0", LIB)]);
        let added = world.add(&repository).await;
        let job = package::sync(&world.registry, &Actor::Operator, &added).await.unwrap();
        jobs::cancel(&world.registry, &Actor::Operator, job).await.unwrap();
        assert!(world.work().await.is_empty());
        let mut connection = world.registry.database().read().await.unwrap();
        let audited = audit::list(&mut connection, Some(world.organization_id), None, 1).await.unwrap();
        drop(connection);
        assert_eq!((audited[0].action.as_str(), &audited[0].subject), ("job.cancel", &job.to_string()));
        let again = jobs::cancel(&world.registry, &Actor::Operator, job).await.unwrap_err();
        assert_eq!(again.to_string(), format!("job {job} has ended: there is nothing to cancel"));
    }

    async fn packages_without_a_hook_are_looked_at_every_hour(url: String) {
        let world = World::new(&url).await;
        let repository = GitRepository::with_releases(&[("1.0.0", LIB)]);
        world.add(&repository).await;
        world.work().await;
        world.registry.tick().await.unwrap();
        world.work().await;

        repository.release("1.1.0", LIB);
        world.clock.advance(HOUR + MINUTE);
        world.registry.tick().await.unwrap();
        world.work().await;
        assert_eq!(world.numbers("p2/acme/lib.json").await, ["1.1.0", "1.0.0"]);
    }

    async fn a_running_job_that_was_cancelled_is_not_tried_again(url: String) {
        let world = World::new(&url).await;
        let repository = GitRepository::with_releases(&[("1.0.0", LIB)]);
        world.add(&repository).await;
        let now = world.registry.now();
        let mut transaction = world.registry.database().write().await.unwrap();
        let job = rows::claim(&mut transaction, claimant("other"), 2, now, now + MINUTE).await.unwrap().unwrap();
        transaction.commit().await.unwrap();
        jobs::cancel(&world.registry, &Actor::Operator, job.id).await.unwrap();

        let mut transaction = world.registry.database().write().await.unwrap();
        let again = rows::retry_later(&mut transaction, job.id, job.attempt, now, "no route", now).await.unwrap();
        assert!(!again);
        transaction.commit().await.unwrap();
        world.clock.advance(MINUTE + SECOND);
        assert_eq!(world.worker.run_next().await.unwrap(), None);
        let row = jobs::show(&world.registry, &Actor::Operator, job.id).await.unwrap();
        assert_eq!(row.state, "cancelled");
    }

    async fn everything_that_is_old_is_dropped_at_once(url: String) {
        let world = World::new(&url).await;
        let mut transaction = world.registry.database().write().await.unwrap();
        for number in 0..1_200 {
            let name = format!("acme/lib{number}");
            let (now, id) = (world.registry.now(), world.organization_id);
            changes::append(&mut transaction, now, id, "package", "update", &name).await.unwrap();
        }
        transaction.commit().await.unwrap();
        world.clock.advance(8 * DAY);
        world.registry.tick().await.unwrap();
        world.work().await;
        let mut connection = world.registry.database().read().await.unwrap();
        let left = changes::since(&mut connection, 0, 2_000).await.unwrap();
        assert_eq!(left.len(), 1, "the newest, by which followers find their place");
    }

    async fn dists_that_could_not_be_built_are_tried_again_every_day(url: String) {
        let world = World::new(&url).await;
        world.registry.tick().await.unwrap();
        world.work().await;
        let repository = GitRepository::with_releases(&[("1.0.0", LIB)]);
        let package = world.add(&repository).await;
        world.worker.run_next().await.unwrap().unwrap();
        let hidden = [world.mirror(&package), repository.path()].map(|path| (path.with_extension("away"), path));
        for (away, path) in &hidden {
            std::fs::rename(path, away).unwrap();
        }
        let first = world.worker.run_next().await.unwrap().unwrap();
        assert_eq!((first.kind.as_str(), first.end), ("BuildDists", End::Again));
        while let Some(job) = rows::next_run_at(&mut world.registry.database().read().await.unwrap()).await.unwrap() {
            world.clock.advance(job - world.registry.now());
            world.worker.run_next().await.unwrap();
        }
        for (away, path) in &hidden {
            std::fs::rename(away, path).unwrap();
        }
        world.clock.advance(DAY);
        world.registry.tick().await.unwrap();
        world.work().await;
        let versions = world.versions("p2/acme/lib.json").await.unwrap();
        assert_eq!(versions[0]["dist"]["shasum"].as_str().unwrap().len(), 40);
    }
}
