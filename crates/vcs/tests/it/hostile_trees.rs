//! Objects that no honest git makes: whatever is made of them is what git makes of them, within limits.

use std::fs;
use std::path::Path;

use kapelle_testing::git::GitRepository;
use kapelle_vcs::{Access, Oid, VcsError};

use crate::snapshot::{Dice, archived, listed, snapshot};
use crate::world::{World, url};

/// Objects as they are written by hand.
struct Forge {
    repository: GitRepository,
    blob: String,
}

impl Forge {
    fn new() -> Self {
        let repository = GitRepository::new();
        let blob = repository.git_with_input(&["hash-object", "-w", "--stdin"], b"x");
        Self { repository, blob }
    }

    fn object(&self, kind: &str, content: &[u8]) -> String {
        let write = ["hash-object", "-w", "--literally", "-t", kind, "--stdin"];
        self.repository.git_with_input(&write, content)
    }

    /// A tree of these entries, in this order.
    fn tree(&self, entries: impl IntoIterator<Item = (String, String)>) -> String {
        let mut bytes = Vec::new();
        for (head, oid) in entries {
            bytes.extend_from_slice(head.as_bytes());
            bytes.push(0);
            bytes.extend(
                (0..20).map(|at| u8::from_str_radix(&oid[2 * at..2 * at + 2], 16).unwrap()),
            );
        }
        self.object("tree", &bytes)
    }

    fn commit(&self, tree: &str) -> String {
        let person = "A <a@example.org> 1700000000 +0000";
        self.object(
            "commit",
            format!("tree {tree}\nauthor {person}\ncommitter {person}\n\nx\n").as_bytes(),
        )
    }

    /// Publishes a commit on a branch of its own.
    fn publish(&self, commit: &str) {
        self.repository.branch(&format!("b-{commit}"), commit);
    }
}

fn entry(mode: &str, name: &str, oid: &str) -> (String, String) {
    (format!("{mode} {name}"), oid.to_owned())
}

const MODES: &[&str] = &[
    "100644", "100644", "100644", "100755", "120000", "40000", "40000", "160000", "040000",
    "100664", "100600", "0100644", "0", "000000", "10644", "170000", "140000", "100645", "40755",
    "777777", "1006444",
];
const NAMES: &[&str] = &[
    "a",
    "b",
    "c",
    "d.md",
    "a.b",
    "a-b",
    "A",
    "composer.json",
    ".git",
    ".GIT",
    ".git ",
    "git~1",
    ".gitattributes",
    ".gitmodules",
    "..",
    ".",
    "a/b",
    "/a",
    "a\\b",
    "\u{1b}[31m",
    "\u{7}",
    "é",
    "a\nb",
    "-f",
    "COM1",
    ".g\u{200c}it",
];

/// A random tree, most of which git would not make.
fn random_tree(forge: &Forge, dice: &mut Dice, depth: usize) -> String {
    let mut entries = Vec::new();
    for _ in 0..=dice.roll(4) {
        let names = if dice.roll(3) == 0 {
            NAMES
        } else {
            &NAMES[..8]
        };
        let name = dice.pick(names);
        let modes = if dice.roll(3) == 0 {
            MODES
        } else {
            &MODES[..8]
        };
        let mode = dice.pick(modes);
        let is_folder = mode.ends_with("40000") || mode == "40755";
        let oid = match dice.roll(12) {
            // Something else than its mode says.
            0 => forge.blob.clone(),
            _ if is_folder && depth > 0 => random_tree(forge, dice, depth - 1),
            _ => forge.blob.clone(),
        };
        let is_honest = !is_folder || oid != forge.blob;
        if is_honest {
            entries.push(entry(mode, name, &oid));
        }
    }
    if dice.roll(3) > 0 {
        entries.sort_by_key(|(head, _)| {
            let (mode, name) = head.split_once(' ').unwrap();
            format!("{name}{}", if mode.ends_with("40000") { "/" } else { "" })
        });
    }
    forge.tree(entries)
}

