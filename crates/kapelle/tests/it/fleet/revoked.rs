//! A revoked token, measured: clients ask two servers all the time, and a third process revokes what they show. Nothing
//! else runs beside this test, see `.config/nextest.toml`.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use kapelle_testing::on_both_databases;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use super::world::{client, eventually};
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

/// How often a server has taken the token, and refused it.
#[derive(Default)]
struct Seen {
    good: AtomicUsize,
    refused: AtomicUsize,
}

/// Whether both servers have done something often enough to tell.
fn all(seen: &[Arc<Seen>; 2], of: fn(&Seen) -> &AtomicUsize) -> Option<()> {
    let often = |seen: &Arc<Seen>| of(seen).load(Ordering::SeqCst) > 20;
    seen.iter().all(often).then_some(())
}

/// Asks a server again and again until it is `enough`.
async fn ask(url: String, token: String, seen: Arc<Seen>, enough: CancellationToken) -> Vec<Asked> {
    let client = client();
    let mut ticks = interval(Duration::from_secs(1) / RATE);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut requests = JoinSet::new();
    while !enough.is_cancelled() {
        ticks.tick().await;
        let request = client.get(&url).basic_auth("token", Some(&token));
        let seen = Arc::clone(&seen);
        requests.spawn(async move {
            let sent = Instant::now();
            let status = request.send().await.expect("an answer").status().as_u16();
            let answered = Instant::now();
            let count = if status == 200 {
                &seen.good
            } else {
                &seen.refused
            };
            count.fetch_add(1, Ordering::SeqCst);
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
        let installation = Installation::new()
            .set("DATABASE_URL", &url)
            .set("KAPELLE_SERVER__PUBLIC_URL", "https://packages.example.org/");
        let setup = installation.json(&["setup", "--organization", "acme"]).await;
        let other = setup["composer_token"].as_str().unwrap().to_owned();
        let created = installation.json(&["token", "create"]).await;
        let token = created["token"].as_str().unwrap().to_owned();
        let (_first, first) = installation.serve(&[]).await;
        let (_second, second) = installation.serve(&["--no-worker"]).await;

        let seen = [Arc::new(Seen::default()), Arc::new(Seen::default())];
        let enough = CancellationToken::new();
        let streams: Vec<_> = [first, second]
            .into_iter()
            .zip(&seen)
            .map(|(server, seen)| {
                let root = format!("{server}/repo/acme/packages.json");
                tokio::spawn(ask(root, token.clone(), Arc::clone(seen), enough.clone()))
            })
            .collect();
        eventually("it to be good", async || all(&seen, |seen| &seen.good)).await;
        let id = created["id"].to_string();
        installation.run(&["token", "remove", &id]).await.succeeded();
        let revoked = Instant::now();
        eventually("its end", async || all(&seen, |seen| &seen.refused)).await;
        enough.cancel();

        for stream in streams {
            let asked = stream.await.unwrap();
            let of = |status: u16| asked.iter().filter(move |one| one.status == status);
            let others: Vec<_> = asked.iter().map(|one| one.status).filter(|status| ![200, 401].contains(status)).collect();
            assert!(others.is_empty(), "{others:?}");
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
