//! The commands as scripts and people use them, without a server.

use std::io::Read;
use std::process::Stdio;

use serde_json::{Value, json};

use crate::world::{Installation, library};

fn keys(value: &Value) -> Vec<&str> {
    value
        .as_object()
        .expect("an object")
        .keys()
        .map(String::as_str)
        .collect()
}

#[tokio::test]
async fn setup_prints_exactly_what_a_script_needs_and_can_be_run_again() {
    let installation = Installation::new();
    let first = installation
        .json(&[
            "setup",
            "--organization",
            "acme",
            "--email",
            "owner@example.com",
        ])
        .await;
    let expected = [
        "organization",
        "repository_url",
        "api_key",
        "api_secret",
        "composer_token",
    ];
    assert_eq!(keys(&first), expected);
    assert_eq!(first["repository_url"], "http://127.0.0.1:8080/repo/acme");
    let second = installation
        .json(&["setup", "--organization", "acme"])
        .await;
    assert_ne!(first["composer_token"], second["composer_token"]);
    installation
        .json(&["setup", "--organization", "other"])
        .await;

    let all = installation.json(&["organization", "list"]).await;
    let names: Vec<&Value> = all
        .as_array()
        .unwrap()
        .iter()
        .map(|one| &one["name"])
        .collect();
    assert_eq!(names, ["acme", "other"]);
    assert_eq!(
        installation
            .json(&["token", "list", "--organization", "acme"])
            .await
            .as_array()
            .unwrap()
            .len(),
        2
    );

    let sentence = installation
        .run(&["setup", "--organization", "Not A Slug"])
        .await
        .refused(2);
    assert!(
        sentence.contains("cannot be the name of an organization"),
        "{sentence}"
    );
}

#[tokio::test]
async fn the_organization_may_be_left_out_only_when_there_is_one() {
    let installation = Installation::new();
    let sentence = installation.run(&["token", "list"]).await.refused(3);
    assert_eq!(
        sentence,
        "there is no organization yet: make one with `kapelle setup --organization NAME`"
    );
    installation
        .run(&["setup", "--organization", "acme"])
        .await
        .succeeded();
    installation.run(&["token", "list"]).await.succeeded();
    installation
        .run(&["setup", "--organization", "other"])
        .await
        .succeeded();
    let sentence = installation.run(&["token", "list"]).await.refused(2);
    assert_eq!(
        sentence,
        "say which organization: --organization NAME, one of acme, other"
    );
    let sentence = installation
        .run(&["token", "list", "--organization", "third"])
        .await
        .refused(3);
    assert!(
        sentence.contains("there is no organization \"third\""),
        "{sentence}"
    );
}