#[tokio::test]
async fn of_trees_that_git_would_not_make_we_archive_what_git_does_or_nothing() {
    let forge = Forge::new();
    let mut dice = Dice(11);
    let commits: Vec<_> = (0..200)
        .map(|_| forge.commit(&random_tree(&forge, &mut dice, 3)))
        .collect();
    for commit in &commits {
        forge.publish(commit);
    }
    let world = World::new();
    let mirror = world.mirrored(&url(&forge.repository.url())).await;
    let (mut ours, mut left) = (0, 0);
    for commit in &commits {
        let theirs = archived(&mirror, commit).await;
        match listed(&mirror, commit).await {
            Ok(Some(listing)) => {
                let theirs = theirs.unwrap_or_else(|error| {
                    panic!("git refuses {commit}: {error}\n{}", show(&forge, commit))
                });
                assert_eq!(listing, theirs, "{}", show(&forge, commit));
                ours += 1;
            }
            Ok(None) => left += 1,
            Err(error) => panic!("{error}\n{}", show(&forge, commit)),
        }
    }
    assert!(ours > 20 && left > 20, "{ours} and {left}");
}

fn show(forge: &Forge, commit: &str) -> String {
    forge.repository.git(&["ls-tree", "-r", "-t", commit])
}

#[tokio::test]
async fn folders_of_the_same_folders_are_counted_and_not_unfolded() {
    let forge = Forge::new();
    let mut tree = forge.tree([entry("100644", "f", &forge.blob)]);
    for _ in 0..30 {
        tree = forge.tree((0..10).map(|number| entry("40000", &number.to_string(), &tree)));
    }
    let commit = forge.commit(&tree);
    forge.publish(&commit);
    let world = World::with(|config| config.max_tree_entries = 20_000);
    let mirror = world.mirrored(&url(&forge.repository.url())).await;
    for error in [
        snapshot(&mirror, &commit).await.unwrap_err(),
        mirror.tree(&commit).await.unwrap_err(),
        archived(&mirror, &commit).await.unwrap_err(),
    ] {
        assert!(
            matches!(error, VcsError::TooManyEntries { limit: 20_000, .. }),
            "{error}"
        );
    }
}

#[tokio::test]
async fn folders_that_are_large_together_or_have_long_paths_are_left_to_git() {
    let forge = Forge::new();
    let names = |length: usize, count: usize| {
        let tail = "x".repeat(length);
        (0..count).map(move |number| format!("{number:06}{tail}"))
    };
    let large = |first: &str| {
        let head = [entry("100644", &format!("!{first}"), &forge.blob)];
        let rest = names(200, 15_000).map(|name| entry("100644", &name, &forge.blob));
        forge.tree(head.into_iter().chain(rest))
    };
    let wide = forge.tree((0..10).map(|number| {
        let number = number.to_string();
        entry("40000", &number, &large(&number))
    }));
    let many = forge.tree(names(0, 18_000).map(|name| entry("100644", &name, &forge.blob)));
    let below = forge.tree([entry("40000", &"x".repeat(3_900), &many)]);
    let commits = [forge.commit(&wide), forge.commit(&below)];
    for commit in &commits {
        forge.publish(commit);
    }
    let world = World::new();
    let mirror = world.mirrored(&url(&forge.repository.url())).await;
    for commit in commits {
        assert_eq!(snapshot(&mirror, &commit).await.unwrap(), None);
    }
}

#[tokio::test]
async fn a_folder_of_100_000_files_is_a_folder() {
    let forge = Forge::new();
    let tree = forge
        .tree((0..100_000).map(|number| entry("100644", &format!("{number:06}"), &forge.blob)));
    let commit = forge.commit(&tree);
    forge.publish(&commit);
    let world = World::new();
    let mirror = world.mirrored(&url(&forge.repository.url())).await;
    let ours = snapshot(&mirror, &commit).await.unwrap().unwrap();
    assert_eq!(ours.entries.len(), 100_000);
    let mut names: Vec<_> = ours.entries.into_iter().map(|entry| entry.path).collect();
    names.sort_unstable();
    let theirs = archived(&mirror, &commit).await.unwrap();
    assert!(theirs.into_keys().eq(names));
}

/// Puts what is in one folder into another one.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let (from, to) = {
            let entry = entry.unwrap();
            (entry.path(), to.join(entry.file_name()))
        };
        if from.is_dir() {
            copy(&from, &to);
        } else if !to.exists() {
            fs::copy(from, to).unwrap();
        }
    }
}

