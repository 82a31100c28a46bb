//! A branch is pushed over between the synchronizations of two workers with mirrors of their own.

use kapelle_testing::git::GitRepository;
use kapelle_testing::process::Process;

use super::world::{Fleet, eventually, get, references, worker};
use crate::world::Installation;

const LIB: &str = r#"{"name": "acme/lib", "description": "A library."}"#;

/// Where the branch is, as a server says.
async fn branch(fleet: &Fleet, server: &str) -> Option<String> {
    let found = references(server, &fleet.token, "p2/acme/lib~dev.json").await;
    found.into_iter().next().map(|(_, reference)| reference)
}

/// A worker that is killed after it has published, before it has stored the first dist.
fn dying(machine: &Installation) -> Process {
    let mut command = machine.command(&["worker"]);
    command.env("FAILPOINT_KILL", "1:before a dist is stored");
    Process::start(command)
}

#[tokio::test]
async fn no_dist_is_lost_when_only_a_dead_worker_has_its_commit() {
    let fleet = Fleet::new().await;
    let (first, second) = (fleet.machine(), fleet.machine());
    let (_server, server) = fleet.machine().serve(&["--no-worker"]).await;
    let repository = GitRepository::new();
    let old = repository
        .commit("main")
        .file("composer.json", LIB)
        .create();
    let mut killed = dying(&first);
    first
        .run(&["package", "add", &repository.url()])
        .await
        .succeeded();
    assert!(!killed.end().await.status.success());
    assert_eq!(
        branch(&fleet, &server).await,
        Some(old.clone()),
        "it is published"
    );

    let new = repository
        .commit("main")
        .orphan()
        .file("composer.json", LIB)
        .create();
    repository.tag("1.0.0", &new);
    repository.git(&["gc", "--quiet", "--prune=now"]);
    let _other = worker(&second).await;
    second
        .run(&["package", "sync", "acme/lib"])
        .await
        .succeeded();
    let released = async || {
        let found = references(&server, &fleet.token, "p2/acme/lib.json").await;
        (found.len() == 1).then_some(())
    };
    eventually("the new tag", released).await;
    assert_eq!(
        branch(&fleet, &server).await,
        Some(old.clone()),
        "the branch waits"
    );
    let shown = async || second.json(&["package", "show", "acme/lib"]).await["faults"][0].clone();
    let told = async || {
        let fault = shown().await;
        (fault["ref"] == "refs/heads/main").then_some(fault)
    };
    let fault = eventually("the reason", told).await;
    let reason = fault["error"].as_str().unwrap();
    assert!(reason.contains(&format!("stays at {old}")), "{reason}");

    // The first machine is started again; nobody else does anything.
    let _back = worker(&first).await;
    let path = format!("dists/acme/lib/{old}.zip");
    let ready = async || {
        let (status, archive) = get(&server, &fleet.token, &path).await;
        // What takes longer than a request may wait is asked for again, as Composer does.
        assert!(
            matches!(status, 200 | 503),
            "{}",
            String::from_utf8_lossy(&archive)
        );
        (status == 200).then_some(archive)
    };
    let archive = eventually("the dist", ready).await;
    assert!(archive.starts_with(b"PK"));
    second
        .run(&["package", "sync", "acme/lib"])
        .await
        .succeeded();
    let moved = async || (branch(&fleet, &server).await.as_ref() == Some(&new)).then_some(());
    eventually("the branch", moved).await;
    assert_eq!(get(&server, &fleet.token, &path).await, (200, archive));
    let shown = second.json(&["package", "show", "acme/lib"]).await;
    assert_eq!(
        (shown["faults"].to_string(), shown["lost"].to_string()),
        ("[]".into(), "[]".into())
    );
}

#[tokio::test]
async fn a_download_from_a_machine_without_mirrors_waits_for_a_worker() {
    let fleet = Fleet::new().await;
    let machine = fleet.machine();
    let (_server, server) = fleet.machine().serve(&["--no-worker"]).await;
    let repository = GitRepository::new();
    let commit = repository
        .commit("main")
        .file("composer.json", LIB)
        .create();
    let mut killed = dying(&machine);
    machine
        .run(&["package", "add", &repository.url()])
        .await
        .succeeded();
    killed.end().await;

    let path = format!("dists/acme/lib/{commit}.zip");
    let download = get(&server, &fleet.token, &path);
    let back = async {
        let asked = async || fleet.job("BuildOneDist").await.map(drop);
        eventually("the server to ask for it", asked).await;
        worker(&machine).await
    };
    let ((status, archive), _back) = tokio::join!(download, back);
    assert_eq!(status, 200, "{}", String::from_utf8_lossy(&archive));
}
