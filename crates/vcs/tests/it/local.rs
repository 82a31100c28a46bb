//! Listing repositories in local folders.

use kapelle_testing::git::GitRepository;
use kapelle_vcs::{Access, Protocols, VcsError};

use crate::world::{World, url};

#[tokio::test]
async fn a_listing_names_branches_tags_and_the_default_branch() {
    let repository = GitRepository::new();
    let first = repository.release("1.0.0", "{}");
    let second = repository.commit("main").file("a", "b").create();
    repository.annotated_tag("v2", &second);
    repository.branch("feature/x", &first);
    repository.set_ref("refs/pull/1/head", &second);

    let at = url(&repository.url());
    let listing = World::new()
        .git
        .list_refs(&Access::anonymous(&at))
        .await
        .unwrap();

    assert_eq!(listing.default_branch.as_deref(), Some("main"));
    let refs: Vec<_> = listing
        .refs
        .iter()
        .map(|(name, oid)| (&**name, &**oid))
        .collect();
    let expected = [
        ("refs/heads/feature/x", &*first),
        ("refs/heads/main", &second),
        ("refs/tags/1.0.0", &first),
        ("refs/tags/v2", &second),
    ];
    assert_eq!(refs, expected);
    assert_eq!(listing.rejected, []);
    assert_eq!(listing.redirected_to, None);
}

#[tokio::test]
async fn an_empty_repository_has_an_empty_listing() {
    let repository = GitRepository::new();
    let at = url(&repository.url());
    let listing = World::new()
        .git
        .list_refs(&Access::anonymous(&at))
        .await
        .unwrap();
    assert!(listing.refs.is_empty());
}

#[tokio::test]
async fn a_path_without_repository_is_reported() {
    let world = World::new();
    let folder = world.path().join("nothing");
    std::fs::create_dir(&folder).unwrap();
    for path in [folder, world.path().join("missing")] {
        let at = url(path.to_str().unwrap());
        let error = world
            .git
            .list_refs(&Access::anonymous(&at))
            .await
            .unwrap_err();
        assert!(
            matches!(error, VcsError::NotARepository { .. }),
            "{error:?}"
        );
        assert!(error.is_permanent());
    }
}

#[tokio::test]
async fn nobody_reaches_our_own_mirrors_by_their_path() {
    let repository = GitRepository::with_releases(&[("1.0.0", "{}")]);
    let world = World::new();
    let mirror = world.mirrored(&url(&repository.url())).await;
    let link = world.path().join("link");
    std::os::unix::fs::symlink(mirror.path(), &link).unwrap();
    for path in [mirror.path(), &mirror.path().with_extension(""), &link] {
        let at = url(path.to_str().unwrap());
        let error = world
            .git
            .list_refs(&Access::anonymous(&at))
            .await
            .unwrap_err();
        assert!(matches!(error, VcsError::ForbiddenPath { .. }), "{error:?}");
    }
}

#[tokio::test]
async fn a_protocol_that_is_not_allowed_is_not_used_however_the_url_was_parsed() {
    let repository = GitRepository::new();
    let world = World::with(|config| config.protocols = Protocols::default());
    let at = url(&repository.url());
    let error = world
        .git
        .list_refs(&Access::anonymous(&at))
        .await
        .unwrap_err();
    assert!(
        matches!(error, VcsError::ProtocolNotAllowed { .. }),
        "{error:?}"
    );
    assert!(error.to_string().contains("KAPELLE_VCS__PROTOCOLS"));
}

#[tokio::test]
async fn a_repository_with_too_many_refs_is_refused() {
    let repository = GitRepository::with_releases(&[("1", "{}"), ("2", "{}")]);
    let world = World::with(|config| config.max_refs = 2);
    let at = url(&repository.url());
    let error = world
        .git
        .list_refs(&Access::anonymous(&at))
        .await
        .unwrap_err();
    assert!(
        matches!(error, VcsError::TooManyRefs { limit: 2, .. }),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_repository_with_sha_256_names_is_refused_with_a_sentence() {
    let world = World::new();
    let folder = world.path().join("sha256.git");
    std::fs::create_dir(&folder).unwrap();
    let git = |arguments: &[&str]| {
        let status = std::process::Command::new("git")
            .args(arguments)
            .current_dir(&folder)
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .status();
        assert!(status.unwrap().success());
    };
    git(&["init", "--quiet", "--bare", "--object-format=sha256", "."]);
    let tree = "6ef19b41225c5369f1c104d45d8d85efa9b057b53b14b4b9b939dd74decc5321";
    git(&["hash-object", "-t", "tree", "-w", "/dev/null"]);
    let author = ["-c", "user.name=T", "-c", "user.email=t@example.com"];
    let commit = ["commit-tree", "-m", "x", tree];
    let output = std::process::Command::new("git")
        .args(author)
        .args(commit)
        .current_dir(&folder)
        .output()
        .unwrap();
    let commit = String::from_utf8(output.stdout).unwrap();
    git(&["update-ref", "refs/heads/main", commit.trim()]);

    let at = url(folder.to_str().unwrap());
    let error = world
        .git
        .list_refs(&Access::anonymous(&at))
        .await
        .unwrap_err();
    assert!(
        matches!(error, VcsError::UnsupportedObjects { .. }),
        "{error:?}"
    );
}

#[tokio::test]
async fn the_installed_git_is_new_enough() {
    let version = World::new().git.check().await.unwrap();
    assert!(version.starts_with("2."));
}

#[tokio::test]
async fn a_missing_git_is_reported_with_what_to_do() {
    let world = World::with(|config| config.binary = "no-such-git".into());
    let error = world.git.check().await.unwrap_err();
    assert!(matches!(error, VcsError::GitMissing { .. }), "{error:?}");
    assert!(error.to_string().contains("no-such-git"));
}
