//! Repositories that cannot be published: each gets a sentence, and what was published before stays.

use axum::Router;
use kapelle_testing::composer::{Composer, Project};
use kapelle_testing::git::GitRepository;
use kapelle_testing::git_server::GitServer;
use serde_json::json;

use super::library::{Library, install_anew, says};
use super::organization::Organization;
use super::world::World;

#[tokio::test(flavor = "multi_thread")]
async fn a_repository_that_cannot_be_read_is_reported_with_the_reason() {
    let world = World::start().await;
    let organization = world.organization("acme").await;
    let core = Library::with_releases("acme/core", &["1.0.0"]);
    let guarded = GitServer::builder()
        .repository("acme/lib.git", core.repository.path())
        .basic_auth("deploy", "right")
        .start()
        .await;
    let host = guarded.address().to_string();
    let arguments = [
        "credential",
        "add",
        "--kind",
        "http-basic",
        "--username",
        "deploy",
    ];
    let open = GitServer::of(&core.repository).await;
    let closed = {
        let server = GitServer::of(&core.repository).await;
        server.url("acme/lib.git")
    };
    let folder = format!("file://{}", world.folder().display());
    let page = page().await;

    let url = guarded.url("acme/lib.git");
    let refused = organization.add(&url).await.refused(4);
    assert!(refused.contains("it asks for a credential"), "{refused}");
    let wrong = [&arguments[..], &["--host", &host]].concat();
    organization
        .run_with_input(&wrong, "wrong")
        .await
        .succeeded();
    let refused = organization.synchronize(&url).await.refused(4);
    assert!(
        refused.contains("the stored credential is wrong"),
        "{refused}"
    );

    for (url, reason) in [
        (closed, "could not be reached"),
        (open.url("acme/other.git"), "was not found"),
        (folder, "is not a git repository"),
        (page, "is not a git repository"),
        (
            "http://no-such-host.invalid/lib.git".to_owned(),
            "no-such-host.invalid",
        ),
    ] {
        let refused = organization.add(&url).await.refused(4);
        assert!(refused.contains(reason), "{url}: {refused}");
        let shown = organization.show(&url).await;
        let error = shown["sync_error"].as_str().expect("the error");
        assert!(error.contains(reason), "{shown:#}");
    }
}

/// The URL of a web page that answers everything with 200.
async fn page() -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await;
    let listener = listener.expect("a loopback port");
    let address = listener.local_addr().expect("it is bound");
    let router = Router::new().fallback(async || "<!doctype html><title>Welcome</title>");
    tokio::spawn(async { axum::serve(listener, router).await });
    format!("http://{address}/lib.git")
}

/// A repository with this composer.json on `main`.
fn with_manifest(manifest: &str) -> GitRepository {
    let repository = GitRepository::new();
    let commit = repository.commit("main").file("composer.json", manifest);
    commit.create();
    repository
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repository_without_a_usable_name_is_reported_with_the_reason() {
    let world = World::start().await;
    let organization = world.organization("acme").await;
    let core = Library::with_releases("acme/core", &["1.0.0"]);
    organization.publish(&[&core]).await;
    let without = GitRepository::new();
    without
        .commit("main")
        .file("README.md", "# Hello\n")
        .create();
    let empty = GitRepository::new();

    for (repository, reason) in [
        (without, "there is no composer.json"),
        (empty, "no package name was found"),
        (with_manifest("{\"name\": \"acme/lib\","), "JSON"),
        (with_manifest("[1, 2]"), "object"),
        (with_manifest("{}"), "has no name"),
        (with_manifest(r#"{"type": "library"}"#), "has no name"),
        (with_manifest(r#"{"name": "lib"}"#), "\"lib\""),
        (with_manifest(r#"{"name": "acme/../lib"}"#), "acme/../lib"),
        (with_manifest(r#"{"name": "Acme/Lib"}"#), "Acme/Lib"),
        (
            with_manifest(r#"{"name": "acme/core"}"#),
            "acme/core is the name of another package",
        ),
    ] {
        let refused = organization.add(&repository.url()).await.refused(4);
        assert!(refused.contains(reason), "{reason}: {refused}");
    }

    for composer in Composer::all() {
        let project = organization.project(&composer).require("acme/core", "^1.0");
        project.run(["update"]).await.succeeded();
        assert_eq!(says(&project, "acme/core"), "1.0.0");
    }
}

/// A published library, and projects that have it in their lock files.
async fn locked(organization: &Organization, core: &Library) -> Vec<Project> {
    organization.publish(&[core]).await;
    let mut projects = Vec::new();
    for composer in Composer::all() {
        let project = organization.project(&composer).require("acme/core", "^1.0");
        project.run(["update"]).await.succeeded();
        projects.push(project);
    }
    projects
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repository_that_breaks_later_keeps_all_that_was_published() {
    let world = World::start().await;
    let organization = world.organization("acme").await;
    let core = Library::with_releases("acme/core", &["1.0.0"]);
    let projects = locked(&organization, &core).await;

    let renamed = json!({"name": "acme/other"}).to_string();
    let main = || core.repository.commit("main");
    main().file("composer.json", renamed).create();
    let refused = organization.synchronize("acme/core").await.refused(4);
    assert!(
        refused.contains("now names the package acme/other"),
        "{refused}"
    );
    assert!(refused.contains("Everything published stays"), "{refused}");
    core.commit("main", "'back'").create();
    organization.synchronize("acme/core").await.succeeded();

    for broken in [
        "{",
        r#"{"name": "acme/core", "require": {"acme/kit": "one"}}"#,
    ] {
        main().file("composer.json", broken).create();
        organization.synchronize("acme/core").await.succeeded();
        let faults = organization.faults("acme/core").await;
        assert_eq!(faults.len(), 1, "{broken}: {faults:?}");
        assert_eq!(faults[0].0, "refs/heads/main");
    }
    main().remove("composer.json").create();
    let fixed = core.commit("fixed", "'1.1.0'").create();
    core.repository.tag("1.1.0", &fixed);
    organization.synchronize("acme/core").await.succeeded();
    let faults = organization.faults("acme/core").await;
    assert_eq!(
        faults,
        [(
            "refs/heads/main".to_owned(),
            "there is no composer.json".to_owned()
        )]
    );

    for project in &projects {
        install_anew(project).await;
        assert_eq!(says(project, "acme/core"), "1.0.0");
        project.run(["update"]).await.succeeded();
        assert_eq!(says(project, "acme/core"), "1.1.0");
    }
}
