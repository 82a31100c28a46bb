//! Names made to be taken for options or shell commands stay names.

use std::fs;

use kapelle_testing::git::GitRepository;
use kapelle_testing::git_server::GitServer;
use kapelle_vcs::{Access, Listing, VcsError};

use crate::world::{World, listed, url};

const NAMES: [&str; 7] = [
    "refs/heads/--upload-pack=touch${IFS}pwned",
    "refs/heads/-oProxyCommand=touch",
    "refs/tags/$(touch${IFS}pwned)",
    "refs/tags/`touch${IFS}pwned`",
    "refs/tags/a;touch${IFS}pwned",
    "refs/tags/'\"|&<>!#",
    "refs/heads/%(refname)%00%s",
];

#[tokio::test]
async fn refs_with_shell_characters_or_a_leading_dash_are_only_names() {
    let repository = GitRepository::new();
    let commit = repository.release("1.0.0", "{}");
    for name in NAMES {
        repository.set_ref(name, &commit);
    }
    let world = World::recorded();
    let at = url(&repository.url());
    let access = Access::anonymous(&at);
    let listing = world.git.list_refs(&access).await.unwrap();
    assert_eq!(listing.rejected, []);
    for name in NAMES {
        assert_eq!(listing.refs.get(name), Some(&commit), "{name}");
    }
    let mirror = world.mirror();
    mirror.fetch(&access, &listing, &[]).await.unwrap();
    assert_eq!(mirror.refs().await.unwrap(), listing.refs);

    let removed = NAMES.map(str::to_owned);
    mirror
        .fetch(&access, &listed("refs/tags/1.0.0", &commit), &removed)
        .await
        .unwrap();
    assert_eq!(mirror.refs().await.unwrap().len(), 2);
    assert!(
        !world.taken("arguments").contains("touch"),
        "a name became an argument"
    );
    assert!(!pwned(&world.path()));
}

#[tokio::test]
async fn refs_that_git_itself_would_not_make_do_not_hide_the_others() {
    let repository = GitRepository::new();
    let commit = repository.release("1.0.0", "{}");
    repository.set_odd_ref("refs/heads/a b", &commit);
    repository.set_odd_ref("refs/tags/*", &commit);
    let world = World::new();
    let at = url(&repository.url());
    let listing = world.git.list_refs(&Access::anonymous(&at)).await.unwrap();
    assert_eq!(listing.rejected.len(), 2, "{:?}", listing.rejected);
    let mirror = world.mirrored(&at).await;
    let names: Vec<_> = mirror.refs().await.unwrap().into_keys().collect();
    assert_eq!(names, ["refs/heads/main", "refs/tags/1.0.0"]);
}

#[tokio::test]
async fn names_that_would_be_instructions_are_refused_before_git_sees_them() {
    let world = World::recorded();
    let at = url("/srv/nothing");
    let access = Access::anonymous(&at);
    let commit = "0123456789012345678901234567890123456789";
    let mirror = world.mirror();
    for name in [
        "refs/heads/*",
        "refs/heads/a:refs/kapelle/b",
        "refs/heads/a\nb",
        "--all",
        "HEAD",
    ] {
        let outcome = mirror.fetch(&access, &listed(name, commit), &[]).await;
        assert!(
            matches!(outcome, Err(VcsError::InvalidName { .. })),
            "{name}: {outcome:?}"
        );
        let outcome = mirror
            .fetch(&access, &Listing::default(), &[name.to_owned()])
            .await;
        assert!(
            matches!(outcome, Err(VcsError::InvalidName { .. })),
            "{name}: {outcome:?}"
        );
    }
    let outcome = mirror
        .fetch(&access, &listed("refs/heads/a", "--all"), &[])
        .await;
    assert!(matches!(outcome, Err(VcsError::InvalidName { .. })));
    assert_eq!(world.taken("arguments"), "");
}

