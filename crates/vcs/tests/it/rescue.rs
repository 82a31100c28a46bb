//! Commits that no branch or tag leads to any more.

use kapelle_testing::git::GitRepository;
use kapelle_testing::git_server::GitServer;
use kapelle_vcs::{Access, VcsError};

use crate::world::{World, one, url, write_script};

/// A repository whose branch was pushed over, its old commit and its new one.
fn rewritten() -> (GitRepository, String, String) {
    let repository = GitRepository::new();
    let old = repository.commit("main").file("a", "1").create();
    let new = repository.commit("main").orphan().file("a", "2").create();
    (repository, old, new)
}

#[tokio::test]
async fn a_commit_that_was_pushed_over_is_fetched_by_its_name_and_kept() {
    let (repository, old, new) = rewritten();
    let server = GitServer::of(&repository).await;
    for at in [repository.url(), server.url("acme/lib.git")] {
        let (world, at) = (World::new(), url(&at));
        let mirror = world.mirrored(&at).await;
        assert!(!mirror.has(&old).await.unwrap());
        assert!(
            mirror
                .fetch_commit(&Access::anonymous(&at), &old)
                .await
                .unwrap()
        );
        let refs = mirror.refs().await.unwrap();
        assert_eq!(
            refs.into_iter().collect::<Vec<_>>(),
            one("refs/heads/main", &new)
        );
        let status = std::process::Command::new("git")
            .args(["gc", "--quiet", "--prune=now"])
            .current_dir(mirror.path())
            .status();
        assert!(status.unwrap().success());
        assert!(mirror.has(&old).await.unwrap());
    }
}

#[tokio::test]
async fn a_commit_that_upstream_has_lost_or_keeps_to_itself_is_not_to_be_had() {
    let (repository, old, _) = rewritten();
    let at = url(&repository.url());
    // A server of the first protocol gives away only what its refs are at.
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("git");
    write_script(
        &script,
        "exec /usr/bin/env git -c protocol.version=0 \"$@\"",
    );
    let reserved = World::with(|config| config.binary = script);
    let access = Access::anonymous(&at);
    assert!(
        !reserved
            .mirrored(&at)
            .await
            .fetch_commit(&access, &old)
            .await
            .unwrap()
    );

    repository.git(&["gc", "--quiet", "--prune=now"]);
    let world = World::new();
    let mirror = world.mirrored(&at).await;
    assert!(!mirror.fetch_commit(&access, &old).await.unwrap());
    drop(repository);
    let gone = mirror.fetch_commit(&access, &old).await;
    assert!(gone.is_err(), "{gone:?}");
    let odd = mirror.fetch_commit(&access, "--upload-pack=x").await;
    assert!(matches!(odd, Err(VcsError::InvalidName { .. })), "{odd:?}");
}
