//! PostgreSQL that goes away and comes back under a server and a worker.

use std::time::Duration;

use kapelle_testing::git_server::GitServer;
use kapelle_testing::tcp_proxy::TcpProxy;
use serde_json::{Value, json};

use crate::fleet::world::{Fleet, client, eventually, get, references, within, worker};
use crate::world::library;

/// More than the minute for which a server answers from memory.
const PATIENCE: Duration = Duration::from_secs(100);

async fn readiness(server: &str) -> u16 {
    let answer = client().get(format!("{server}/readyz")).send().await;
    answer.expect("the server answers").status().as_u16()
}

fn code(body: &[u8]) -> String {
    let body: Value = serde_json::from_slice(body).expect("an answer in JSON");
    body["code"].as_str().unwrap_or_default().to_owned()
}

#[tokio::test]
async fn a_database_that_goes_away_and_comes_back_loses_nothing_and_shows_nothing() {
    let fleet = Fleet::new().await;
    let (proxy, machine) = fleet.proxied().await;
    let (_server, server) = machine.serve(&["--no-worker"]).await;
    let _worker = worker(&machine).await;
    let settled = library("acme/settled", &["1.0.0"]);
    machine
        .run(&["package", "add", &settled.url()])
        .await
        .succeeded();
    let built = async || {
        let job = fleet.job("BuildDists").await?;
        (job.state == "success").then_some(())
    };
    eventually("the first package", built).await;
    let read = async |path: &str| get(&server, &fleet.token, path).await;
    assert_eq!(read("p2/acme/settled.json").await.0, 200);

    // A worker waits for upstream.
    let repository = library("acme/lib", &["1.0.0", "1.1.0"]);
    let upstream = GitServer::of(&repository).await;
    let way = TcpProxy::to(upstream.address()).await;
    way.black_hole();
    let url = format!("http://{}/acme/lib.git", way.address());
    machine.run(&["package", "add", &url]).await.succeeded();
    let begun = async || {
        let job = fleet.job("SyncPackage").await?;
        (job.state == "running" && job.package_id == Some(2)).then_some(())
    };
    eventually("the second package to be begun", begun).await;

    proxy.refuse();
    let (status, body) = get(&server, "packagist_ort_unknown", "p2/acme/settled.json").await;
    assert_eq!(
        (status, code(&body).as_str()),
        (503, "database_unavailable")
    );
    let unready = async || (readiness(&server).await == 503).then_some(());
    eventually("it to call itself unready", unready).await;
    // It gets its answer, and cannot note what came of it.
    way.restore().await;
    let stale = async || {
        let (status, body) = read("p2/acme/settled.json").await;
        (status == 503 && code(&body) == "stale").then_some(())
    };
    within(PATIENCE, "memory to be too old", stale).await;

    proxy.restore().await;
    let all = async || {
        let found = references(&server, &fleet.token, "p2/acme/lib.json").await;
        (found.len() == 2).then_some(())
    };
    within(PATIENCE, "what was interrupted", async || {
        (readiness(&server).await == 200).then_some(())
    })
    .await;
    eventually("both versions", all).await;
    assert_eq!(read("p2/acme/settled.json").await.0, 200);
    let built = async || {
        let job = fleet.job("BuildDists").await?;
        (job.state == "success" && job.package_id == Some(2)).then_some(())
    };
    eventually("the dists", built).await;
    assert_eq!(fleet.done("package.synchronize").await, 2, "once for each");
    let report = machine.json(&["verify"]).await;
    assert_eq!(report["broken"], json!([]), "{report:#}");
}

#[tokio::test]
async fn connections_that_are_cut_or_ended_by_the_server_cost_no_request() {
    let fleet = Fleet::new().await;
    let (proxy, machine) = fleet.proxied().await;
    let (_server, server) = machine.serve(&[]).await;
    let repository = library("acme/lib", &["1.0.0"]);
    machine
        .run(&["package", "add", &repository.url(), "--wait"])
        .await
        .succeeded();
    for round in 0..6 {
        // Nobody knows it yet, so the database has to be asked.
        let created = fleet
            .machine()
            .json(&["token", "create", "--access", "update"])
            .await;
        let token = created["token"].as_str().expect("a token");
        if round % 2 == 0 {
            proxy.cut();
        } else {
            fleet.end_sessions().await;
        }
        let (status, body) = get(&server, token, "p2/acme/lib.json").await;
        assert_eq!(status, 200, "{}", String::from_utf8_lossy(&body));
        let hook = format!("{server}/api/update-package?apiToken={token}");
        let body = json!({"repository": repository.url()});
        let answer = client().post(hook).json(&body).send().await.unwrap();
        assert_eq!(answer.status().as_u16(), 202);
    }
    let tag = repository.release("2.0.0", r#"{"name": "acme/lib"}"#);
    machine
        .run(&["package", "sync", "acme/lib"])
        .await
        .succeeded();
    let seen = async || {
        let found = references(&server, &fleet.token, "p2/acme/lib.json").await;
        found
            .iter()
            .any(|(_, reference)| *reference == tag)
            .then_some(())
    };
    eventually("a change that the server has to be told of", seen).await;
}
