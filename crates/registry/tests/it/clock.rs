//! Clocks that are set: a year forward, a year back, and nothing runs a thousand times, stands still or is served that
//! should not be.

use kapelle_registry::actor::TokenAccess;
use kapelle_registry::clock::{DAY, HOUR, MINUTE, Millis, SECOND};
use kapelle_registry::feed::Freshness;
use kapelle_registry::jobs::{self, End, Filter, Tidy, Worker};
use kapelle_registry::statistics::{self, Install};
use kapelle_registry::token::{self, NewToken};
use kapelle_registry::{Actor, document, package};
use kapelle_storage::db::jobs as rows;
use kapelle_storage::db::{changes, install_statistics, schedules};
use kapelle_testing::git::GitRepository;
use kapelle_testing::on_both_databases;

use crate::world::{START, World, claimant};

const LIB: &str = r#"{"name": "acme/lib"}"#;
const YEAR: Millis = 365 * DAY;

/// How many jobs of a kind there ever were.
async fn count(world: &World, kind: &str) -> usize {
    let filter = Filter {
        kind: Some(kind),
        ..Filter::default()
    };
    jobs::list(&world.registry, &Actor::Operator, filter, 10_000)
        .await
        .unwrap()
        .len()
}

/// The second that a document carries.
async fn date(world: &World, path: &str) -> i64 {
    let place = format!("acme/{path}");
    let document = document::find(&world.registry, &Actor::Operator, &place)
        .await
        .unwrap();
    let parsed = time::OffsetDateTime::parse(
        &String::from_utf8_lossy(document.last_modified.as_ref()).replace("GMT", "+0000"),
        &time::format_description::well_known::Rfc2822,
    );
    parsed.unwrap().unix_timestamp()
}

async fn token(world: &World, expires_at: i64) -> String {
    let new = NewToken {
        organization_id: world.organization_id,
        description: "test".to_owned(),
        access: TokenAccess::Read,
        expires_at: Some(expires_at),
    };
    let created = token::create(&world.registry, &Actor::Operator, &new)
        .await
        .unwrap();
    created.reveal().to_owned()
}

async fn is_valid(world: &World, secret: &str) -> bool {
    let actor = token::authenticate(&world.registry, secret).await.unwrap();
    matches!(actor, Actor::Token(_))
}

