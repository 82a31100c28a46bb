//! Fetching: only what changed, never losing a commit, whatever was interrupted.

use std::fs;
use std::time::Duration;

use kapelle_testing::git::GitRepository;
use kapelle_vcs::{Access, VcsError};

use crate::world::{World, in_mirror, listed, one, url, write_script};

#[tokio::test]
async fn only_changed_refs_are_fetched() {
    let repository = GitRepository::with_releases(&[("1.0.0", "{}"), ("1.1.0", "{\"a\":1}")]);
    let world = World::recorded();
    let at = url(&repository.url());
    let mirror = world.mirrored(&at).await;
    let new = repository.release("1.2.0", "{\"a\":2}");
    let access = Access::anonymous(&at);
    let listing = world.git.list_refs(&access).await.unwrap();
    world.taken("packets");

    let fetched = mirror.fetch(&access, &listing, &[]).await.unwrap();

    assert_eq!(fetched.received, 2, "the new tag and the branch");
    assert_eq!(mirror.refs().await.unwrap(), listing.refs);
    let packets = world.taken("packets");
    let wants: Vec<_> = packets
        .lines()
        .filter(|line| line.contains("fetch> want "))
        .collect();
    assert!(
        !wants.is_empty() && wants.iter().all(|want| want.contains(&new)),
        "{wants:?}"
    );

    let again = mirror.fetch(&access, &listing, &[]).await.unwrap();
    assert_eq!(again.received, 0);
    assert_eq!(
        world.taken("packets"),
        "",
        "nobody is contacted when nothing is missing"
    );
}

#[tokio::test]
async fn a_ref_that_is_not_wanted_is_not_fetched() {
    let repository = GitRepository::new();
    let first = repository.release("1.0.0", "{}");
    let other = repository.commit("other").orphan().file("a", "b").create();
    let world = World::new();
    let at = url(&repository.url());
    let mirror = world.mirror();
    let wanted = listed("refs/tags/1.0.0", &first);
    mirror
        .fetch(&Access::anonymous(&at), &wanted, &[])
        .await
        .unwrap();
    assert!(mirror.has(&first).await.unwrap());
    assert!(!mirror.has(&other).await.unwrap());
    assert_eq!(mirror.refs().await.unwrap(), wanted.refs);
}

#[tokio::test]
async fn commits_of_moved_and_deleted_refs_survive_a_garbage_collection() {
    let repository = GitRepository::new();
    let moved = repository.release("1.0.0", "{\"v\":1}");
    let deleted = repository
        .commit("gone")
        .orphan()
        .file("composer.json", "{}")
        .create();
    repository.annotated_tag("2.0.0", &deleted);
    repository.delete_ref("refs/heads/gone");
    let world = World::new();
    let at = url(&repository.url());
    let access = Access::anonymous(&at);
    let mirror = world.mirrored(&at).await;

    let rewritten = repository
        .commit("main")
        .orphan()
        .file("composer.json", "{\"v\":2}")
        .create();
    repository.tag("1.0.0", &rewritten);
    repository.delete_ref("refs/tags/2.0.0");
    let listing = world.git.list_refs(&access).await.unwrap();
    let removed = ["refs/tags/2.0.0".to_owned()];
    mirror.fetch(&access, &listing, &removed).await.unwrap();
    assert_eq!(mirror.refs().await.unwrap(), listing.refs);
    in_mirror(&mirror, &["gc", "--quiet", "--prune=now"]);

    for commit in [&moved, &deleted, &rewritten] {
        assert!(mirror.has(commit).await.unwrap());
        mirror
            .archive(commit, None)
            .await
            .unwrap()
            .finish()
            .unwrap();
    }
}

#[tokio::test]
async fn a_branch_may_become_a_folder_and_a_folder_a_branch() {
    let repository = GitRepository::new();
    let first = repository.commit("a").file("x", "1").create();
    repository.branch("c/d", &first);
    let world = World::new();
    let at = url(&repository.url());
    let access = Access::anonymous(&at);
    let mirror = world.mirrored(&at).await;

    repository.delete_ref("refs/heads/a");
    repository.delete_ref("refs/heads/c/d");
    repository.branch("a/b", &first);
    repository.branch("c", &first);
    let listing = world.git.list_refs(&access).await.unwrap();
    mirror.fetch(&access, &listing, &[]).await.unwrap();
    assert_eq!(mirror.refs().await.unwrap(), listing.refs);
}

#[tokio::test]
async fn what_was_listed_is_fetched_although_upstream_has_moved_on() {
    let repository = GitRepository::new();
    let was = repository.release("1.0.0", "{}");
    let at = url(&repository.url());
    let access = Access::anonymous(&at);
    let world = World::new();
    let listing = world.git.list_refs(&access).await.unwrap();
    repository.commit("main").file("a", "b").create();
    repository.delete_ref("refs/tags/1.0.0");

    let mirror = world.mirror();
    mirror.fetch(&access, &listing, &[]).await.unwrap();
    assert_eq!(mirror.refs().await.unwrap(), listing.refs);
    assert_eq!(listing.refs["refs/heads/main"], was);
}