#[tokio::test]
async fn folders_deeper_than_any_path_end_in_a_verdict() {
    let forge = Forge::new();
    forge.publish(&forge.commit(&forge.tree([])));
    let world = World::new();
    let mirror = world.mirrored(&url(&forge.repository.url())).await;
    let path = format!("{}f", "d/".repeat(4_200));
    let commit = forge.repository.commit("deep").file(&path, "x").create();
    // A git of today sends none of this; others may.
    copy(
        &forge.repository.path().join("objects"),
        &mirror.path().join("objects"),
    );
    assert_eq!(snapshot(&mirror, &commit).await.unwrap(), None);
    let error = archived(&mirror, &commit).await.unwrap_err();
    let sentence = format!(
        "git cannot list the tree of {commit}: folders of its tree lie deeper within each other than git goes"
    );
    assert_eq!((error.to_string(), error.is_permanent()), (sentence, true));
}

#[tokio::test]
async fn tags_of_tags_lead_to_their_commit_however_many() {
    let repository = GitRepository::new();
    let commit = repository.commit("main").file("a", "x").create();
    let forge = Forge {
        blob: String::new(),
        repository,
    };
    let tag = |oid: &str, kind: &str| {
        let text =
            format!("object {oid}\ntype {kind}\ntag t\ntagger A <a@example.org> 1 +0000\n\nx\n");
        forge.object("tag", text.as_bytes())
    };
    let mut chain = tag(&commit, "commit");
    for depth in 1..200 {
        if [15, 25].contains(&depth) {
            forge
                .repository
                .set_ref(&format!("refs/tags/at-{depth}"), &chain);
        }
        chain = tag(&chain, "tag");
    }
    forge.repository.set_ref("refs/tags/deep", &chain);
    let huge = "x".repeat(2 << 20);
    let long = format!(
        "object {commit}\ntype commit\ntag t\ntagger A <a@example.org> 1 +0000\n\n{huge}\n"
    );
    forge
        .repository
        .set_ref("refs/tags/long", &forge.object("tag", long.as_bytes()));

    let world = World::new();
    let at = url(&forge.repository.url());
    let mirror = world.mirrored(&at).await;
    let listing = world.git.list_refs(&Access::anonymous(&at)).await.unwrap();
    for name in ["at-15", "at-25", "deep", "long"] {
        let name = format!("refs/tags/{name}");
        assert_eq!(listing.refs.get(&name), Some(&commit), "{name}");
    }
    assert_eq!(mirror.refs().await.unwrap(), listing.refs);
}

#[tokio::test]
async fn commits_with_odd_dates_have_the_dates_that_git_reads() {
    let forge = Forge::new();
    let tree = forge.tree([entry("100644", "composer.json", &forge.blob)]);
    let mut commits = Vec::new();
    for date in [
        "1700000000 +0000",
        "0 +0000",
        "-1 +0000",
        "99999999999 +0000",
        "99999999999999999999 +0000",
        "1e9 +0000",
        "1700000000",
        "",
        "x",
        "1700000000 +9999",
        "1700000000 0000",
        " 1700000000 +0000",
        "18446744073709551615 +0000",
        "9223372036854775807 +0000",
        "2147483648 -1200",
        "1700000000\t+0000",
    ] {
        let head = format!("tree {tree}\nauthor A <a> {date}\ncommitter B <b> {date}\n\nx\n");
        commits.push(forge.object("commit", head.as_bytes()));
    }
    for head in [
        format!("tree {tree}\n\nno person\n"),
        format!("tree {tree}\nauthor A\ncommitter B\n\nx\n"),
        format!("tree {tree}\ncommitter B <b> 5 +0000\nauthor A <a> 6 +0000\n\nx\n"),
        format!(
            "tree {tree}\nauthor A <a> 5 +0000\nauthor A <a> 6 +0000\ncommitter B <b> 7 +0000\n\nx\n"
        ),
        format!("tree {tree}\nauthor <<>> 5 +0000\ncommitter <> 7 +0000\n\nx\n"),
    ] {
        commits.push(forge.object("commit", head.as_bytes()));
    }
    for commit in &commits {
        forge.publish(commit);
    }
    let world = World::new();
    let mirror = world.mirrored(&url(&forge.repository.url())).await;
    let theirs = mirror.commit_times(&commits).await.unwrap();
    let oids: Vec<_> = commits
        .iter()
        .map(|commit| Oid::parse(commit).unwrap())
        .collect();
    let objects = mirror.open().await.unwrap().unwrap();
    let read = objects
        .work(move |it| it.files(&oids, "composer.json", 100))
        .await;
    let (objects, ours) = read.unwrap();
    objects.close().await.unwrap();
    for (commit, ours) in commits.iter().zip(ours) {
        let shown = forge.repository.git(&["cat-file", "-p", commit]);
        assert_eq!(ours.time, theirs.get(commit).copied(), "{shown}");
    }
}
