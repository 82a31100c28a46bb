//! The program is killed at every commit, rename, blob write and ref update, and goes on as if nothing had happened.
//!
//! A first run without a kill counts how often each point is reached. Then, for each point, the same scenario runs with
//! a server that dies there by SIGKILL; another one is started in its place and must bring about exactly what the first
//! run did, without anybody having lost anything in between.

mod commands;
mod ledger;
mod play;
mod points;
mod server;
mod uploads;
mod upstream;
mod world;

use std::collections::BTreeMap;

use kapelle_testing::postgres::TestPostgres;
use rstest::rstest;

use commands::{COMMANDS, Desk};
use play::{Outcome, play};
use points::{
    BUILDING, BY_THE_CLOCK, CLAIMING, FETCHING, Group, Hits, NOT_REACHED, PUBLISHING, READING,
    SERVER, STORING, SYNCHRONIZING, WORKING, is_in, kills, sources,
};
use uploads::{Sender, UPLOADING};
use upstream::Shape;
use world::{Kill, World};

#[rstest]
#[case::synchronizing(Shape::Small, SYNCHRONIZING)]
#[case::building(Shape::Small, BUILDING)]
#[case::claiming(Shape::Small, CLAIMING)]
#[case::working(Shape::Small, WORKING)]
#[case::publishing(Shape::Small, PUBLISHING)]
#[case::fetching(Shape::Small, FETCHING)]
#[case::reading(Shape::Small, READING)]
#[case::storing(Shape::Small, STORING)]
#[case::publishing_in_steps(Shape::Broad, SYNCHRONIZING)]
#[case::storing_in_parts(Shape::Large, &[" a blob is "])]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_killed_there_loses_nothing(#[case] shape: Shape, #[case] group: Group) {
    let world = World::new(shape, None).await;
    let unkilled = play(&world, None).await;
    let kills = kills(&unkilled.hits, group);
    assert!(!kills.is_empty(), "{:#?}", unkilled.hits);
    for kill in kills {
        world.take_back();
        compare(&play(&world, Some(&kill)).await, &unkilled, &kill);
    }
}

#[rstest]
#[case("before commit", "registry/src/sync/step.rs")]
#[case("after commit", "registry/src/sync/step.rs")]
#[case("before commit", "registry/src/dist/build.rs")]
#[case("after commit", "registry/src/hook.rs")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_on_postgresql_that_is_killed_there_loses_nothing(
    #[case] when: &str,
    #[case] file: &str,
) {
    let database = TestPostgres::create().await;
    let world = World::new(Shape::Small, Some(database.url())).await;
    let unkilled = play(&world, None).await;
    let reached = unkilled.hits.keys();
    let point = reached
        .filter(|point| point.starts_with(when))
        .find(|point| point.contains(file));
    let kill = Kill {
        point: point.expect("a point that was reached").clone(),
        hit: 1,
    };
    let database = TestPostgres::create().await;
    let world = World::new(Shape::Small, Some(database.url())).await;
    compare(&play(&world, Some(&kill)).await, &unkilled, &kill);
}

/// The first hit is always reached, but where only the clock says so; of later ones there may be fewer, as the queue is
/// looked at by the clock.
#[track_caller]
fn compare(outcome: &Outcome, unkilled: &Outcome, kill: &Kill) {
    let may_be_missed = kill.hit > 1 || is_in(&kill.point, BY_THE_CLOCK);
    assert!(outcome.killed || may_be_missed, "{kill:?} was not reached");
    // Each run may have a repository of its own.
    let [ours, theirs] = [outcome, unkilled].map(|outcome| {
        let mut metadata = outcome.metadata.clone();
        for version in &mut metadata {
            version["source"]["url"].take();
        }
        metadata
    });
    assert_eq!(ours, theirs, "after {kill:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upload_to_a_server_that_is_killed_there_can_be_sent_again() {
    let sender = Sender::new().await;
    let unkilled = sender.run(None).await;
    let kills = kills(&unkilled.hits, UPLOADING);
    for part in UPLOADING {
        let is_killed = kills.iter().any(|kill| kill.point.contains(part));
        assert!(is_killed, "{part}: {:#?}", unkilled.hits);
    }
    for kill in kills {
        sender.take_back();
        let sent = sender.run(Some(&kill)).await;
        assert!(sent.killed || kill.hit > 1, "{kill:?} was not reached");
        assert_eq!(sent.published, unkilled.published, "after {kill:?}");
    }
}

#[rstest]
#[case::setup(0)]
#[case::add(1)]
#[case::synchronize(2)]
#[case::remove(3)]
#[case::undo(4)]
#[case::purge(6)]
#[case::keys(7)]
#[tokio::test]
async fn a_command_that_is_killed_can_be_given_again(#[case] number: usize) {
    let desk = Desk::new();
    for command in &COMMANDS[..number] {
        desk.give(command).await;
    }
    desk.save();
    let command = COMMANDS[number];
    let hits = desk.give(command).await;
    let expected = desk.state().await;
    for (point, count) in hits {
        // What comes again and again within one command is much alike.
        for hit in 1..=count.min(2) {
            let kill = Kill {
                point: point.clone(),
                hit,
            };
            desk.take_back();
            let killed = desk.give_twice(command, &kill).await;
            assert!(killed || hit > 1, "{kill:?} was not reached");
            assert_eq!(desk.state().await, expected, "{command:?} after {kill:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_point_is_reached_and_belongs_to_a_group() {
    let mut reached = Hits::new();
    for shape in [Shape::Small, Shape::Broad, Shape::Large] {
        let world = World::new(shape, None).await;
        reached.extend(play(&world, None).await.hits);
    }
    let lonely: Vec<_> = reached
        .keys()
        .filter(|point| SERVER.iter().filter(|group| is_in(point, group)).count() != 1)
        .collect();
    assert!(lonely.is_empty(), "not in exactly one group: {lonely:#?}");

    let desk = Desk::new();
    for command in COMMANDS {
        reached.extend(desk.give(command).await);
    }
    reached.extend(Sender::new().await.run(None).await.hits);
    let sources = sources();
    let missing: Vec<_> = sources
        .names
        .iter()
        .filter(|name| !reached.contains_key(*name))
        .collect();
    assert!(missing.is_empty(), "never reached: {missing:#?}");
    for verb in ["ls-remote", "fetch"] {
        let started = format!("git {verb} started");
        assert!(reached.contains_key(&started), "never reached: {started}");
    }

    let mut unreached: BTreeMap<&str, usize> = BTreeMap::new();
    let mut places = Vec::new();
    for (file, commits) in &sources.commits {
        for place in commits {
            let is_reached = reached.contains_key(&format!("before commit {place}"));
            if !is_reached && !is_in(place, BY_THE_CLOCK) {
                *unreached
                    .entry(file.trim_start_matches("crates/"))
                    .or_default() += 1;
                places.push(place);
            }
        }
    }
    let known = NOT_REACHED
        .iter()
        .filter(|(file, _, _)| sources.commits.contains_key(&format!("crates/{file}")))
        .map(|(file, count, _)| (*file, *count));
    assert_eq!(unreached, known.collect(), "{places:#?}");
}
