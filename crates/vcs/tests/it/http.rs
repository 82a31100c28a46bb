//! Repositories over http: credentials, redirects, addresses, and what servers answer instead of a repository.

use kapelle_outbound::{AddressPolicy, ClientConfig};
use kapelle_testing::git::GitRepository;
use kapelle_testing::git_server::GitServer;
use kapelle_vcs::{Access, Credential, VcsError};

use crate::world::{World, basic, client, key, listed, loopback, url};

#[tokio::test]
async fn a_public_repository_is_listed_and_fetched() {
    let repository = GitRepository::with_releases(&[("1.0.0", "{}")]);
    let server = GitServer::of(&repository).await;
    let world = World::new();
    let mirror = world.mirrored(&url(&server.url("acme/lib.git"))).await;
    assert!(
        mirror
            .has(&repository.resolve("main").unwrap())
            .await
            .unwrap()
    );
    assert!(
        server
            .requests()
            .iter()
            .all(|request| request.authorization.is_none())
    );
}

#[tokio::test]
async fn a_host_name_is_contacted_at_the_address_that_was_checked() {
    let repository = GitRepository::with_releases(&[("1.0.0", "{}")]);
    let server = GitServer::of(&repository).await;
    let world = World::with(|config| {
        config.outbound = client(ClientConfig {
            policy: AddressPolicy::new(vec!["127.0.0.0/8".parse().unwrap()]),
            lookup: loopback(),
            ..ClientConfig::default()
        });
    });
    let port = server.address().port();
    let at = url(&format!("http://git.example.invalid:{port}/acme/lib.git"));
    let listing = world.git.list_refs(&Access::anonymous(&at)).await.unwrap();
    assert_eq!(listing.refs.len(), 2);
}

#[tokio::test]
async fn credentials_open_a_private_repository() {
    let repository = GitRepository::with_releases(&[("1.0.0", "{}")]);
    let server = GitServer::builder()
        .repository("acme/lib.git", repository.path())
        .basic_auth("me", "s3cret")
        .start()
        .await;
    let at = url(&server.url("acme/lib.git"));
    let world = World::new();
    let credential = basic("me", "s3cret");
    let access = Access {
        credential: Some(&credential),
        ..Access::anonymous(&at)
    };
    let listing = world.git.list_refs(&access).await.unwrap();
    let mirror = world.mirror();
    mirror.fetch(&access, &listing, &[]).await.unwrap();

    let add = format!("`kapelle credential add --host {} ", at.authority());
    for (credential, advice) in [
        (None, add.as_str()),
        (Some(basic("me", "wrong")), "replace it"),
    ] {
        let access = Access {
            credential: credential.as_ref(),
            ..access
        };
        let error = world.git.list_refs(&access).await.unwrap_err();
        assert!(
            matches!(error, VcsError::AuthenticationFailed { .. }),
            "{error:?}"
        );
        assert!(error.to_string().contains(advice), "{error}");
        assert!(error.is_permanent());
    }
}

#[tokio::test]
async fn a_token_is_sent_as_the_password_of_the_usual_user() {
    let repository = GitRepository::with_releases(&[("1.0.0", "{}")]);
    let server = GitServer::builder()
        .repository("acme/lib.git", repository.path())
        .basic_auth("oauth2", "glpat-x")
        .start()
        .await;
    let at = url(&server.url("acme/lib.git"));
    let credential = Credential::Token {
        token: "glpat-x".into(),
    };
    let access = Access {
        credential: Some(&credential),
        ..Access::anonymous(&at)
    };
    assert_eq!(
        World::new()
            .git
            .list_refs(&access)
            .await
            .unwrap()
            .refs
            .len(),
        2
    );
}

