//! Jobs as the command line shows them.

use crate::world::{Installation, library};

#[tokio::test]
async fn a_job_names_its_package_even_when_that_was_removed() {
    let installation = Installation::with_organization().await;
    let repository = library("acme/lib", &["1.0.0"]);
    installation
        .run(&["package", "add", &repository.url(), "--wait"])
        .await
        .succeeded();
    let jobs = installation.json(&["job", "list"]).await;
    let sync = jobs.as_array().unwrap().last().unwrap();
    assert_eq!(sync["package"], "acme/lib", "{jobs:#}");
    installation
        .run(&["package", "remove", "acme/lib"])
        .await
        .succeeded();

    let table = installation.run(&["job", "list"]).await.succeeded().stdout;
    let heading = table.lines().next().unwrap().to_owned();
    assert!(heading.contains(" PACKAGE "), "{table}");
    assert!(
        table
            .lines()
            .any(|line| line.contains("SyncPackage") && line.contains(" acme/lib ")),
        "{table}"
    );
    let shown = installation
        .run(&["job", "show", &sync["id"].to_string()])
        .await
        .succeeded()
        .stdout;
    assert!(
        shown.contains("SyncPackage of acme/lib, success"),
        "{shown}"
    );
    assert!(!shown.contains("next run"), "{shown}");
}

#[tokio::test]
async fn a_job_that_will_be_tried_again_says_when() {
    let installation = Installation::with_organization()
        .await
        .set("KAPELLE_NETWORK__ALLOW", "127.0.0.0/8");
    let url = "https://127.0.0.1:1/acme/lib.git";
    let sentence = installation
        .run(&["package", "add", url, "--wait"])
        .await
        .refused(4);
    let jobs = installation
        .json(&["job", "list", "--state", "queued"])
        .await;
    let job = &jobs[0];
    let at = job["run_at"].as_str().unwrap();
    assert!(
        sentence.contains(&format!("will be tried again at {at}: ")),
        "{sentence}"
    );
    let shown = installation
        .run(&["job", "show", &job["id"].to_string()])
        .await
        .succeeded()
        .stdout;
    assert!(shown.contains(&format!("next run  {at}\n")), "{shown}");
    let table = installation.run(&["job", "list"]).await.succeeded().stdout;
    assert!(
        table.contains(" NEXT RUN ") && table.contains(at),
        "{table}"
    );
}

/// Name and niceness in a `stat` of Linux.
#[cfg(target_os = "linux")]
fn niceness(stat: impl AsRef<std::path::Path>) -> (String, i32) {
    let text = std::fs::read_to_string(stat).unwrap();
    let (name, rest) = text.split_once('(').unwrap().1.rsplit_once(')').unwrap();
    let niceness = rest.split_whitespace().nth(16).unwrap();
    (name.to_owned(), niceness.parse().unwrap())
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn jobs_give_way_to_requests_and_nothing_else_does() {
    let installation = Installation::with_organization().await;
    let (server, url) = installation.serve(&[]).await;
    let repository = library("acme/lib", &["1.0.0"]);
    installation
        .run(&["package", "add", &repository.url()])
        .await
        .succeeded();
    let jobs = installation.json(&["job", "list"]).await;
    let id = jobs[0]["id"].to_string();
    installation.run(&["job", "wait", &id]).await.succeeded();
    assert!(url.starts_with("http://"));

    let threads = std::fs::read_dir(format!("/proc/{}/task", server.id().unwrap())).unwrap();
    let threads: Vec<_> = threads
        .map(|thread| niceness(thread.unwrap().path().join("stat")))
        .collect();
    let (_, usual) = niceness("/proc/self/stat");
    let lower = (usual + 10).min(19);
    let (jobs, others): (Vec<_>, Vec<_>) = threads.into_iter().partition(|(name, _)| name == "job");
    assert!(!jobs.is_empty(), "{others:?}");
    assert!(jobs.iter().all(|(_, nice)| *nice == lower), "{jobs:?}");
    let readers = |name: &str| name.starts_with("sqlx-sqlite");
    assert!(others.iter().any(|(name, _)| readers(name)), "{others:?}");
    assert!(others.iter().all(|(_, nice)| *nice == usual), "{others:?}");
}
