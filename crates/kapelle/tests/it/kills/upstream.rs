//! A repository with two states, before and after a push, between which only its refs move.

use std::collections::BTreeMap;

use kapelle_testing::git::GitRepository;

/// The package that every scenario is about.
pub(super) const PACKAGE: &str = "acme/lib";

/// A tag whose commit has no composer.json.
const FAULTY: &str = "refs/tags/0.9.0";

/// What the repository holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// A few tags and branches.
    Small,
    /// More branches than one step publishes, all at one commit.
    Broad,
    /// An archive that is stored in several parts.
    Large,
}

type Refs = BTreeMap<String, String>;

/// A repository whose pushes can be taken back. The commits of both states are always there.
#[derive(Debug)]
pub(super) struct Upstream {
    repository: GitRepository,
    before: Refs,
    after: Refs,
}

impl Upstream {
    pub(super) fn new(shape: Shape) -> Self {
        let repository = GitRepository::new();
        let (before, after) = match shape {
            Shape::Small => small(&repository),
            Shape::Broad => broad(&repository),
            Shape::Large => large(&repository),
        };
        let upstream = Self {
            repository,
            before,
            after,
        };
        upstream.take_back();
        upstream
    }

    pub(super) fn url(&self) -> String {
        self.repository.url()
    }

    /// Everything as it was first.
    pub(super) fn take_back(&self) {
        self.set(&self.before);
    }

    /// A new tag, a moved one, a deleted one, a branch that goes on, and one whose history is another one now.
    pub(super) fn push(&self) {
        self.set(&self.after);
    }

    /// The versions that the push deletes.
    pub(super) fn deleted(&self) -> Vec<String> {
        let gone = self
            .before
            .keys()
            .filter(|name| !self.after.contains_key(*name));
        gone.filter_map(|name| name.strip_prefix("refs/tags/"))
            .map(str::to_owned)
            .collect()
    }

    /// Version and commit of everything that is published once the push has arrived.
    pub(super) fn expected(&self, after: bool) -> Vec<(String, String)> {
        let refs = if after { &self.after } else { &self.before };
        let version = |name: &str| match name.strip_prefix("refs/tags/") {
            Some(tag) => tag.to_owned(),
            None => name.replacen("refs/heads/", "dev-", 1),
        };
        let mut expected: Vec<_> = refs
            .iter()
            .filter(|(name, _)| *name != FAULTY)
            .map(|(name, commit)| (version(name), commit.clone()))
            .collect();
        expected.sort();
        expected
    }

    fn set(&self, refs: &Refs) {
        let there = self
            .repository
            .git(&["for-each-ref", "--format=%(refname)"]);
        let mut input = String::new();
        for name in there.lines().filter(|name| !refs.contains_key(*name)) {
            input.extend(["delete ", name, "\0\0"]);
        }
        for (name, commit) in refs {
            input.extend(["update ", name, "\0", commit, "\0\0"]);
        }
        self.repository
            .git_with_input(&["update-ref", "--stdin", "-z"], input.as_bytes());
    }
}

fn manifest(says: &str) -> String {
    format!(r#"{{"name": "{PACKAGE}", "description": "{says}"}}"#)
}

fn commit(repository: &GitRepository, branch: &str, says: &str) -> String {
    repository
        .commit(branch)
        .file("composer.json", manifest(says))
        .file("src/code.php", format!("<?php return '{says}';\n"))
        .create()
}

fn refs<const N: usize>(refs: [(&str, &String); N]) -> Refs {
    refs.into_iter()
        .map(|(name, commit)| (format!("refs/{name}"), commit.clone()))
        .collect()
}

fn small(repository: &GitRepository) -> (Refs, Refs) {
    let [one, two, main] = ["one", "two", "main"].map(|says| commit(repository, "main", says));
    let next = commit(repository, "next", "next");
    let empty = repository.commit("empty").file("readme", "").create();
    let before = refs([
        ("tags/0.9.0", &empty),
        ("tags/1.0.0", &one),
        ("tags/1.1.0", &two),
        ("heads/main", &main),
        ("heads/next", &next),
    ]);
    let three = commit(repository, "main", "three");
    let moved = commit(repository, "other", "two, tagged again");
    let rewritten = repository
        .commit("next")
        .orphan()
        .file("composer.json", manifest("next, rewritten"))
        .create();
    let after = refs([
        ("tags/0.9.0", &empty),
        ("tags/1.1.0", &moved),
        ("tags/1.2.0", &three),
        ("heads/main", &three),
        ("heads/next", &rewritten),
    ]);
    (before, after)
}

fn broad(repository: &GitRepository) -> (Refs, Refs) {
    let one = commit(repository, "main", "one");
    let before: Refs = (0..510)
        .map(|number| format!("refs/heads/feature-{number}"))
        .chain(["refs/heads/main".to_owned()])
        .map(|name| (name, one.clone()))
        .collect();
    let two = commit(repository, "main", "two");
    let after = before
        .keys()
        .map(|name| (name.clone(), two.clone()))
        .collect();
    (before, after)
}

/// What does not become smaller in a zip.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut word = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    (0..length / 8).flat_map(|_| word()).collect()
}

fn large(repository: &GitRepository) -> (Refs, Refs) {
    let one = commit(repository, "main", "one");
    let before = refs([("tags/1.0.0", &one), ("heads/main", &one)]);
    let two = repository
        .commit("main")
        .file("composer.json", manifest("two"))
        .file("noise.bin", noise(10 << 20))
        .create();
    let after = refs([
        ("tags/1.0.0", &one),
        ("tags/1.1.0", &two),
        ("heads/main", &two),
    ]);
    (before, after)
}
