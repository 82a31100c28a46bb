//! What is remembered: never older than what is known to have changed.

use std::sync::Arc;
use std::time::Duration;

use kapelle_registry::actor::TokenAccess;
use kapelle_registry::dist::{self, DistError};
use kapelle_registry::document::{self, Document, DocumentError};
use kapelle_registry::feed::Freshness;
use kapelle_registry::jobs::Worker;
use kapelle_registry::token::{self, Fingerprint, NewToken};
use kapelle_registry::{Actor, Registry};
use kapelle_testing::git::GitRepository;
use kapelle_testing::on_both_databases;
use serde_json::Value;
use tokio::time::{interval, timeout};
use tokio_util::sync::CancellationToken;

use crate::world::{World, body};

const LIB: &str = r#"{"name": "acme/lib"}"#;

async fn root(registry: &Registry) -> Value {
    let found = document::find(registry, &Actor::Operator, "acme/packages.json");
    body(&found.await.unwrap())
}

fn text(document: &Document) -> String {
    body(document).to_string()
}

on_both_databases! {
    async fn documents_follow_a_change_of_the_public_url(url: String) {
        let world = World::new(&url).await;
        let repository = GitRepository::with_releases(&[("1.0.0", LIB)]);
        world.add(&repository).await;
        world.work().await;
        assert!(world.versions("p2/acme/lib.json").await.is_some());
        assert_eq!(root(&world.registry).await["notify-batch"], "https://kapelle.example/repo/acme/downloads");

        world.registry.set_public_url("https://other.example/".parse().unwrap());
        let versions = world.versions("p2/acme/lib.json").await.unwrap();
        let dist = versions[0]["dist"]["url"].as_str().unwrap();
        assert!(dist.starts_with("https://other.example/repo/acme/dists/"), "{dist}");
        assert_eq!(root(&world.registry).await["notify-batch"], "https://other.example/repo/acme/downloads");
    }

    async fn a_root_made_while_packages_appear_lists_all_of_them(url: String) {
        let world = World::new(&url).await;
        let repositories: Vec<GitRepository> = (0..12)
            .map(|number| {
                GitRepository::with_releases(&[("1.0.0", &format!(r#"{{"name": "acme/lib{number:02}"}}"#))])
            })
            .collect();
        for repository in &repositories {
            world.add(repository).await;
        }
        let done = CancellationToken::new();
        let readers: Vec<_> = (0..4)
            .map(|_| {
                let (registry, done) = (world.other_process(), done.clone());
                tokio::spawn(async move {
                    while !done.is_cancelled() {
                        registry.catch_up().await.unwrap();
                        root(&registry).await;
                    }
                })
            })
            .collect();
        let workers: Vec<_> = (0..3)
            .map(|number| Worker::new(world.registry.clone(), format!("worker{number}")))
            .map(|worker| tokio::spawn(async move { worker.run_until_idle().await.unwrap() }))
            .collect();
        for worker in workers {
            worker.await.unwrap();
        }
        done.cancel();
        for reader in readers {
            reader.await.unwrap();
        }
        let fresh = world.other_process();
        fresh.catch_up().await.unwrap();
        assert_eq!(root(&fresh).await["available-packages"].as_array().unwrap().len(), 12);
    }

    async fn of_many_who_ask_for_what_is_not_made_yet_one_makes_it(url: String) {
        let world = World::new(&url).await;
        let repository = GitRepository::with_releases(&[("1.0.0", LIB)]);
        let package = world.add(&repository).await;
        world.work().await;
        let before = world.now(&package).await.revision;

        world.registry.set_public_url("https://other.example/".parse().unwrap());
        let ask = |number: usize| {
            let registry = world.registry.clone();
            let place = ["acme/p2/acme/lib.json", "acme/p2/acme/lib~dev.json", "acme/packages.json"][number % 3];
            let asked = async move { document::find(&registry, &Actor::Operator, place).await };
            (place, tokio::spawn(asked))
        };
        let asking: Vec<_> = (0..48).map(ask).collect();
        let mut dates = std::collections::BTreeMap::new();
        for (place, asked) in asking {
            let document = asked.await.unwrap().unwrap();
            let date = dates.entry(place).or_insert_with(|| document.last_modified.clone());
            assert_eq!(document.last_modified, *date, "{place}");
        }
        assert_eq!(world.now(&package).await.revision, before + 1);
    }

    async fn servers_with_different_addresses_never_hide_what_is_there_from_each_other(url: String) {
        let world = World::new(&url).await;
        let repository = GitRepository::with_releases(&[("1.0.0", LIB)]);
        world.add(&repository).await;
        world.work().await;
        let addresses = ["https://one.example/", "https://two.example/", "https://three.example/"];
        let servers = [addresses, addresses].concat().into_iter().map(|address| {
            let registry = world.other_process();
            registry.set_public_url(address.parse().unwrap());
            tokio::spawn(async move {
                let mut answered = 0;
                for _ in 0..40 {
                    registry.catch_up().await.unwrap();
                    for place in ["acme/packages.json", "acme/p2/acme/lib.json"] {
                        match document::find(&registry, &Actor::Operator, place).await {
                            Ok(found) => {
                                assert!(text(&found).contains(address), "{place}");
                                answered += 1;
                            }
                            // So many at once may not come to an end in time; they say so.
                            Err(DocumentError::Failed(_)) if place.contains("/p2/") => {}
                            Err(other) => panic!("{place}: {other}"),
                        }
                    }
                    // An equal one makes what is remembered worthless.
                    registry.set_public_url(address.parse().unwrap());
                }
                answered
            })
        });
        for server in servers.collect::<Vec<_>>() {
            assert!(server.await.unwrap() >= 40);
        }
    }

    async fn paths_that_no_database_takes_are_not_found(url: String) {
        let world = World::new(&url).await;
        for place in ["acme/p2/acme/l\0b.json", "ac\0me/packages.json", "acme/\0"] {
            let found = document::find(&world.registry, &Actor::Operator, place).await;
            assert!(matches!(found, Err(DocumentError::Unknown | DocumentError::Denied(_))), "{found:?}");
        }
        let name = "acme/lib".parse().unwrap();
        let found = dist::find(&world.registry, &Actor::Operator, "acme", &name, "\0").await;
        assert!(matches!(found, Err(DistError::Unknown)), "{found:?}");
    }

    async fn a_document_is_shared_not_copied(url: String) {
        let world = World::new(&url).await;
        let repository = GitRepository::with_releases(&[("1.0.0", LIB)]);
        world.add(&repository).await;
        world.work().await;
        let place = "acme/p2/acme/lib.json";
        let first = document::find(&world.registry, &Actor::Operator, place).await.unwrap();
        let second = document::find(&world.registry, &Actor::Operator, place).await.unwrap();
        assert!(Arc::ptr_eq(&first, &second), "remembered");
    }

    async fn a_revoked_token_is_forgotten_although_every_connection_is_busy(url: String) {
        let world = World::new(&url).await;
        let new = NewToken {
            organization_id: world.organization_id,
            description: String::new(),
            access: TokenAccess::Read,
            expires_at: None,
        };
        let created = token::create(&world.registry, &Actor::Operator, &new).await.unwrap();
        let server = world.process_connected_to(&url).await;
        let shutdown = CancellationToken::new();
        let following = tokio::spawn({
            let (server, shutdown) = (server.clone(), shutdown.clone());
            async move { server.follow(shutdown).await }
        });
        patiently("the sequence", || server.freshness() == Freshness::Confirmed).await;
        token::authenticate(&server, created.reveal()).await.unwrap();
        let fingerprint = Fingerprint::of(created.reveal());
        assert!(token::remembered(&server, &fingerprint, server.now()).is_some());

        let mut busy = Vec::new();
        while let Ok(connection) = timeout(Duration::from_millis(500), server.database().read()).await {
            busy.push(connection.unwrap());
        }
        token::remove(&world.registry, &Actor::Operator, world.organization_id, created.id).await.unwrap();
        patiently("its end", || token::remembered(&server, &fingerprint, server.now()).is_none()).await;
        drop(busy);
        let actor = token::authenticate(&server, created.reveal()).await.unwrap();
        assert!(matches!(actor, Actor::Refused), "{actor:?}");
        shutdown.cancel();
        following.await.unwrap();
    }
}

/// Looks again and again, far more often than the sequence is asked for, until something is so.
async fn patiently(what: &str, is_so: impl Fn() -> bool) {
    let mut ticks = interval(Duration::from_millis(20));
    for _ in 0..2_000 {
        ticks.tick().await;
        if is_so() {
            return;
        }
    }
    panic!("in vain waited for {what}");
}
