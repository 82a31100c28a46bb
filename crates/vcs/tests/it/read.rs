//! Reading files, dates and trees out of a mirror.

use kapelle_testing::git::{FIRST_COMMIT_SECONDS, GitRepository};
use kapelle_vcs::{FileContent, TreeSummary, VcsError};

use crate::world::{World, url};

const NOWHERE: &str = "0123456789012345678901234567890123456789";

fn ask(commit: &str, path: &str) -> (String, String) {
    (commit.to_owned(), path.to_owned())
}

#[tokio::test]
async fn many_files_are_answered_in_order_each_with_what_is_there() {
    let repository = GitRepository::new();
    let first = repository.release("1.0.0", "{\"name\":\"acme/lib\"}");
    let second = repository
        .commit("main")
        .remove("composer.json")
        .file("sub dir/composer.json", "")
        .file("large", "x".repeat(101))
        .submodule("module", NOWHERE)
        .create();
    let world = World::new();
    let mirror = world.mirrored(&url(&repository.url())).await;
    let tree = repository.git(&["rev-parse", &format!("{first}^{{tree}}")]);

    let files = [
        ask(&first, "composer.json"),
        ask(&second, "composer.json"),
        ask(&second, "sub dir/composer.json"),
        ask(&second, "large"),
        ask(&second, "sub dir"),
        ask(&second, "module/composer.json"),
        ask(NOWHERE, "composer.json"),
        ask(&tree, "composer.json"),
        ask(&first, "composer.json"),
    ];
    let answers = mirror.read_files(&files, 100).await.unwrap();

    let json = FileContent::Found("{\"name\":\"acme/lib\"}".into());
    let contents: Vec<_> = answers.iter().map(|file| file.content.clone()).collect();
    let expected = [
        json.clone(),
        FileContent::Missing,
        FileContent::Found("".into()),
        FileContent::TooLarge(101),
        FileContent::Folder,
        FileContent::Missing,
        FileContent::NoCommit,
        FileContent::NoCommit,
        json,
    ];
    assert_eq!(contents, expected);
    assert!(
        answers
            .iter()
            .zip(&files)
            .all(|(a, f)| (&a.commit, &a.path) == (&f.0, &f.1))
    );
}

#[tokio::test]
async fn names_that_could_mean_something_else_are_refused() {
    let mirror = World::new().mirror();
    for (commit, path) in [
        ("HEAD", "composer.json"),
        ("--batch-all-objects", "composer.json"),
        (NOWHERE, "a\nb"),
        (NOWHERE, "../a"),
        (NOWHERE, "/a"),
        (NOWHERE, "./a"),
        (NOWHERE, ""),
    ] {
        let outcome = mirror.read_files(&[ask(commit, path)], 10).await;
        assert!(
            matches!(outcome, Err(VcsError::InvalidName { .. })),
            "{commit} {path}"
        );
    }
    assert!(matches!(
        mirror.has("main").await,
        Err(VcsError::InvalidName { .. })
    ));
}

#[tokio::test]
async fn a_mirror_that_was_never_fetched_has_nothing() {
    let mirror = World::new().mirror();
    assert!(!mirror.has(NOWHERE).await.unwrap());
    assert!(mirror.refs().await.unwrap().is_empty());
    let answers = mirror.read_files(&[ask(NOWHERE, "a")], 10).await.unwrap();
    assert_eq!(answers[0].content, FileContent::NoCommit);
    let error = mirror.archive(NOWHERE, None).await.unwrap_err();
    assert!(matches!(error, VcsError::CommitMissing { .. }), "{error:?}");
}

#[tokio::test]
async fn commit_times_are_milliseconds_and_missing_commits_left_out() {
    let repository = GitRepository::new();
    let first = repository.release("1.0.0", "{}");
    let second = repository.release("1.1.0", "{\"a\":1}");
    let world = World::new();
    let mirror = world.mirrored(&url(&repository.url())).await;
    let asked = [second.clone(), NOWHERE.to_owned(), first.clone()];
    let times = mirror.commit_times(&asked).await.unwrap();
    assert_eq!(times.len(), 2);
    assert_eq!(times[&first].committed, FIRST_COMMIT_SECONDS * 1000);
    assert_eq!(times[&second].authored, (FIRST_COMMIT_SECONDS + 60) * 1000);
}

#[tokio::test]
async fn a_tree_is_counted_up_to_the_limit() {
    let repository = GitRepository::new();
    let commit = repository
        .commit("main")
        .file("a/b/c", "1")
        .symlink("d", "a")
        .submodule("module", NOWHERE)
        .create();
    let world = World::with(|config| config.max_tree_entries = 5);
    let mirror = world.mirrored(&url(&repository.url())).await;
    let expected = TreeSummary {
        files: 2,
        folders: 2,
        submodules: 1,
    };
    assert_eq!(mirror.tree(&commit).await.unwrap(), expected);

    let larger = repository.commit("main").file("e", "1").create();
    let mirror = world.mirrored(&url(&repository.url())).await;
    for error in [
        mirror.tree(&larger).await.unwrap_err(),
        mirror.archive(&larger, None).await.unwrap_err(),
    ] {
        assert!(
            matches!(error, VcsError::TooManyEntries { limit: 5, .. }),
            "{error:?}"
        );
    }
}
