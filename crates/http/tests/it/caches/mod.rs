//! Whatever changes and whoever asks, a client's cache never shows stale bytes, and nobody sees what is not theirs.
//!
//! The client behaves like Composer: its cache knows the address and nothing else, neither the token nor who holds it.
//! Random changes happen; after each, everything read through the cache must equal what a client without a cache gets,
//! and what the repositories say.

mod client;
mod world;

use std::cell::Cell;
use std::time::{Duration, Instant};

use kapelle_testing::on_both_databases;
use kapelle_testing::postgres::TestPostgres;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, FileFailurePersistence, TestRunner};

use world::{Change, World};

/// How long new histories are tried; a machine under load tries fewer.
const PATIENCE: Duration = Duration::from_secs(15);
/// Changes in one history.
const LENGTH: usize = 14;

fn change() -> impl Strategy<Value = Change> {
    let package = 0..world::PACKAGES.len();
    let minor = 0..3_u8;
    let slot = 0..2_usize;
    prop_oneof![
        4 => (package.clone(), minor.clone()).prop_map(|(package, minor)| Change::Tag(package, minor)),
        2 => (package.clone(), minor).prop_map(|(package, minor)| Change::DeleteTag(package, minor)),
        4 => (package.clone(), 0..world::MANIFESTS.len()).prop_map(|(package, kind)| Change::Commit(package, kind)),
        2 => package.clone().prop_map(Change::Remove),
        2 => package.clone().prop_map(Change::Undo),
        1 => package.clone().prop_map(Change::Purge),
        1 => package.clone().prop_map(Change::Add),
        1 => package.prop_map(Change::Sync),
        3 => (slot.clone(), 0..2_usize, any::<bool>()).prop_map(|(slot, org, expires)| Change::Token(slot, org, expires)),
        2 => slot.prop_map(Change::Revoke),
        3 => prop_oneof![Just(1), Just(700), Just(1_000), Just(61_000), Just(90_000_000)].prop_map(Change::Wait),
        1 => Just(Change::PublicUrl),
    ]
}

/// A change, and whether every job that follows runs before anybody looks, or only the first.
fn history() -> impl Strategy<Value = Vec<(Change, bool)>> {
    vec((change(), prop::bool::weighted(0.7)), 1..LENGTH)
}

on_both_databases! {
    async fn no_cache_is_stale_after_any_history(url: String) {
        let deadline = Instant::now() + PATIENCE;
        let config = Config {
            cases: 200,
            max_shrink_iters: 60,
            failure_persistence: Some(Box::new(FileFailurePersistence::Direct("tests/it/caches/seeds.txt"))),
            ..Config::default()
        };
        let tried = Cell::new(0);
        let outcome = TestRunner::new(config).run(&history(), |history| {
            // Those that failed once come first and are always tried.
            if tried.get() > 3 && Instant::now() > deadline {
                return Ok(());
            }
            tried.set(tried.get() + 1);
            let play = play(&url, tried.get(), &history);
            tokio::task::block_in_place(|| tokio::runtime::Handle::current().block_on(play));
            Ok(())
        });
        if let Err(error) = outcome {
            panic!("{error}");
        }
    }
}

/// Plays a history on a database of its own.
async fn play(url: &str, number: usize, history: &[(Change, bool)]) {
    let another = if url.starts_with("postgres") {
        Some(TestPostgres::create().await)
    } else {
        None
    };
    let own = another.as_ref().map_or_else(
        || format!("{url}.{number}"),
        |database| database.url().to_owned(),
    );
    let mut world = World::start(&own).await;
    world.look("at the start").await;
    for (at, (change, settle)) in history.iter().enumerate() {
        world.make(change).await;
        if !settle {
            world.work_once().await;
            world
                .look(&format!("in the middle of {at}: {change:?}"))
                .await;
        }
        world.work().await;
        world.look(&format!("after {at}: {change:?}")).await;
        world
            .compare_with_repositories(&format!("after {at}: {change:?}"))
            .await;
    }
}
