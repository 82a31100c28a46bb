//! Addresses that are refused: options, helpers, secrets, protocols that are not allowed, and private networks.

use kapelle_testing::composer::Composer;
use kapelle_testing::git_server::GitServer;

use super::library::{Library, says};
use super::organization::Organization;
use super::world::World;

/// An organization in which one package is published.
async fn published(world: &World, core: &Library) -> Organization {
    let organization = world.organization("acme").await;
    organization.publish(&[core]).await;
    organization
}

async fn still_installs(organization: &Organization) {
    for composer in Composer::all() {
        let project = organization.project(&composer).require("acme/core", "^1.0");
        project.run(["update"]).await.succeeded();
        assert_eq!(says(&project, "acme/core"), "1.0.0");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_is_none_or_an_option_or_a_helper_is_refused_with_the_reason() {
    let world = World::start().await;
    let core = Library::with_releases("acme/core", &["1.0.0"]);
    let organization = published(&world, &core).await;
    let witness = world.folder().join("witness");
    let touch = format!("touch%20{}", witness.display());

    let cases = [
        (String::new(), "is empty"),
        (
            format!("--upload-pack={touch}"),
            "could be taken for an option",
        ),
        (
            "-oProxyCommand=x".to_owned(),
            "could be taken for an option",
        ),
        (
            format!("ssh://-oProxyCommand={touch}/lib.git"),
            "could be taken for an option",
        ),
        (
            "ssh://git@example.com/-lib.git".to_owned(),
            "could be taken for an option",
        ),
        (
            format!("ext::sh%20-c%20{touch}"),
            "names the git remote helper \"ext\"",
        ),
        (
            "fd::17/lib".to_owned(),
            "names the git remote helper \"fd\"",
        ),
        (
            "ftp://example.com/lib.git".to_owned(),
            "the scheme \"ftp\" is not known",
        ),
        (
            "../lib.git".to_owned(),
            "neither a URL nor an absolute path",
        ),
        ("C:\\lib.git".to_owned(), "Windows paths are not supported"),
        ("https://example.com".to_owned(), "no repository on it"),
        (
            "https://example.com/a b.git".to_owned(),
            "a space or a control character",
        ),
        (
            "https://example.com/a/../../b.git".to_owned(),
            "contains \".\" or \"..\"",
        ),
        ("https://example.com:99999/lib.git".to_owned(), "the port"),
        (
            "https://example.com/lib.git?ref=main".to_owned(),
            "contains \"?\" or \"#\"",
        ),
        (
            "https://me:s3cret@example.com/lib.git".to_owned(),
            "`kapelle credential add`",
        ),
    ];
    for (url, reason) in cases {
        let refused = organization.add(&url).await.refused(2);
        assert!(refused.contains(reason), "{url}: {refused}");
        assert!(!refused.contains("s3cret"), "{refused}");
    }
    assert!(!witness.exists());
    let list = organization
        .run(&["package", "list"])
        .await
        .succeeded()
        .json();
    assert_eq!(list.as_array().map(Vec::len), Some(1), "{list:#}");
    let again = organization.add(&core.url()).await.refused(1);
    assert!(
        again.contains("is in this organization already, as acme/core"),
        "{again}"
    );
    still_installs(&organization).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_https_and_ssh_are_allowed_unless_the_settings_say_otherwise() {
    let world = World::with(&[("KAPELLE_VCS__PROTOCOLS", "https,ssh")]).await;
    let organization = world.organization("acme").await;
    let core = Library::with_releases("acme/core", &["1.0.0"]);
    let path = core.repository.path().display().to_string();

    for (url, protocol) in [
        (core.url(), "file"),
        (path, "file"),
        ("FILE:///etc/passwd".to_owned(), "file"),
        ("http://example.com/lib.git".to_owned(), "http"),
        ("git://example.com/lib.git".to_owned(), "git"),
    ] {
        let refused = organization.add(&url).await.refused(2);
        let reason = format!("the protocol {protocol} is not allowed here");
        assert!(refused.contains(&reason), "{url}: {refused}");
        assert!(refused.contains("KAPELLE_VCS__PROTOCOLS"), "{refused}");
    }
    let list = organization
        .run(&["package", "list"])
        .await
        .succeeded()
        .json();
    assert_eq!(list.as_array().map(Vec::len), Some(0), "{list:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_private_address_is_not_contacted_however_it_is_written() {
    let world = World::with(&[("KAPELLE_NETWORK__ALLOW", "10.99.0.0/16")]).await;
    let core = Library::with_releases("acme/core", &["1.0.0"]);
    let organization = published(&world, &core).await;
    let server = GitServer::of(&core.repository).await;
    let port = server.address().port();

    for host in [
        format!("127.0.0.1:{port}"),
        format!("localhost:{port}"),
        format!("[::ffff:127.0.0.1]:{port}"),
        "[::1]".to_owned(),
        "10.1.2.3".to_owned(),
        "192.168.0.1".to_owned(),
        "169.254.169.254".to_owned(),
        "0.0.0.0".to_owned(),
    ] {
        let refused = organization
            .add(&format!("http://{host}/acme/lib.git"))
            .await;
        let refused = refused.refused(4);
        assert!(refused.contains("was not contacted"), "{host}: {refused}");
        assert!(refused.contains("network.allow"), "{host}: {refused}");
    }
    assert_eq!(server.requests(), []);
    still_installs(&organization).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redirect_to_a_private_address_is_not_followed() {
    let world = World::with(&[("KAPELLE_NETWORK__ALLOW", "127.0.0.1/32")]).await;
    let core = Library::with_releases("acme/core", &["1.0.0"]);
    let organization = published(&world, &core).await;
    let inner = GitServer::of(&core.repository).await;
    let private = inner.url("acme/lib.git").replace("127.0.0.1", "127.0.0.2");
    let outer = GitServer::builder()
        .redirect("acme/lib.git", &private)
        .redirect("acme/file.git", &core.url())
        .start()
        .await;

    let refused = organization
        .add(&outer.url("acme/lib.git"))
        .await
        .refused(4);
    assert!(refused.contains("127.0.0.2"), "{refused}");
    assert_eq!(inner.requests(), []);
    let refused = organization
        .add(&outer.url("acme/file.git"))
        .await
        .refused(4);
    assert!(refused.contains("redirect"), "{refused}");
    still_installs(&organization).await;
}
