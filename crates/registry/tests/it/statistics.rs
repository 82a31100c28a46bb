//! Install statistics: whatever clients report, and whenever the database is away.

use kapelle_registry::statistics::{self, Install};
use kapelle_registry::{Actor, package};
use kapelle_testing::git::GitRepository;
use kapelle_testing::on_both_databases;

use crate::world::World;

const LIB: &str = r#"{"name": "acme/lib"}"#;

fn install(name: &str, version: &str) -> Install {
    Install {
        name: name.to_owned(),
        version: version.to_owned(),
    }
}

fn report(world: &World, installs: Vec<Install>) {
    let actor = Actor::Operator;
    statistics::record_installs(&world.registry, &actor, world.organization_id, installs).unwrap();
}

on_both_databases! {
    async fn odd_reports_are_passed_over_and_stop_nothing(url: String) {
        let world = World::new(&url).await;
        let repository = GitRepository::with_releases(&[("1.0.0", LIB)]);
        world.add(&repository).await;
        world.work().await;
        let long: String = (0..9_000_u32).map(|n| char::from(b'a' + u8::try_from(n * n % 26).unwrap())).collect();
        report(&world, vec![
            install("acme/lib", "1.0.0.0"),
            install("Acme/Lib", "1.0.0.0"),
            install("acme/lib", "1.0\0"),
            install("acme/lib", &long),
            install("ac\0me/lib", "1.0.0.0"),
        ]);
        world.registry.tick().await.unwrap();
        let shown = package::show(&world.registry, &Actor::Operator, world.organization_id, "acme/lib");
        assert_eq!(shown.await.unwrap().installs, 2);
        assert!(!world.work().await.is_empty(), "the schedule went on");
    }

    async fn what_could_not_be_written_waits_for_the_next_time(url: String) {
        let world = World::new(&url).await;
        report(&world, vec![install("acme/lib", "1.0.0.0")]);
        world.registry.database().close().await;
        assert!(statistics::flush(&world.registry).await.is_err());
        assert!(statistics::flush(&world.registry).await.is_err(), "it still has something to write");
    }
}
