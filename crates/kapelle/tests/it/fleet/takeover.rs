//! Workers that are killed or stopped in the middle of a synchronization: others take over, and all of it happens once.

use kapelle_testing::git::GitRepository;
use kapelle_testing::git_fault::{Fault, Stage};
use kapelle_testing::git_server::GitServer;
use kapelle_testing::process::Process;

use super::world::{Fleet, eventually, references, worker};
use crate::world::{Installation, library};

/// A worker in the middle of fetching a repository, which will not come to an end.
struct Stalled {
    fleet: Fleet,
    repository: GitRepository,
    upstream: GitServer,
    worker: Process,
    /// Of the worker.
    _machine: Installation,
}

/// They go on until the test is over.
struct Others {
    _machines: [Installation; 2],
    _processes: Vec<Process>,
}

impl Stalled {
    async fn new() -> Self {
        let fleet = Fleet::new().await;
        let repository = library("acme/lib", &["1.0.0", "1.1.0"]);
        let upstream = GitServer::builder()
            .repository("acme/lib.git", repository.path())
            .fault(Stage::Pack, Fault::Stall(100))
            .start()
            .await;
        let machine = fleet.machine();
        let working = worker(&machine).await;
        let url = upstream.url("acme/lib.git");
        machine.run(&["package", "add", &url]).await.succeeded();
        // The refs are listed, and the pack is on its way.
        let posts = || {
            let requests = upstream.requests();
            requests
                .iter()
                .filter(|seen| seen.line.starts_with("POST"))
                .count()
        };
        eventually("the fetch", async || (posts() >= 2).then_some(())).await;
        upstream.change(kapelle_testing::git_server::GitServerBuilder::without_fault);
        Self {
            fleet,
            repository,
            upstream,
            worker: working,
            _machine: machine,
        }
    }

    /// Two servers and another worker do what there is to do.
    async fn taken_over(&self) -> Others {
        let machines = [self.fleet.machine(), self.fleet.machine()];
        let mut processes = vec![worker(&machines[0]).await];
        let mut servers = Vec::new();
        for machine in &machines {
            let (server, url) = machine.serve(&["--no-worker"]).await;
            processes.push(server);
            servers.push(url);
        }
        let mut expected: Vec<_> = ["1.0.0", "1.1.0"]
            .map(|tag| {
                let commit = self.repository.resolve(&format!("refs/tags/{tag}"));
                (tag.to_owned(), commit.expect("the tag"))
            })
            .into();
        expected.reverse();
        for server in &servers {
            let all = async || {
                let found = references(server, &self.fleet.token, "p2/acme/lib.json").await;
                (found.len() == 2).then_some(found)
            };
            assert_eq!(eventually("both versions", all).await, expected);
        }
        let built = async || {
            let job = self.fleet.job("BuildDists").await?;
            (job.state == "success").then_some(())
        };
        eventually("the dists", built).await;
        Others {
            _machines: machines,
            _processes: processes,
        }
    }

    /// What the synchronization has done, as far as anybody can see.
    async fn effect(&self) -> (usize, Vec<String>, String) {
        let machine = self.fleet.machine();
        let shown = machine.json(&["package", "show", "acme/lib"]).await;
        (
            self.fleet.done("package.synchronize").await,
            self.fleet.changes().await,
            format!("{shown:#}"),
        )
    }
}

/// Each document was published once, and once more with the checksums.
const CHANGES: [&str; 4] = [
    "update acme/lib",
    "update acme/lib~dev",
    "update acme/lib",
    "update acme/lib~dev",
];

#[tokio::test]
async fn a_killed_workers_synchronization_is_taken_over_and_done_once() {
    let mut scene = Stalled::new().await;
    let placeholder = Process::start(std::process::Command::new("true"));
    std::mem::replace(&mut scene.worker, placeholder)
        .kill()
        .await;
    let before = scene.fleet.job("SyncPackage").await.unwrap();
    assert_eq!((before.state.as_str(), before.attempt), ("running", 1));

    let _others = scene.taken_over().await;
    let job = scene.fleet.job("SyncPackage").await.unwrap();
    assert_eq!(
        (job.id, job.state.as_str(), job.attempt),
        (before.id, "success", 2)
    );
    let (synchronized, changes, _) = scene.effect().await;
    assert_eq!(
        (synchronized, changes),
        (1, CHANGES.map(str::to_owned).into())
    );
}

#[tokio::test]
async fn a_worker_that_comes_back_after_its_lease_changes_nothing() {
    let scene = Stalled::new().await;
    scene.worker.pause().await;
    let _others = scene.taken_over().await;
    let effect = scene.effect().await;
    assert_eq!(effect.0, 1);
    assert_eq!(effect.1, CHANGES);

    scene.worker.resume().await;
    let line = scene
        .worker
        .line("another worker has taken this job over")
        .await;
    assert!(line.contains("Superseded"), "{line}");
    assert_eq!(scene.effect().await, effect);
    // It goes on working.
    let other = library("acme/other", &["1.0.0"]);
    let machine = scene.fleet.machine();
    machine
        .run(&["package", "add", &other.url()])
        .await
        .succeeded();
    let job = async || {
        let job = scene.fleet.job("BuildDists").await?;
        (job.state == "success" && job.package_id == Some(2)).then_some(())
    };
    eventually("the next package", job).await;
    drop(scene.upstream);
}
