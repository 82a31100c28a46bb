//! Repositories over every protocol, with credentials where they are wanted.

use kapelle_testing::composer::Composer;
use kapelle_testing::git_daemon::GitDaemon;
use kapelle_testing::git_server::GitServer;
use kapelle_testing::ssh_server::SshServer;

use super::library::{Library, installed, says};
use super::organization::Organization;
use super::world::World;

async fn installs(organization: &Organization, version: &str) {
    for composer in Composer::all() {
        let project = organization.project(&composer).require("acme/core", "^1.0");
        project.run(["update"]).await.succeeded();
        installed(&project, "acme/core");
        assert_eq!(says(&project, "acme/core"), version);
    }
}

/// Keeps a credential, whose secret goes over standard input.
async fn keep(organization: &Organization, kind: &str, host: &str, username: &str, secret: &str) {
    let arguments = [
        "credential",
        "add",
        "--kind",
        kind,
        "--host",
        host,
        "--username",
        username,
    ];
    let kept = organization.run_with_input(&arguments, secret).await;
    assert!(!kept.succeeded().stdout.contains(secret));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repository_over_http_is_read_with_the_credential_of_its_host() {
    let world = World::start().await;
    let organization = world.organization("acme").await;
    let core = Library::with_releases("acme/core", &["1.0.0"]);
    let server = GitServer::builder()
        .repository("acme/lib.git", core.repository.path())
        .basic_auth("deploy", "s3cret pass")
        .start()
        .await;
    let host = server.address().to_string();
    keep(&organization, "http-basic", &host, "deploy", "s3cret pass").await;

    organization
        .add(&server.url("acme/lib.git"))
        .await
        .succeeded();
    installs(&organization, "1.0.0").await;

    core.release("1.1.0");
    organization.synchronize("acme/core").await.succeeded();
    installs(&organization, "1.1.0").await;
    let shown = organization.show("acme/core").await.to_string();
    assert!(!shown.contains("s3cret"), "{shown}");
    assert!(!world.log().contains("s3cret"), "{}", world.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repository_over_the_git_protocol_is_served() {
    let world = World::start().await;
    let organization = world.organization("acme").await;
    let core = Library::with_releases("acme/core", &["1.0.0"]);
    let path = core.repository.path();
    let daemon = GitDaemon::start(path.parent().expect("the fixture's folder"));

    organization
        .add(&daemon.url("repository.git"))
        .await
        .succeeded();

    installs(&organization, "1.0.0").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repository_that_has_moved_is_found_behind_its_redirect() {
    let world = World::start().await;
    let organization = world.organization("acme").await;
    let core = Library::with_releases("acme/core", &["1.0.0"]);
    let new = GitServer::of(&core.repository).await;
    let old = GitServer::builder()
        .redirect("old/lib.git", &new.url("acme/lib.git"))
        .start()
        .await;

    organization.add(&old.url("old/lib.git")).await.succeeded();

    installs(&organization, "1.0.0").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ssh_host_is_known_after_the_first_contact_and_a_new_key_is_refused() {
    let world = World::start().await;
    let organization = world.organization("acme").await;
    let core = Library::with_releases("acme/core", &["1.0.0"]);
    let server = SshServer::start().await;
    let url = server.url(&core.repository.path());
    let host = url
        .split(['@', '/'])
        .nth(3)
        .expect("user@host:port")
        .to_owned();

    let closed = organization.add(&url).await.refused(4);
    assert!(closed.contains("it asks for an ssh key"), "{closed}");
    keep(&organization, "ssh-key", &host, "", &server.private_key()).await;
    organization.synchronize(&url).await.succeeded();
    installs(&organization, "1.0.0").await;

    core.release("1.1.0");
    organization.synchronize("acme/core").await.succeeded();
    let known = server.fingerprint();
    server.replace_host_key();
    let offered = server.fingerprint();
    core.release("1.2.0");
    let refused = organization.synchronize("acme/core").await.refused(4);
    let shown = organization.show("acme/core").await.to_string();
    for told in [refused, shown] {
        assert!(told.contains("has changed"), "{told}");
        assert!(told.contains(&known) && told.contains(&offered), "{told}");
    }
    installs(&organization, "1.1.0").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_are_listed_without_their_secrets_and_stored_encrypted() {
    let world = World::start().await;
    let organization = world.organization("acme").await;
    keep(
        &organization,
        "token",
        "git.example.com",
        "",
        "glpat-0123456789",
    )
    .await;

    let list = organization.run(&["credential", "list"]).await.succeeded();
    assert!(list.stdout.contains("git.example.com"));
    assert!(!list.stdout.contains("glpat"));
    for entry in std::fs::read_dir(world.installation().data()).expect("the data folder") {
        let path = entry.expect("an entry").path();
        if path.is_file() {
            let bytes = std::fs::read(&path).expect("a file of ours");
            let text = String::from_utf8_lossy(&bytes);
            assert!(!text.contains("glpat-0123456789"), "{}", path.display());
        }
    }
}