#[tokio::test]
async fn hooks_filters_and_signature_programs_of_a_repository_are_never_run() {
    let repository = GitRepository::new();
    let commit = repository
        .commit("main")
        .file(".gitattributes", "* filter=evil diff=evil export-subst\n")
        .file("a", "$Format:%G?$")
        .file(
            ".gitmodules",
            "[submodule \"a\"]\n\tpath = a\n\turl = -u./evil\n",
        )
        .create();
    let world = World::new();
    let mirror = world.mirrored(&url(&repository.url())).await;
    let hook = mirror.path().join("hooks");
    fs::create_dir(&hook).unwrap();
    let pwned = world.path().join("pwned");
    for name in ["reference-transaction", "post-update", "pre-auto-gc"] {
        crate::world::write_script(&hook.join(name), &format!("touch {}", pwned.display()));
    }
    let next = repository.commit("main").file("b", "c").create();
    let access = url(&repository.url());
    let wanted = listed("refs/heads/main", &next);
    mirror
        .fetch(&Access::anonymous(&access), &wanted, &[])
        .await
        .unwrap();
    mirror
        .archive(&commit, None)
        .await
        .unwrap()
        .finish()
        .unwrap();
    assert!(!pwned.exists());
}

fn pwned(folder: &std::path::Path) -> bool {
    fs::read_dir(folder).unwrap().any(|entry| {
        let entry = entry.unwrap();
        entry.file_name() == "pwned" || (entry.path().is_dir() && pwned(&entry.path()))
    })
}

#[tokio::test]
async fn a_small_delta_of_a_huge_file_does_not_take_all_memory() {
    let repository = GitRepository::new();
    let zeros = vec![0_u8; 80 << 20];
    repository
        .commit("main")
        .file("a", &zeros)
        .file("b", [&zeros[..], b"b"].concat())
        .create();
    repository.git(&["repack", "-adfq"]);
    let server = GitServer::of(&repository).await;
    let at = url(&server.url("acme/lib.git"));
    let world = World::with(|config| config.max_memory = 64 << 20);
    let access = Access::anonymous(&at);
    let listing = world.git.list_refs(&access).await.unwrap();
    let fetched = world.mirror().fetch(&access, &listing, &[]).await;
    let sentence =
        format!("the memory that git needs to fetch from {at} is larger than 67108864 bytes");
    assert_eq!(fetched.unwrap_err().to_string(), sentence);
}

#[tokio::test]
async fn what_arrives_stays_packed_and_many_packs_become_few() {
    let repository = GitRepository::new();
    let world = World::new();
    let at = url(&repository.url());
    let mut commits = Vec::new();
    for number in 0..30 {
        commits.push(repository.release(&format!("1.0.{number}"), "{}"));
        world.mirrored(&at).await;
    }
    let mirror = world.mirror();
    let objects = mirror.path().join("objects");
    let mut names: Vec<_> = names_in(&objects);
    names.retain(|name| name != "info");
    assert_eq!(names, ["pack"]);
    let packs = names_in(&objects.join("pack"));
    // Each pack has an index, and perhaps more files beside it.
    assert!(packs.len() < 24 * 2, "{packs:?}");
    for commit in &commits {
        assert!(mirror.has(commit).await.unwrap());
    }
}

fn names_in(folder: &std::path::Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect()
}

#[tokio::test]
async fn a_repository_without_the_history_of_its_commits_is_refused() {
    let repository = GitRepository::with_releases(&[("1.0.0", "{}"), ("1.1.0", "{}")]);
    let whole = World::new();
    let at = url(&repository.url());
    whole.mirrored(&at).await.verify().await.unwrap();

    let tip = repository.resolve("refs/tags/1.1.0").unwrap();
    fs::write(repository.path().join("shallow"), format!("{tip}\n")).unwrap();
    let world = World::new();
    let access = Access::anonymous(&at);
    let listing = world.git.list_refs(&access).await.unwrap();
    let fetched = world.mirror().fetch(&access, &listing, &[]).await;
    let error = fetched.unwrap_err();
    assert!(matches!(error, VcsError::Shallow { .. }), "{error:?}");
    assert!(world.mirror().refs().await.unwrap().is_empty());
    world.mirror().verify().await.unwrap();
}

#[tokio::test]
async fn what_a_tag_says_is_no_damage() {
    let repository = GitRepository::new();
    let commit = repository.release("1.0.0", "{}");
    let tag = format!(
        "object {commit}\ntype commit\ntag x is corrupt y\ntagger A <a@example.org> 1700000000 +0000\n\nbad object\n"
    );
    let write = ["hash-object", "-t", "tag", "-w", "--stdin", "--literally"];
    let oid = repository.git_with_input(&write, tag.as_bytes());
    repository.set_ref("refs/tags/2.0.0", oid.trim());
    let world = World::new();
    let mirror = world.mirrored(&url(&repository.url())).await;
    assert_eq!(mirror.refs().await.unwrap()["refs/tags/2.0.0"], commit);
    mirror.verify().await.unwrap();
}