on_both_databases! {
    async fn a_year_forward_makes_each_schedule_due_once(url: String) {
        let world = World::new(&url).await;
        let repository = GitRepository::with_releases(&[("1.0.0", LIB)]);
        world.add(&repository).await;
        world.work().await;
        world.registry.tick().await.unwrap();
        world.work().await;

        world.clock.jump(YEAR);
        let mut ran = Vec::new();
        for _ in 0..3 {
            world.registry.tick().await.unwrap();
            ran.extend(world.work().await.into_iter().map(|ran| ran.kind));
            world.clock.advance(5 * SECOND);
        }
        ran.sort();
        assert_eq!(ran, ["SyncPackage", "Tidy"]);
    }

    async fn a_year_back_stops_no_schedule(url: String) {
        let world = World::new(&url).await;
        let repository = GitRepository::with_releases(&[("1.0.0", LIB)]);
        world.clock.jump(YEAR);
        world.add(&repository).await;
        world.registry.tick().await.unwrap();
        world.work().await;
        let tidied = count(&world, "Tidy").await;

        world.clock.jump(-YEAR);
        repository.release("1.1.0", LIB);
        world.registry.tick().await.unwrap();
        world.work().await;
        assert_eq!(world.numbers("p2/acme/lib.json").await, ["1.1.0", "1.0.0"]);
        assert_eq!(count(&world, "Tidy").await, tidied + 1);
        let mut connection = world.registry.database().read().await.unwrap();
        for schedule in schedules::list(&mut connection).await.unwrap() {
            assert!(schedule.next_run_at <= START + DAY, "{schedule:?}");
        }
        drop(connection);
        for _ in 0..3 {
            world.clock.advance(SECOND);
            world.registry.tick().await.unwrap();
            assert!(world.work().await.is_empty(), "once is enough");
        }
    }

    async fn a_year_back_leaves_no_job_waiting_for_a_year(url: String) {
        let world = World::new(&url).await;
        let repository = GitRepository::with_releases(&[("1.0.0", LIB)]);
        world.clock.jump(YEAR);
        world.add(&repository).await;
        // Another worker has taken it, and is lost with the machine whose clock was wrong.
        let now = world.registry.now();
        let mut transaction = world.registry.database().write().await.unwrap();
        let lost = rows::claim(&mut transaction, claimant("lost"), 2, now, now + MINUTE).await.unwrap().unwrap();
        transaction.commit().await.unwrap();
        let two = GitRepository::with_releases(&[("1.0.0", r#"{"name": "acme/two"}"#)]);
        let waiting = world.add(&two).await;

        world.clock.jump(-YEAR);
        world.registry.tick().await.unwrap();
        let ran = world.work().await;
        assert!(ran.iter().any(|ran| ran.message.starts_with("acme/two")), "{waiting:?}: {ran:?}");
        assert!(ran.iter().all(|ran| ran.id != lost.id), "its lease is a minute, as any");
        world.clock.advance(3 * MINUTE);
        let ran = world.work().await;
        assert!(ran.iter().any(|ran| ran.message.starts_with("acme/lib")), "{ran:?}");
    }

    async fn a_worker_whose_lease_a_jump_ended_changes_nothing_any_more(url: String) {
        let world = World::new(&url).await;
        let repository = GitRepository::with_releases(&[("1.0.0", LIB)]);
        world.add(&repository).await;
        let now = world.registry.now();
        let mut transaction = world.registry.database().write().await.unwrap();
        let slow = rows::claim(&mut transaction, claimant("slow"), 2, now, now + MINUTE).await.unwrap().unwrap();
        transaction.commit().await.unwrap();

        world.clock.jump(HOUR);
        let ran = world.worker.run_next().await.unwrap().unwrap();
        assert_eq!((ran.id, ran.end), (slow.id, End::Success));
        let mut transaction = world.registry.database().write().await.unwrap();
        let beat = rows::heartbeat(&mut transaction, slow.id, slow.attempt, "slow", now + DAY).await.unwrap();
        assert_eq!(beat, rows::Lease::Lost);
        assert!(!rows::is_held(&mut transaction, slow.id, slow.attempt).await.unwrap());
    }

    async fn a_lease_is_renewed_across_a_jump_back(url: String) {
        let world = World::new(&url).await;
        let repository = GitRepository::with_releases(&[("1.0.0", LIB)]);
        world.add(&repository).await;
        let now = world.registry.now();
        let mut transaction = world.registry.database().write().await.unwrap();
        let held = rows::claim(&mut transaction, claimant("here"), 2, now, now + MINUTE).await.unwrap().unwrap();
        transaction.commit().await.unwrap();
        world.clock.jump(-YEAR);
        let now = world.registry.now();
        let mut transaction = world.registry.database().write().await.unwrap();
        let beat = rows::heartbeat(&mut transaction, held.id, held.attempt, "here", now + MINUTE).await.unwrap();
        transaction.commit().await.unwrap();
        assert_eq!(beat, rows::Lease::Held);
        let other = Worker::new(world.registry.clone(), "other".to_owned());
        assert_eq!(other.run_next().await.unwrap(), None);
        world.clock.advance(MINUTE + SECOND);
        assert_eq!(other.run_next().await.unwrap().unwrap().id, held.id, "a minute is a minute");
    }

    async fn a_token_is_judged_by_the_clock_and_lost_by_no_jump(url: String) {
        let world = World::new(&url).await;
        let secret = token(&world, START + DAY).await;
        assert!(is_valid(&world, &secret).await);
        world.clock.jump(YEAR);
        assert!(!is_valid(&world, &secret).await);
        world.registry.tick().await.unwrap();
        world.work().await;
        world.clock.jump(-YEAR);
        assert!(is_valid(&world, &secret).await, "a wrong clock has deleted nothing");
        world.clock.jump(DAY);
        assert!(!is_valid(&world, &secret).await);
    }

    async fn the_date_of_a_document_only_grows(url: String) {
        let world = World::new(&url).await;
        let repository = GitRepository::with_releases(&[("1.0.0", LIB)]);
        let added = world.add(&repository).await;
        world.work().await;
        let (tagged, root) = ("p2/acme/lib.json", "packages.json");
        let mut last = (date(&world, tagged).await, date(&world, root).await);
        for (number, jump) in [YEAR, -YEAR, -YEAR, 2 * YEAR, -YEAR].into_iter().enumerate() {
            world.clock.jump(jump);
            repository.release(&format!("1.1.{number}"), LIB);
            world.sync(&added).await;
            package::remove(&world.registry, &Actor::Operator, &added).await.unwrap();
            let id = added.id.to_string();
            package::undo(&world.registry, &Actor::Operator, world.organization_id, &id).await.unwrap();
            let now = (date(&world, tagged).await, date(&world, root).await);
            assert!(now.0 > last.0 && now.1 > last.1, "{now:?} after {last:?}");
            last = now;
        }
        assert_eq!(world.numbers(tagged).await.len(), 6);
    }

    async fn an_install_counts_on_the_day_that_the_clock_has(url: String) {
        let world = World::new(&url).await;
        let repository = GitRepository::with_releases(&[("1.0.0", LIB)]);
        let added = world.add(&repository).await;
        world.work().await;
        let report = || {
            let install = Install { name: "acme/lib".to_owned(), version: "1.0.0.0".to_owned() };
            let actor = &Actor::Operator;
            statistics::record_installs(&world.registry, actor, world.organization_id, vec![install]).unwrap();
        };
        report();
        world.clock.jump(YEAR);
        report();
        world.clock.jump(-2 * YEAR);
        report();
        world.clock.jump(YEAR);
        report();
        statistics::flush(&world.registry).await.unwrap();
        let mut connection = world.registry.database().read().await.unwrap();
        let counts = install_statistics::for_package(&mut connection, added.id, 0, i64::MAX).await.unwrap();
        let today = START / DAY;
        let counts: Vec<_> = counts.iter().map(|count| (count.day - today, count.installs)).collect();
        assert_eq!(counts, [(-365, 1), (0, 2), (365, 1)]);
    }

    async fn a_jump_does_not_make_a_lost_database_look_fresh(url: String) {
        let world = World::new(&url).await;
        let registry = &world.registry;
        registry.catch_up().await.unwrap();
        for jump in [YEAR, -YEAR] {
            world.clock.jump(jump);
            assert_eq!(registry.freshness(), Freshness::Confirmed, "no time has passed");
        }
        world.clock.jump(-YEAR);
        world.clock.advance(11 * SECOND);
        assert_eq!(registry.freshness(), Freshness::Unready);
        world.clock.advance(MINUTE);
        assert_eq!(registry.freshness(), Freshness::Stale);
    }

    async fn a_change_that_a_clock_ahead_has_pruned_is_not_missed(url: String) {
        let world = World::new(&url).await;
        let other = world.other_process();
        let secret = token(&world, START + 10 * YEAR).await;
        other.catch_up().await.unwrap();
        let Actor::Token(holder) = token::authenticate(&other, &secret).await.unwrap() else {
            panic!("the token is valid");
        };

        token::remove(&world.registry, &Actor::Operator, world.organization_id, holder.id).await.unwrap();
        world.clock.jump(YEAR);
        let mut transaction = world.registry.database().write().await.unwrap();
        changes::append(&mut transaction, world.registry.now(), world.organization_id, "root", "update", "x").await.unwrap();
        jobs::enqueue(&world.registry, &mut transaction, &Tidy {}).await.unwrap();
        transaction.commit().await.unwrap();
        world.work().await;
        other.catch_up().await.unwrap();
        let actor = token::authenticate(&other, &secret).await.unwrap();
        assert!(matches!(actor, Actor::Refused), "{actor:?}");
    }

    async fn blobs_that_a_clock_ahead_has_collected_are_stored_again(url: String) {
        let world = World::new(&url).await;
        let repository = GitRepository::with_releases(&[("1.0.0", LIB)]);
        let commit = repository.resolve("refs/tags/1.0.0").unwrap();
        world.add(&repository).await;
        world.work().await;
        let bytes = world.dist("acme/lib", &commit).await;
        for jump in [YEAR, -2 * YEAR, YEAR] {
            world.clock.jump(jump);
            world.registry.tick().await.unwrap();
            world.work().await;
            assert_eq!(world.dist("acme/lib", &commit).await, bytes);
        }
    }
}
