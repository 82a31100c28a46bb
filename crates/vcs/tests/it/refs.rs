//! The refs of a mirror: what upstream has, in a file that git reads as we do.

use std::fs;

use kapelle_testing::git::GitRepository;
use kapelle_vcs::Access;

use crate::world::{World, in_mirror, url, write_script};

/// Servers that speak only the first protocol give away what their refs are at, and nothing that tags mark.
#[tokio::test]
async fn annotated_tags_are_asked_for_by_their_own_names() {
    let repository = GitRepository::new();
    let commit = repository.release("1.0.0", "{}");
    repository.annotated_tag("1.1.0", &commit);
    let hidden = repository.commit("gone").orphan().file("a", "b").create();
    repository.annotated_tag("2.0.0", &hidden);
    repository.delete_ref("refs/heads/gone");
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("git");
    write_script(
        &script,
        "exec /usr/bin/env git -c protocol.version=0 \"$@\"",
    );
    let at = url(&repository.url());
    for world in [World::new(), World::with(|config| config.binary = script)] {
        let mirror = world.mirrored(&at).await;
        let refs = mirror.refs().await.unwrap();
        assert_eq!(refs["refs/tags/1.1.0"], commit);
        assert_eq!(refs["refs/tags/2.0.0"], hidden);
        mirror.verify().await.unwrap();
        let shown = in_mirror(&mirror, &["show-ref", "--dereference", "refs/tags/2.0.0"]);
        let tag = repository.resolve("refs/tags/2.0.0^{tag}").unwrap();
        let expected = format!("{tag} refs/tags/2.0.0\n{hidden} refs/tags/2.0.0^{{}}\n");
        assert_eq!(shown, expected, "git reads them as we do");
    }
}

#[tokio::test]
async fn refs_that_git_has_written_to_files_are_taken_in() {
    let repository = GitRepository::with_releases(&[("1.0.0", "{}")]);
    let world = World::new();
    let at = url(&repository.url());
    let access = Access::anonymous(&at);
    let mirror = world.mirrored(&at).await;
    let old = repository.resolve("main").unwrap();
    let new = repository.release("1.1.0", "{\"a\":1}");
    let listing = world.git.list_refs(&access).await.unwrap();
    for name in ["refs/heads/main", "refs/tags/other"] {
        in_mirror(&mirror, &["update-ref", name, &old]);
    }
    in_mirror(
        &mirror,
        &["update-ref", &format!("refs/kapelle/keep/{old}"), &old],
    );
    fs::write(mirror.path().join("refs/tags/1.0.0"), "").unwrap();

    let removed = ["refs/tags/other".to_owned()];
    mirror.fetch(&access, &listing, &removed).await.unwrap();

    assert_eq!(mirror.refs().await.unwrap(), listing.refs);
    let files = in_mirror(
        &mirror,
        &["for-each-ref", "--format=%(refname) %(objectname)"],
    );
    let expected = format!(
        "refs/heads/main {new}\nrefs/kapelle/keep/{old} {old}\nrefs/tags/1.0.0 {old}\nrefs/tags/1.1.0 {new}\n"
    );
    assert_eq!(files, expected);
}