#[tokio::test]
async fn a_package_is_added_shown_synchronized_removed_restored_and_purged() {
    let installation = Installation::with_organization().await;
    let repository = library("acme/lib", &["1.0.0"]);
    let url = repository.url();

    let added = installation.json(&["package", "add", &url, "--wait"]).await;
    assert_eq!(
        (&added["name"], &added["job"]["state"]),
        (&json!("acme/lib"), &json!("success"))
    );
    let listed = installation.json(&["package", "list"]).await;
    assert_eq!(
        (&listed[0]["repository_url"], &listed[0]["sync_error"]),
        (&json!(url), &Value::Null)
    );
    let shown = installation.json(&["package", "show", "acme/lib"]).await;
    assert_eq!(shown["versions"][0]["version"], "1.0.0");

    repository.release("1.1.0", r#"{"name": "acme/lib"}"#);
    repository.release("release-of-monday", r#"{"name": "acme/lib"}"#);
    installation
        .run(&["package", "sync", "acme/lib", "--wait"])
        .await
        .succeeded();
    let shown = installation
        .run(&["package", "show", "acme/lib"])
        .await
        .succeeded()
        .stdout;
    assert!(
        shown.contains("\n1.1.0 ") && shown.contains("refs/tags/release-of-monday"),
        "{shown}"
    );
    let all = installation
        .json(&["package", "sync", "--all", "--wait"])
        .await;
    assert_eq!(all[0]["job"]["state"], "success");

    let again = installation.run(&["package", "add", &url]).await.refused(1);
    assert!(
        again.contains("is in this organization already, as acme/lib"),
        "{again}"
    );
    let removed = installation
        .run(&["package", "remove", "acme/lib"])
        .await
        .succeeded()
        .stdout;
    assert!(
        removed
            .starts_with("acme/lib is removed; `kapelle package undo acme/lib` restores it until "),
        "{removed}"
    );
    installation
        .run(&["package", "show", "acme/lib"])
        .await
        .refused(3);
    assert_eq!(installation.json(&["package", "list"]).await, json!([]));
    assert_eq!(
        installation.json(&["package", "list", "--removed"]).await[0]["name"],
        "acme/lib"
    );
    installation
        .run(&["package", "undo", "acme/lib"])
        .await
        .succeeded();
    installation
        .run(&["package", "undo", "acme/nothing"])
        .await
        .refused(3);

    installation
        .run(&["package", "remove", "acme/lib"])
        .await
        .succeeded();
    let sentence = installation
        .run(&["package", "purge", "acme/lib"])
        .await
        .refused(2);
    assert!(
        sentence.contains("add --yes if that is meant"),
        "{sentence}"
    );
    installation
        .run(&["package", "purge", "acme/lib", "--yes"])
        .await
        .succeeded();
}

#[tokio::test]
async fn waiting_for_what_fails_ends_with_code_4_and_the_reason() {
    let installation = Installation::with_organization().await;
    let empty = installation.folder().join("empty");
    std::fs::create_dir(&empty).unwrap();
    let url = empty.display().to_string();
    let ran = installation.run(&["package", "add", &url, "--wait"]).await;
    assert_eq!(ran.stdout, "");
    let sentence = ran.refused(4);
    assert!(sentence.contains("is not a git repository"), "{sentence}");

    let listed = installation.json(&["package", "list"]).await;
    assert!(
        listed[0]["sync_error"]
            .as_str()
            .unwrap()
            .contains("is not a git repository"),
        "{listed}"
    );
    let jobs = installation
        .json(&["job", "list", "--state", "error"])
        .await;
    let job = jobs[0]["id"].to_string();
    let shown = installation
        .run(&["job", "show", &job])
        .await
        .succeeded()
        .stdout;
    assert!(shown.contains("SyncPackage of "), "{shown}");
    installation.run(&["job", "wait", &job]).await.refused(4);
    installation.run(&["job", "cancel", &job]).await.refused(1);
    installation.run(&["job", "show", "999"]).await.refused(3);
}

#[tokio::test]
async fn a_queued_job_is_listed_cancelled_and_done_by_whoever_waits() {
    let installation = Installation::with_organization().await;
    let repository = library("acme/lib", &["1.0.0"]);
    let added = installation
        .json(&["package", "add", &repository.url()])
        .await;
    let job = added["job"]["id"].to_string();
    assert_eq!(added["job"]["state"], "queued");
    assert_eq!(
        installation
            .json(&["job", "list", "--state", "queued"])
            .await[0]["id"]
            .to_string(),
        job
    );
    installation.run(&["job", "cancel", &job]).await.succeeded();
    let sentence = installation.run(&["job", "wait", &job]).await.refused(4);
    assert_eq!(sentence, format!("job {job} was cancelled"));

    let queued = installation
        .json(&["package", "sync", &repository.url()])
        .await;
    let job = queued["job"]["id"].to_string();
    let waited = installation.json(&["job", "wait", &job]).await;
    assert_eq!(waited["state"], "success");
    assert!(
        installation
            .json(&["job", "list", "--package", "acme/lib"])
            .await
            .as_array()
            .unwrap()
            .len()
            >= 2
    );
}

#[tokio::test]
async fn the_secret_of_an_api_key_is_shown_once() {
    let installation = Installation::with_organization().await;
    let arguments = ["api-key", "create", "--description", "billing"];
    let created = installation.json(&arguments).await;
    assert_eq!(keys(&created), ["id", "key", "secret", "access"]);
    assert_eq!(created["access"], "read");
    let [key, secret] = ["key", "secret"].map(|name| created[name].as_str().unwrap());
    assert!(key.starts_with("packagist_ack_") && secret.starts_with("packagist_acs_"));

    let listed = installation.json(&["api-key", "list"]).await;
    assert_eq!(listed[0]["access"], "admin", "the one of `setup`");
    let one = &listed[1];
    let expected = [
        "id",
        "key",
        "access",
        "description",
        "created_at",
        "last_used_at",
    ];
    assert_eq!(keys(one), expected);
    assert_eq!(
        (&one["key"], &one["description"]),
        (&json!(key), &json!("billing"))
    );
    let table = installation
        .run(&["api-key", "list"])
        .await
        .succeeded()
        .stdout;
    assert!(!table.contains(secret) && table.contains(key), "{table}");

    let id = created["id"].to_string();
    let remove = ["api-key", "remove", &id];
    installation.run(&remove).await.succeeded();
    let sentence = installation.run(&remove).await.refused(3);
    assert_eq!(
        sentence,
        format!("there is no API key {id} in this organization: `kapelle api-key list` shows them")
    );
    let long = "x".repeat(256);
    installation
        .run(&["api-key", "create", "--description", &long])
        .await
        .refused(2);
}

#[tokio::test]
async fn a_token_is_shown_once_and_listed_by_its_end() {
    let installation = Installation::with_organization().await;
    let arguments = [
        "token",
        "create",
        "--access",
        "read",
        "--description",
        "CI",
        "--expires",
        "90d",
    ];
    let created = installation.json(&arguments).await;
    assert_eq!(
        keys(&created),
        ["id", "token", "access", "expires_at", "repository_url"]
    );
    let token = created["token"].as_str().unwrap();
    assert!(token.starts_with("packagist_ort_"));

    let listed = installation.json(&["token", "list"]).await;
    let one = &listed[1];
    let expected = [
        "id",
        "hint",
        "access",
        "description",
        "created_at",
        "expires_at",
        "last_used_at",
    ];
    assert_eq!(keys(one), expected);
    assert_eq!(
        (&one["description"], &one["access"]),
        (&json!("CI"), &json!("read"))
    );
    assert!(token.ends_with(one["hint"].as_str().unwrap()));
    let table = installation
        .run(&["token", "list"])
        .await
        .succeeded()
        .stdout;
    assert!(!table.contains(token) && table.contains("CI"), "{table}");

    let id = created["id"].to_string();
    installation
        .run(&["token", "remove", &id])
        .await
        .succeeded();
    installation.run(&["token", "remove", &id]).await.refused(3);
    installation
        .run(&["token", "create", "--expires", "yesterday"])
        .await
        .refused(2);
    let past = installation
        .run(&["token", "create", "--expires", "2001-01-01T00:00:00Z"])
        .await
        .refused(2);
    assert_eq!(
        past,
        "the token would have expired already: choose a later time"
    );
}

#[tokio::test]
async fn a_credential_s_secret_comes_from_a_file_or_standard_input_and_is_never_shown() {
    let installation = Installation::with_organization().await;
    let file = installation.folder().join("secret");
    std::fs::write(&file, "hunter2\n").unwrap();
    let add = [
        "credential",
        "add",
        "--kind",
        "http-basic",
        "--host",
        "git.example.com:8443",
        "--username",
        "me",
    ];
    let added = installation
        .json(&[&add[..], &["--secret-file", "secret"]].concat())
        .await;

    let mut command = installation.command(&[
        "credential",
        "add",
        "--kind",
        "token",
        "--host",
        "github.com",
    ]);
    command.stdin(std::fs::File::open(&file).unwrap());
    let output = tokio::process::Command::from(command)
        .output()
        .await
        .unwrap();
    assert!(output.status.success(), "{output:?}");

    let listed = installation.json(&["credential", "list"]).await;
    assert_eq!(listed.as_array().unwrap().len(), 2);
    assert_eq!(
        keys(&listed[0]),
        [
            "id",
            "kind",
            "host",
            "username",
            "description",
            "automatic",
            "created_at"
        ]
    );
    assert_eq!(listed[0]["host"], "git.example.com:8443");
    assert!(!listed.to_string().contains("hunter2"));
    installation
        .run(&["credential", "remove", &added["id"].to_string()])
        .await
        .succeeded();
    installation
        .run(&["credential", "remove", "999"])
        .await
        .refused(3);
    let empty = installation
        .run(&[
            "credential",
            "add",
            "--kind",
            "token",
            "--host",
            "github.com",
        ])
        .await
        .refused(2);
    assert!(empty.contains("the secret is empty"), "{empty}");
}

#[tokio::test]
async fn the_hook_addresses_are_shown_with_their_secret() {
    let installation = Installation::with_organization().await;
    let shown = installation.json(&["hook", "show"]).await;
    assert_eq!(shown["secret"].as_str().unwrap().len(), 64);
    let hooks = shown["hooks"].as_array().unwrap();
    assert_eq!(hooks.len(), 5);
    assert_eq!(hooks[0]["url"], "http://127.0.0.1:8080/hooks/github/acme");
}

#[tokio::test]
async fn an_import_says_what_became_of_every_line() {
    let installation = Installation::with_organization().await;
    let repository = library("acme/lib", &["1.0.0"]);
    let satis = json!({
        "name": "acme/satis",
        "repositories": [
            {"type": "vcs", "url": repository.url()},
            {"type": "svn", "url": "https://svn.example.com/lib"},
            {"type": "git", "url": "ext::sh -c id"},
        ],
        "require": {"acme/lib": "^1.0"},
    });
    std::fs::write(installation.folder().join("satis.json"), satis.to_string()).unwrap();
    let ran = installation
        .run(&[
            "import",
            "satis.json",
            "--organization",
            "acme",
            "--wait",
            "--json",
        ])
        .await;
    assert_eq!(ran.status.code(), Some(1), "{ran:#?}");
    let report: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(report["packages"][0]["name"], "acme/lib");
    assert_eq!(report["packages"][0]["state"], "success");
    assert_eq!(report["refused"].as_array().unwrap().len(), 1, "{report}");
    assert_eq!(report["left_out"].as_array().unwrap().len(), 2, "{report}");

    let table = installation.run(&["import", "satis.json"]).await.stdout;
    assert!(
        table.contains("1 repositories were here already") && table.contains("svn"),
        "{table}"
    );
    installation.run(&["import", "no.json"]).await.refused(1);
    std::fs::write(installation.folder().join("bad.json"), "[").unwrap();
    let sentence = installation.run(&["import", "bad.json"]).await.refused(1);
    assert!(
        sentence.starts_with("bad.json: this is not a satis.json: "),
        "{sentence}"
    );
}

#[tokio::test]
async fn the_doctor_finds_a_missing_git_and_an_open_data_folder() {
    // Nobody answers there, whatever else runs on this machine.
    let installation = Installation::new().set("KAPELLE_SERVER__PUBLIC_URL", "http://127.0.0.1:1");
    let healthy = installation.json(&["doctor"]).await;
    let verdict = |checks: &Value, name: &str| -> Value {
        let all = checks.as_array().expect("an array");
        all.iter()
            .find(|check| check["name"] == name)
            .expect("the check")["verdict"]
            .clone()
    };
    for name in [
        "settings",
        "data folder",
        "git",
        "database",
        "clock",
        "archives",
    ] {
        assert_eq!(verdict(&healthy, name), "ok", "{healthy:#}");
    }
    assert_eq!(verdict(&healthy, "public URL"), "warn");

    let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(installation.data(), open).unwrap();
    let installation = installation.set("KAPELLE_VCS__GIT", "/nonexistent/git");
    let ran = installation.run(&["doctor", "--json"]).await;
    assert_eq!((ran.status.code(), ran.stderr.as_str()), (Some(1), ""));
    let ill: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(
        (verdict(&ill, "git"), verdict(&ill, "data folder")),
        ("fail".into(), "warn".into())
    );
}

#[tokio::test]
async fn a_description_cannot_control_the_terminal() {
    let installation = Installation::with_organization().await;
    let manifest = r#"{"name": "acme/nasty", "description": "red \u001b[31m and \u202e turned"}"#;
    let repository = kapelle_testing::git::GitRepository::with_releases(&[("1.0.0", manifest)]);
    installation
        .run(&["package", "add", &repository.url(), "--wait"])
        .await
        .succeeded();
    let shown = installation
        .run(&["package", "show", "acme/nasty"])
        .await
        .succeeded()
        .stdout;
    assert!(shown.contains("red"), "{shown}");
    assert!(!shown.contains(['\u{1b}', '\u{202e}']), "{shown:?}");
}

#[tokio::test]
async fn a_reader_that_has_read_enough_is_no_error() {
    let installation = Installation::new();
    let mut command = installation.command(&["config", "reference"]);
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let mut said = String::new();
    child
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut said)
        .unwrap();
    assert_eq!((child.wait().unwrap().code(), said.as_str()), (Some(0), ""));
}
