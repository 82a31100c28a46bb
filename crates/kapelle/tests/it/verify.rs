//! `kapelle verify`: what people read, what scripts read, and the exit code.

use std::path::PathBuf;

use kapelle_testing::git::GitRepository;
use serde_json::{Value, json};

use crate::world::{Installation, library};

/// An installation with `acme/lib` 1.0.0, built.
async fn published() -> (Installation, GitRepository) {
    let installation = Installation::with_organization().await;
    let repository = library("acme/lib", &["1.0.0"]);
    let url = repository.url();
    installation
        .run(&["package", "add", &url, "--wait"])
        .await
        .succeeded();
    let jobs = installation
        .json(&["job", "list", "--state", "queued"])
        .await;
    for job in jobs.as_array().unwrap() {
        let id = job["id"].to_string();
        installation.run(&["job", "wait", &id]).await.succeeded();
    }
    (installation, repository)
}

/// The only archive there is.
fn archive(installation: &Installation) -> PathBuf {
    let mut path = installation.data().join("blobs");
    while path.is_dir() {
        path = std::fs::read_dir(&path)
            .unwrap()
            .next()
            .unwrap()
            .unwrap()
            .path();
    }
    path
}

#[tokio::test]
async fn a_sound_installation_ends_with_0_and_says_so() {
    let (installation, _repository) = published().await;
    let ran = installation.run(&["verify"]).await.succeeded();
    assert!(ran.stdout.ends_with("nothing is broken\n"), "{ran:#?}");
    assert!(
        ran.stdout
            .starts_with("checked: 1 organizations, 1 packages, 2 versions"),
        "{ran:#?}"
    );
    assert!(ran.stderr.contains("looking at packages"), "{ran:#?}");

    let report = installation.json(&["verify", "--quick"]).await;
    assert_eq!(
        (&report["broken"], &report["notes"]),
        (&json!([]), &json!([]))
    );
    assert_eq!(report["unlisted"], json!({ "broken": 0, "notes": 0 }));
    assert_eq!(report["checked"]["archives"], 0);
    assert_eq!(report["checked"]["blobs"], 1);
}

#[tokio::test]
async fn a_lost_archive_ends_with_1_and_names_what_to_do() {
    let (installation, repository) = published().await;
    let archive = archive(&installation);
    let name = archive.file_name().unwrap().to_str().unwrap().to_owned();
    std::fs::remove_file(&archive).unwrap();

    let ran = installation.run(&["verify", "--json"]).await;
    let report: Value = serde_json::from_str(&ran.stdout).unwrap();
    let sentence = ran.refused(1);
    assert!(sentence.ends_with("one thing is broken"), "{sentence}");
    assert_eq!(
        report["broken"],
        json!([{
            "kind": "blob_missing",
            "organization": "acme",
            "package": "acme/lib",
            "version": "1.0.0",
            "reference": repository.resolve("refs/tags/1.0.0").unwrap(),
            "blob": name,
            "finding": "the bytes of its archive are gone",
            "advice": "the next download makes them anew",
        }])
    );
    let ran = installation.run(&["verify"]).await;
    let line = ran.stdout.lines().find(|line| line.starts_with("BROKEN"));
    let line = line.unwrap().to_owned();
    for shown in ["blob_missing", "acme/lib 1.0.0", "the next download"] {
        assert!(line.contains(shown), "{line}");
    }
    assert!(!ran.stdout.contains("nothing is broken"), "{ran:#?}");
    ran.refused(1);
}

#[tokio::test]
async fn a_lost_mirror_is_no_failure() {
    let (installation, _repository) = published().await;
    std::fs::remove_dir_all(installation.data().join("mirrors")).unwrap();
    let report = installation.json(&["verify"]).await;
    assert_eq!(report["broken"], json!([]));
    assert_eq!(report["notes"][0]["kind"], "mirror_missing");
}
