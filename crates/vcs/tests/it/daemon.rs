//! Repositories over the git protocol.

use kapelle_outbound::{AddressPolicy, ClientConfig};
use kapelle_testing::git::GitRepository;
use kapelle_testing::git_daemon::GitDaemon;
use kapelle_vcs::{Access, VcsError};

use crate::world::{World, client, loopback, url};

#[tokio::test]
async fn a_repository_of_the_git_daemon_is_mirrored() {
    let repository = GitRepository::with_releases(&[("1.0.0", "{}")]);
    let daemon = GitDaemon::start(repository.path().parent().unwrap());
    let world = World::new();
    let mirror = world.mirrored(&url(&daemon.url("repository.git"))).await;
    assert!(
        mirror
            .has(&repository.resolve("main").unwrap())
            .await
            .unwrap()
    );

    let at = url(&daemon.url("missing.git"));
    let error = world
        .git
        .list_refs(&Access::anonymous(&at))
        .await
        .unwrap_err();
    assert!(matches!(error, VcsError::NotFound { .. }), "{error:?}");
}

#[tokio::test]
async fn a_host_name_is_contacted_at_the_address_that_was_checked() {
    let repository = GitRepository::with_releases(&[("1.0.0", "{}")]);
    let daemon = GitDaemon::start(repository.path().parent().unwrap());
    let world = World::with(|config| {
        config.outbound = client(ClientConfig {
            policy: AddressPolicy::new(vec!["127.0.0.0/8".parse().unwrap()]),
            lookup: loopback(),
            ..ClientConfig::default()
        });
    });
    let named = daemon
        .url("repository.git")
        .replace("127.0.0.1", "git.example.invalid");
    let at = url(&named);
    let listing = world.git.list_refs(&Access::anonymous(&at)).await.unwrap();
    assert_eq!(listing.refs.len(), 2);
}

#[tokio::test]
async fn a_private_address_is_not_contacted() {
    let world = World::reaching(&[], |_| {});
    let at = url("git://192.168.1.1/a");
    let error = world
        .git
        .list_refs(&Access::anonymous(&at))
        .await
        .unwrap_err();
    assert!(
        matches!(error, VcsError::ForbiddenAddress { .. }),
        "{error:?}"
    );
}
