//! The files of a commit without `git archive`: the very same, or none.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io::Read as _;

use kapelle_testing::git::GitRepository;
use kapelle_vcs::{Mirror, Oid, Snapshot, SnapshotKind, VcsError};
use rstest::rstest;

use crate::world::{World, url};

const NOWHERE: &str = "0123456789012345678901234567890123456789";

/// Path to kind, and content where there is one.
pub(crate) type Listing = BTreeMap<Vec<u8>, String>;

async fn by_git(mirror: &Mirror, commit: &str) -> Listing {
    archived(mirror, commit).await.expect("git archives it")
}

/// What git archives, if it does.
pub(crate) async fn archived(mirror: &Mirror, commit: &str) -> Result<Listing, VcsError> {
    let mut stream = mirror.archive(commit, None).await?;
    let read = tokio::task::spawn_blocking(move || {
        let mut bytes = Vec::new();
        if let Err(error) = stream.read_to_end(&mut bytes) {
            return Err(error.downcast().expect("git's own verdict"));
        }
        stream.finish()?;
        Ok(unpacked(&bytes))
    });
    read.await.unwrap()
}

fn unpacked(bytes: &[u8]) -> Listing {
    let mut listing = Listing::new();
    let mut archive = tar::Archive::new(bytes);
    for entry in archive.entries().unwrap() {
        let mut entry = entry.unwrap();
        let mut path = entry.path_bytes().into_owned();
        let link = entry.link_name_bytes().map(Cow::into_owned);
        let mut content = link.unwrap_or_default();
        entry.read_to_end(&mut content).unwrap();
        let kind = match entry.header().entry_type() {
            tar::EntryType::Directory => "folder",
            tar::EntryType::Symlink => "link",
            _ if entry.header().mode().unwrap() & 0o100 != 0 => "program",
            _ => "file",
        };
        if kind == "folder" {
            path.pop();
        }
        let content = String::from_utf8_lossy(&content).into_owned();
        listing.insert(path, format!("{kind} {content}"));
    }
    listing.remove(&b"pax_global_header"[..]);
    listing
}

pub(crate) async fn snapshot(mirror: &Mirror, commit: &str) -> Result<Option<Snapshot>, VcsError> {
    let oid = Oid::parse(commit).unwrap();
    let objects = mirror.open().await?.unwrap();
    let (objects, snapshot) = objects.work(move |it| it.snapshot(oid)).await?;
    objects.close().await?;
    Ok(snapshot)
}

async fn by_us(mirror: &Mirror, commit: &str) -> Option<Listing> {
    listed(mirror, commit).await.unwrap()
}

/// What we put into the archive; `None` if only git can tell.
pub(crate) async fn listed(mirror: &Mirror, commit: &str) -> Result<Option<Listing>, VcsError> {
    let oid = Oid::parse(commit)?;
    let objects = mirror.open().await?.unwrap();
    let read = objects.work(move |objects| {
        let Some(snapshot) = objects.snapshot(oid)? else {
            return Ok(None);
        };
        let mut listing = Listing::new();
        for entry in snapshot.entries {
            let (kind, oid) = match entry.kind {
                SnapshotKind::File {
                    executable: true,
                    oid,
                } => ("program", oid),
                SnapshotKind::File { oid, .. } => ("file", oid),
                SnapshotKind::Link { oid } => ("link", oid),
                SnapshotKind::Folder | SnapshotKind::Submodule => {
                    listing.insert(entry.path, "folder ".to_owned());
                    continue;
                }
            };
            let mut text = String::new();
            objects.contents(&[oid], |_, found| {
                found.unwrap().1.read_to_string(&mut text).unwrap();
                Ok::<_, VcsError>(())
            })?;
            assert!(
                listing
                    .insert(entry.path, format!("{kind} {text}"))
                    .is_none()
            );
        }
        Ok::<_, VcsError>(Some(listing))
    });
    Ok(read.await?.1)
}

#[tokio::test]
async fn a_commit_with_one_of_everything_has_the_files_that_git_archives() {
    let repository = GitRepository::new();
    let commit = repository
        .commit("main")
        .file(
            ".gitattributes",
            "/tests export-ignore\n*.md export-ignore\n/docs/** export-ignore\n* text=auto\n",
        )
        .file(
            "src/.gitattributes",
            "keep.md -export-ignore\n/fixtures/ export-ignore\n",
        )
        .file("README.md", "no")
        .file("src/keep.md", "yes")
        .file("src/deep/keep.md", "yes, too")
        .file("src/fixtures/f", "no")
        .file("docs/only/left out", "no")
        .file("guide/a.md", "no")
        .file("tests/t.php", "no")
        .file("windows", "a\r\nb\r\n")
        .executable("bin/run", "#!/bin/sh")
        .symlink("link", "src/keep.md")
        .submodule("lib/module", NOWHERE)
        .create();
    let world = World::new();
    let mirror = world.mirrored(&url(&repository.url())).await;
    let ours = by_us(&mirror, &commit).await.unwrap();
    assert_eq!(ours, by_git(&mirror, &commit).await);
    assert!(ours.contains_key(&b"src/deep/keep.md"[..]) && !ours.contains_key(&b"README.md"[..]));
    assert_eq!(ours[&b"guide"[..]], "folder ");
    assert_eq!(ours[&b"windows"[..]], "file a\r\nb\r\n");
    let submodules = snapshot(&mirror, &commit).await.unwrap().unwrap().entries;
    assert!(
        submodules
            .iter()
            .any(|entry| entry.kind == SnapshotKind::Submodule)
    );
}