#[tokio::test]
async fn an_ssh_key_cannot_be_used_over_http() {
    let at = url("http://127.0.0.1:1/acme/lib.git");
    let credential = key("nothing");
    let access = Access {
        credential: Some(&credential),
        ..Access::anonymous(&at)
    };
    let error = World::new().git.list_refs(&access).await.unwrap_err();
    assert!(
        matches!(error, VcsError::CredentialKind { .. }),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_redirect_is_followed_once_and_told() {
    let repository = GitRepository::with_releases(&[("1.0.0", "{}")]);
    let target = GitServer::of(&repository).await;
    let server = GitServer::builder()
        .redirect("old/lib.git", &target.url("acme/lib.git"))
        .basic_auth("me", "s3cret")
        .start()
        .await;
    let at = url(&server.url("old/lib.git"));
    let credential = basic("me", "s3cret");
    let access = Access {
        credential: Some(&credential),
        ..Access::anonymous(&at)
    };
    let world = World::new();
    let listing = world.git.list_refs(&access).await.unwrap();
    let moved = Some(url(&target.url("acme/lib.git")));
    assert_eq!(listing.redirected_to, moved);
    let fetched = world.mirror().fetch(&access, &listing, &[]).await.unwrap();
    assert_eq!(fetched.redirected_to, moved);
    assert_eq!(fetched.received, 2);
    let shown = target.requests();
    assert!(!shown.is_empty() && shown.iter().all(|request| request.authorization.is_none()));
}

#[tokio::test]
async fn a_redirect_on_one_host_keeps_the_credential() {
    let repository = GitRepository::with_releases(&[("1.0.0", "{}")]);
    let server = GitServer::builder()
        .repository("new/lib.git", repository.path())
        .basic_auth("me", "s3cret")
        .start()
        .await;
    let new = server.url("new/lib.git");
    server.change(|builder| builder.redirect("old/lib.git", &new));
    let at = url(&server.url("old/lib.git"));
    let credential = basic("me", "s3cret");
    let access = Access {
        credential: Some(&credential),
        ..Access::anonymous(&at)
    };
    let listing = World::new().git.list_refs(&access).await.unwrap();
    assert_eq!(listing.redirected_to, Some(url(&new)));
}

#[tokio::test]
async fn a_redirect_into_a_private_network_is_not_followed() {
    let server = GitServer::builder()
        .redirect("acme/lib.git", "http://10.0.0.1/acme/lib.git")
        .redirect("acme/meta.git", "http://169.254.169.254/latest/meta-data")
        .start()
        .await;
    for path in ["acme/lib.git", "acme/meta.git"] {
        let at = url(&server.url(path));
        let error = World::new()
            .git
            .list_refs(&Access::anonymous(&at))
            .await
            .unwrap_err();
        assert!(
            matches!(error, VcsError::ForbiddenAddress { .. }),
            "{error:?}"
        );
        assert!(error.is_permanent());
    }
}

#[tokio::test]
async fn a_redirect_to_a_login_page_or_in_a_circle_is_told() {
    let server = GitServer::builder().start().await;
    let login = server.url("login?");
    let circle = server.url("circle");
    server.change(|builder| {
        builder
            .redirect("acme/lib.git", &login)
            .redirect("circle", &circle)
    });
    for path in ["acme/lib.git", "circle"] {
        let at = url(&server.url(path));
        let error = World::new()
            .git
            .list_refs(&Access::anonymous(&at))
            .await
            .unwrap_err();
        assert!(matches!(error, VcsError::Redirected { .. }), "{error:?}");
    }
}

#[tokio::test]
async fn private_addresses_are_not_contacted() {
    let repository = GitRepository::new();
    let server = GitServer::of(&repository).await;
    let world = World::reaching(&[], |_| {});
    for host in [
        "127.0.0.1",
        "2130706433",
        "0x7f.1",
        "[::1]",
        "[::ffff:127.0.0.1]",
    ] {
        let at = url(&format!(
            "http://{host}:{}/acme/lib.git",
            server.address().port()
        ));
        let error = world
            .git
            .list_refs(&Access::anonymous(&at))
            .await
            .unwrap_err();
        assert!(
            matches!(error, VcsError::ForbiddenAddress { .. }),
            "{host}: {error:?}"
        );
        let wanted = listed(
            "refs/heads/main",
            "0123456789012345678901234567890123456789",
        );
        let outcome = world
            .mirror()
            .fetch(&Access::anonymous(&at), &wanted, &[])
            .await;
        assert!(
            matches!(outcome, Err(VcsError::ForbiddenAddress { .. })),
            "{outcome:?}"
        );
    }
    assert_eq!(server.requests(), []);
}

#[tokio::test]
async fn a_missing_repository_and_a_closed_port_are_told_apart() {
    let server = GitServer::builder().start().await;
    let world = World::new();
    let at = url(&server.url("acme/lib.git"));
    let error = world
        .git
        .list_refs(&Access::anonymous(&at))
        .await
        .unwrap_err();
    assert!(matches!(error, VcsError::NotFound { .. }), "{error:?}");
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = free.local_addr().unwrap().port();
    drop(free);
    let at = url(&format!("http://127.0.0.1:{port}/acme/lib.git"));
    let error = world
        .git
        .list_refs(&Access::anonymous(&at))
        .await
        .unwrap_err();
    assert!(matches!(error, VcsError::Unreachable { .. }), "{error:?}");
    assert!(!error.is_permanent());
}

#[tokio::test]
async fn a_web_page_is_not_a_repository() {
    for page in ["<html>hello</html>", "<html>\n<p>hello</p>\n</html>\n"] {
        let app = axum::Router::new().fallback(move || async move { page });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, app).await });
        let at = url(&format!("http://{address}/acme/lib.git"));
        let error = World::new()
            .git
            .list_refs(&Access::anonymous(&at))
            .await
            .unwrap_err();
        assert!(
            matches!(error, VcsError::NotARepository { .. }),
            "{error:?}"
        );
    }
}

#[tokio::test]
async fn an_empty_repository_is_a_repository() {
    let repository = GitRepository::new();
    let server = GitServer::of(&repository).await;
    let at = url(&server.url("acme/lib.git"));
    let listing = World::new()
        .git
        .list_refs(&Access::anonymous(&at))
        .await
        .unwrap();
    assert!(listing.refs.is_empty());
}

#[tokio::test]
async fn a_server_that_fails_may_be_asked_again() {
    let app = axum::Router::new().fallback(|| async { axum::http::StatusCode::BAD_GATEWAY });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await });
    let at = url(&format!("http://{address}/acme/lib.git"));
    let error = World::new()
        .git
        .list_refs(&Access::anonymous(&at))
        .await
        .unwrap_err();
    assert!(matches!(error, VcsError::Interrupted { .. }), "{error:?}");
    assert!(!error.is_permanent());
}
