//! A revoked token, measured: clients ask two servers all the time, and a third process revokes what they show.

use std::time::Duration;

use kapelle_testing::on_both_databases;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};

use super::world::client;
use crate::world::Installation;

/// Requests in a second, to each server.
const RATE: u32 = 64;
/// What is promised.
const LIMIT: Duration = Duration::from_secs(1);

/// When a request was sent, when its answer came, and the status.
struct Asked {
    sent: Instant,
    answered: Instant,
    status: u16,
}

/// Asks a server again and again until `end`.
async fn ask(url: String, token: String, end: Instant) -> Vec<Asked> {
    let client = client();
    let mut ticks = interval(Duration::from_secs(1) / RATE);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let mut requests = JoinSet::new();
    while Instant::now() < end {
        ticks.tick().await;
        let request = client.get(&url).basic_auth("token", Some(&token));
        requests.spawn(async move {
            let sent = Instant::now();
            let status = request.send().await.expect("an answer").status().as_u16();
            let answered = Instant::now();
            Asked {
                sent,
                answered,
                status,
            }
        });
    }
    requests.join_all().await
}

on_both_databases! {
    async fn a_revoked_token_is_refused_by_every_server_within_a_second(url: String) {
        let installation = Installation::new().set("DATABASE_URL", &url);
        let setup = installation.json(&["setup", "--organization", "acme"]).await;
        let other = setup["composer_token"].as_str().unwrap().to_owned();
        let created = installation.json(&["token", "create"]).await;
        let token = created["token"].as_str().unwrap().to_owned();
        let (_first, first) = installation.serve(&[]).await;
        let (_second, second) = installation.serve(&["--no-worker"]).await;

        let began = Instant::now();
        let revoking = began + Duration::from_secs(1);
        // Long enough for a command to start on a busy machine.
        let end = revoking + Duration::from_secs(4);
        let streams: Vec<_> = [first, second]
            .map(|server| {
                let root = format!("{server}/repo/acme/packages.json");
                tokio::spawn(ask(root, token.clone(), end))
            })
            .into();
        sleep_until(revoking).await;
        let id = created["id"].to_string();
        installation.run(&["token", "remove", &id]).await.succeeded();
        let revoked = Instant::now();
        assert!(revoked + LIMIT < end, "the machine is too slow to tell: {:?}", revoked - revoking);

        for stream in streams {
            let asked = stream.await.unwrap();
            let of = |status: u16| asked.iter().filter(move |one| one.status == status);
            assert_eq!(of(200).count() + of(401).count(), asked.len());
            assert!(of(200).filter(|one| one.answered < revoking).count() > 10, "it was good before");
            let last = of(200).map(|one| one.sent).max().unwrap();
            assert!(last < revoked + LIMIT, "it was taken {:?} after its end", last - revoked);
            let refused = of(401).map(|one| one.answered).min().expect("it is refused");
            assert!(of(200).all(|one| one.sent < refused), "once refused, it is not taken again");
        }
        let (_third, third) = installation.serve(&["--no-worker"]).await;
        let answer = client().get(format!("{third}/repo/acme/packages.json"));
        let answer = answer.basic_auth("token", Some(&other)).send().await.unwrap();
        assert_eq!(answer.status().as_u16(), 200, "other tokens are as good as before");
    }
}