#[tokio::test]
async fn upstream_having_lost_what_it_listed_is_told() {
    let repository = GitRepository::new();
    let was = repository.release("1.0.0", "{}");
    let at = url(&repository.url());
    let access = Access::anonymous(&at);
    let world = World::new();
    let listing = world.git.list_refs(&access).await.unwrap();
    let now = repository.commit("main").orphan().file("a", "b").create();
    repository.tag("1.0.0", &now);
    repository.git(&["gc", "--quiet", "--prune=now"]);

    let mirror = world.mirror();
    let error = mirror.fetch(&access, &listing, &[]).await.unwrap_err();
    assert!(matches!(error, VcsError::Changed { .. }), "{error:?}");
    assert!(!error.is_permanent());
    assert!(mirror.refs().await.unwrap().is_empty());
    assert!(!mirror.has(&was).await.unwrap());
}

#[tokio::test]
async fn a_fetch_starts_one_git_and_matches_no_names() {
    let repository = GitRepository::with_releases(&[("1.0.0", "{}")]);
    let world = World::recorded();
    let at = url(&repository.url());
    let mirror = world.mirrored(&at).await;
    let commit = repository.commit("main").orphan().file("a", "b").create();
    repository.annotated_tag("1.1.0", &commit);
    repository.delete_ref("refs/tags/1.0.0");
    let access = Access::anonymous(&at);
    let listing = world.git.list_refs(&access).await.unwrap();
    world.taken("packets");
    world.taken("arguments");

    let removed = ["refs/tags/1.0.0".to_owned()];
    let fetched = mirror.fetch(&access, &listing, &removed).await.unwrap();

    assert_eq!(fetched.received, 2);
    let arguments = world.taken("arguments");
    let started = arguments.lines().filter(|word| *word == "--").count();
    assert_eq!(
        (started, arguments.lines().next()),
        (1, Some("fetch")),
        "{arguments}"
    );
    assert!(
        !world.taken("packets").contains("command=ls-refs"),
        "refs were listed again"
    );
}

#[tokio::test]
async fn what_a_killed_git_left_behind_does_not_stop_the_next_one() {
    let repository = GitRepository::with_releases(&[("1.0.0", "{}")]);
    let world = World::new();
    let at = url(&repository.url());
    let access = Access::anonymous(&at);
    let mirror = world.mirrored(&at).await;
    let left = [
        "packed-refs.lock",
        "refs/heads/main.lock",
        "objects/pack/tmp_pack_x",
    ];
    for name in left {
        fs::write(mirror.path().join(name), "").unwrap();
    }
    let new = repository.release("1.1.0", "{\"a\":1}");
    let wanted = world.git.list_refs(&access).await.unwrap();

    mirror.fetch(&access, &wanted, &[]).await.unwrap();

    assert_eq!(mirror.refs().await.unwrap()["refs/heads/main"], new);
    assert!(left.iter().all(|name| !mirror.path().join(name).exists()));
}

#[tokio::test]
async fn a_damaged_mirror_is_noticed_and_fetched_anew() {
    let repository = GitRepository::with_releases(&[("1.0.0", "{}")]);
    let world = World::new();
    let at = url(&repository.url());
    let access = Access::anonymous(&at);
    let mirror = world.mirrored(&at).await;
    let commit = repository.resolve("main").unwrap();
    mirror.repack().await.unwrap();
    for entry in fs::read_dir(mirror.path().join("objects/pack")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|kind| kind == "pack") {
            let bytes = fs::read(&path).unwrap();
            fs::remove_file(&path).unwrap();
            fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
        }
    }
    let file = one(&commit, "composer.json");
    let error = mirror.read_files(&file, 1000).await.unwrap_err();
    assert!(matches!(error, VcsError::Corrupt { .. }), "{error:?}");
    let error = mirror.verify().await.unwrap_err();
    assert!(matches!(error, VcsError::Corrupt { .. }), "{error:?}");

    mirror.reset().await.unwrap();
    assert!(!mirror.exists());
    mirror
        .fetch(&access, &listed("refs/heads/main", &commit), &[])
        .await
        .unwrap();
    assert!(mirror.has(&commit).await.unwrap());
}

#[tokio::test]
async fn an_upstream_that_says_it_is_damaged_does_not_make_the_mirror_so() {
    let repository = GitRepository::with_releases(&[("1.0.0", "{}")]);
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("git");
    let body = "case $1 in fetch) echo 'fatal: loose object 1234 is corrupt' >&2; exit 128;; esac; exec git \"$@\"";
    write_script(&script, body);
    let honest = World::new();
    let at = url(&repository.url());
    let mirror = honest.mirrored(&at).await;
    mirror.verify().await.unwrap();
    let next = repository.release("1.1.0", "{\"a\":1}");

    let world = World::with(|config| {
        config.binary = script;
        config.mirrors = honest.path().join("mirrors");
    });
    let wanted = listed("refs/heads/main", &next);
    let outcome = world
        .mirror()
        .fetch(&Access::anonymous(&at), &wanted, &[])
        .await;
    assert!(
        matches!(outcome, Err(VcsError::GitFailed { .. })),
        "{outcome:?}"
    );
}

