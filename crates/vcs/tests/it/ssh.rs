//! Repositories over ssh, with a real sshd.

use kapelle_testing::git::GitRepository;
use kapelle_testing::ssh_server::SshServer;
use kapelle_vcs::{Access, VcsError};

use crate::world::{World, basic, key, url};

#[tokio::test]
async fn an_unknown_host_key_is_accepted_once_and_a_changed_one_refused() {
    let repository = GitRepository::with_releases(&[("1.0.0", "{}")]);
    let server = SshServer::start().await;
    let world = World::new();
    let at = url(&server.url(&repository.path()));
    let credential = key(&server.private_key());
    let first = Access {
        credential: Some(&credential),
        ..Access::anonymous(&at)
    };

    let listing = world
        .git
        .list_refs(&first)
        .await
        .unwrap_or_else(|error| panic!("{error}\n{}", server.log()));
    assert_eq!(listing.refs.len(), 2);
    let known = listing.new_host_keys.clone();
    assert_eq!(known.len(), 1);
    assert_eq!(known[0].fingerprint(), server.fingerprint());
    assert_eq!(
        known[0].host,
        format!("[127.0.0.1]:{}", at.host_and_port().unwrap().1)
    );

    let access = Access {
        known_hosts: &known,
        ..first
    };
    let fetched = world.mirror().fetch(&access, &listing, &[]).await.unwrap();
    assert_eq!((fetched.received, fetched.new_host_keys), (2, vec![]));

    let old = server.fingerprint();
    server.replace_host_key();
    let error = world.git.list_refs(&access).await.unwrap_err();
    let sentence = error.to_string();
    assert!(
        matches!(error, VcsError::HostKeyChanged { .. }),
        "{error:?}"
    );
    assert!(
        sentence.contains(&old) && sentence.contains(&server.fingerprint()),
        "{sentence}"
    );
    let remove = format!("`kapelle host-key remove {}`", at.authority());
    assert!(sentence.contains(&remove), "{sentence}");
    assert!(error.is_permanent());
}

#[tokio::test]
async fn a_key_that_is_not_let_in_is_told_apart_from_none() {
    let repository = GitRepository::with_releases(&[("1.0.0", "{}")]);
    let server = SshServer::start().await;
    let world = World::new();
    let at = url(&server.url(&repository.path()));
    let wrong = key(&server.wrong_key());
    let add = format!("`kapelle credential add --host {} ", at.authority());
    for (credential, advice) in [(Some(&wrong), "deploy keys"), (None, add.as_str())] {
        let access = Access {
            credential,
            ..Access::anonymous(&at)
        };
        let error = world.git.list_refs(&access).await.unwrap_err();
        assert!(
            matches!(error, VcsError::AuthenticationFailed { .. }),
            "{error:?}"
        );
        assert!(error.to_string().contains(advice), "{error}");
    }
}

#[tokio::test]
async fn a_missing_repository_on_a_good_host_is_told() {
    let server = SshServer::start().await;
    let world = World::new();
    let at = url(&server.url(&world.path().join("missing.git")));
    let credential = key(&server.private_key());
    let access = Access {
        credential: Some(&credential),
        ..Access::anonymous(&at)
    };
    let error = world.git.list_refs(&access).await.unwrap_err();
    assert!(
        matches!(error, VcsError::NotARepository { .. }),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_password_cannot_be_used_over_ssh() {
    let at = url("ssh://git@127.0.0.1:1/a");
    let credential = basic("me", "s3cret");
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
async fn a_private_address_is_not_contacted() {
    let server = SshServer::start().await;
    let world = World::reaching(&[], |_| {});
    let at = url(&server.url(&world.path()));
    let error = world
        .git
        .list_refs(&Access::anonymous(&at))
        .await
        .unwrap_err();
    assert!(
        matches!(error, VcsError::ForbiddenAddress { .. }),
        "{error:?}"
    );
    assert_eq!(server.connections(), 0);
}

#[tokio::test]
async fn a_closed_port_is_unreachable() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = free.local_addr().unwrap().port();
    drop(free);
    let at = url(&format!("ssh://git@127.0.0.1:{port}/a"));
    let error = World::new()
        .git
        .list_refs(&Access::anonymous(&at))
        .await
        .unwrap_err();
    assert!(matches!(error, VcsError::Unreachable { .. }), "{error:?}");
}