#[rstest]
#[case("version export-subst")]
#[case("*.txt text eol=crlf")]
#[case("*.c ident")]
#[case("[attr]hidden export-ignore\ntests hidden")]
#[case("t[e]sts export-ignore")]
#[tokio::test]
async fn where_git_changes_files_or_may_read_otherwise_it_is_asked(#[case] attributes: &str) {
    let repository = GitRepository::new();
    let commit = repository
        .commit("main")
        .file("a/.gitattributes", attributes)
        .file("a/version", "$Format:%H$")
        .create();
    let world = World::new();
    let mirror = world.mirrored(&url(&repository.url())).await;
    assert_eq!(snapshot(&mirror, &commit).await.unwrap(), None);
}

/// Always the same numbers.
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn roll(&mut self, sides: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % sides
    }

    pub(crate) fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from[self.roll(from.len())]
    }
}

/// None of them is a folder's, so that no file stands in a folder's way.
const NAMES: &[&str] = &["f", "fb", "af", "f.md", "b.md", ".x", "F", "read me"];
const FOLDERS: &[&str] = &["a", "b", "tests", "d.md"];
const PATTERNS: &[&str] = &[
    "a",
    "/a",
    "a/",
    "*.md",
    "/*",
    "*",
    "tests",
    "/tests/",
    "a/f",
    "a/*",
    "a/**",
    "**/f",
    "a/**/b",
    "**/a/**",
    "?",
    "f?",
    "*/f",
    "/a/*/f",
    ".*",
    "tests/**/*.md",
    "b/a/",
    "*b",
    "a*",
    "d*d",
    "f",
];
const ATTRIBUTES: &[&str] = &[
    "export-ignore",
    "-export-ignore",
    "!export-ignore",
    "export-ignore=x",
    "text",
    "text export-ignore",
];

fn random_attributes(dice: &mut Dice) -> String {
    let mut lines = String::new();
    for _ in 0..=dice.roll(4) {
        lines.extend([dice.pick(PATTERNS), " ", dice.pick(ATTRIBUTES), "\n"]);
    }
    lines
}

#[tokio::test]
async fn whatever_is_left_out_is_what_git_leaves_out() {
    let repository = GitRepository::new();
    let mut dice = Dice(7);
    let mut commits = Vec::new();
    for number in 0..150 {
        let branch = format!("b{number}");
        let mut commit = repository
            .commit(&branch)
            .file(".gitattributes", random_attributes(&mut dice));
        if dice.roll(2) == 0 {
            let path = format!("{}/.gitattributes", dice.pick(FOLDERS));
            commit = commit.file(&path, random_attributes(&mut dice));
        }
        for _ in 0..12 {
            let folders: Vec<_> = (0..dice.roll(4)).map(|_| dice.pick(FOLDERS)).collect();
            commit = commit.file(&[&folders[..], &[dice.pick(NAMES)]].concat().join("/"), "");
        }
        commits.push(commit.create());
    }
    let world = World::new();
    let mirror = world.mirrored(&url(&repository.url())).await;
    let mut left_out = 0;
    for commit in commits {
        let ours = by_us(&mirror, &commit).await.expect("nothing peculiar");
        let theirs = by_git(&mirror, &commit).await;
        assert_eq!(
            ours,
            theirs,
            "{}",
            repository.git(&["show", &format!("{commit}:.gitattributes")])
        );
        left_out += usize::from(theirs.len() < 20);
    }
    assert!(left_out > 20, "the patterns say something");
}

#[tokio::test]
async fn a_commit_that_is_not_there_is_missing_and_a_lost_tree_is_damage() {
    let repository = GitRepository::new();
    let commit = repository.commit("main").file("a/b", "x").create();
    let world = World::with(|config| config.max_tree_entries = 2);
    let mirror = world.mirrored(&url(&repository.url())).await;
    let tree = repository.git(&["rev-parse", &format!("{commit}:a")]);
    for other in [NOWHERE, &tree] {
        let error = snapshot(&mirror, other).await.unwrap_err();
        assert!(matches!(error, VcsError::CommitMissing { .. }), "{error:?}");
    }
    assert_eq!(
        snapshot(&mirror, &commit)
            .await
            .unwrap()
            .unwrap()
            .entries
            .len(),
        2
    );

    let larger = repository.commit("main").file("c", "x").create();
    let mirror = world.mirrored(&url(&repository.url())).await;
    let error = snapshot(&mirror, &larger).await.unwrap_err();
    assert!(
        matches!(error, VcsError::TooManyEntries { limit: 2, .. }),
        "{error:?}"
    );
}