#[tokio::test]
async fn a_mirror_that_another_process_fetches_into_is_waited_for() {
    let repository = GitRepository::with_releases(&[("1.0.0", "{}")]);
    let world = World::with(|config| config.read_timeout = Duration::from_millis(50));
    let at = url(&repository.url());
    let commit = repository.resolve("main").unwrap();
    let lock = fs::File::create(world.path().join("mirrors/1.lock")).unwrap();
    lock.lock().unwrap();
    let wanted = listed("refs/heads/main", &commit);
    let mirror = world.mirror();
    let outcome = mirror.fetch(&Access::anonymous(&at), &wanted, &[]).await;
    assert!(matches!(outcome, Err(VcsError::Busy { .. })), "{outcome:?}");
}

#[tokio::test]
async fn two_fetches_at_once_are_made_one_after_the_other() {
    let repository = GitRepository::with_releases(&[("1", "{}"), ("2", "{\"a\":1}")]);
    let world = World::new();
    let at = url(&repository.url());
    let access = Access::anonymous(&at);
    let listing = world.git.list_refs(&access).await.unwrap();
    let (one, two) = (world.mirror(), world.mirror());
    let (one, two) = tokio::join!(
        one.fetch(&access, &listing, &[]),
        two.fetch(&access, &listing, &[])
    );
    let mut received = [one.unwrap().received, two.unwrap().received];
    received.sort_unstable();
    assert_eq!(received, [0, 3]);
}

#[tokio::test]
async fn a_pack_over_the_limit_is_refused() {
    let repository = GitRepository::new();
    let noise: Vec<u8> = (0..3_000_000_u64)
        .map(|n| n.wrapping_mul(6_364_136_223_846_793_005).to_be_bytes()[1])
        .collect();
    let commit = repository.commit("main").file("noise", noise).create();
    let world = World::with(|config| config.max_fetch = 10_000);
    let at = url(&repository.url());
    let wanted = listed("refs/heads/main", &commit);
    let mirror = world.mirror();
    let outcome = mirror.fetch(&Access::anonymous(&at), &wanted, &[]).await;
    assert!(
        matches!(outcome, Err(VcsError::TooLarge { .. })),
        "{outcome:?}"
    );
    let mut left = fs::read_dir(mirror.path().join("objects/pack")).unwrap();
    assert!(
        left.next().is_none(),
        "the unfinished pack still takes room"
    );
}

#[tokio::test]
async fn a_git_that_hangs_is_ended_with_all_it_started() {
    let folder = tempfile::tempdir().unwrap();
    let (script, pipe) = (folder.path().join("git"), folder.path().join("pipe"));
    let made = std::process::Command::new("mkfifo").arg(&pipe).status();
    assert!(made.unwrap().success());
    // Who ignores the request to end is killed. The pipe ends with the last process that holds it.
    let body = format!(
        "exec > {}; (trap '' TERM; while :; do sleep 1000; done) & wait",
        pipe.display()
    );
    write_script(&script, &body);
    let (sender, ended) = std::sync::mpsc::channel();
    std::thread::spawn(move || sender.send(fs::read(pipe)));
    let world = World::with(|config| {
        config.binary = script;
        // Also on a busy machine it has begun to hang by then.
        config.list_timeout = Duration::from_secs(3);
    });
    let at = url("/srv/nothing");
    let error = world
        .git
        .list_refs(&Access::anonymous(&at))
        .await
        .unwrap_err();
    assert!(matches!(error, VcsError::TimedOut { .. }), "{error:?}");
    assert!(!error.is_permanent());
    let all_ended = ended.recv_timeout(Duration::from_secs(30));
    assert!(all_ended.is_ok(), "a process outlived git");
}

#[tokio::test]
async fn repacking_loses_nothing() {
    let repository = GitRepository::new();
    let old = repository.release("1.0.0", "{}");
    let world = World::new();
    let at = url(&repository.url());
    let access = Access::anonymous(&at);
    let mirror = world.mirrored(&at).await;
    let new = repository.commit("main").orphan().file("a", "b").create();
    repository.tag("1.0.0", &new);
    let listing = world.git.list_refs(&access).await.unwrap();
    mirror.fetch(&access, &listing, &[]).await.unwrap();
    mirror.repack().await.unwrap();
    assert!(mirror.has(&old).await.unwrap() && mirror.has(&new).await.unwrap());
    let packs = fs::read_dir(mirror.path().join("objects/pack")).unwrap();
    let packs = packs.filter(|entry| {
        let path = entry.as_ref().unwrap().path();
        path.extension().is_some_and(|kind| kind == "pack")
    });
    assert_eq!(packs.count(), 1);
}
