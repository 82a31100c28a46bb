//! A PHP library in a fixture repository, whose code says what version it is.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use kapelle_testing::composer::Project;
use kapelle_testing::git::{CommitBuilder, GitRepository};
use serde_json::{Map, Value, json};

/// A library with a class `Code` whose constant `SAYS` tells which code was installed.
#[derive(Debug)]
pub(super) struct Library {
    name: String,
    manifest: Map<String, Value>,
    pub(super) repository: GitRepository,
}

impl Library {
    /// An empty repository for a library of that name, such as `acme/core`.
    pub(super) fn new(name: &str) -> Self {
        let manifest = json!({
            "name": name,
            "description": format!("The library {name}."),
            "license": "MIT",
            "autoload": {"psr-4": {format!("{}\\", namespace(name)): "src/"}},
        });
        let Value::Object(manifest) = manifest else {
            unreachable!("a literal object");
        };
        Self {
            name: name.to_owned(),
            manifest,
            repository: GitRepository::new(),
        }
    }

    /// A library with a release per tag, on `main`; its code says the tag.
    pub(super) fn with_releases(name: &str, tags: &[&str]) -> Self {
        let library = Self::new(name);
        for tag in tags {
            library.release(tag);
        }
        library
    }

    /// Sets a key of composer.json from the next commit on.
    pub(super) fn set(mut self, key: &str, value: Value) -> Self {
        self.manifest.insert(key.to_owned(), value);
        self
    }

    /// Prepares a commit to a branch whose code says `says`, a PHP expression.
    pub(super) fn commit(&self, branch: &str, says: &str) -> CommitBuilder<'_> {
        let namespace = namespace(&self.name);
        let code = format!(
            "<?php\n\nnamespace {namespace};\n\nfinal class Code\n{{\n    public const SAYS = {says};\n}}\n"
        );
        let manifest = format!("{:#}\n", Value::Object(self.manifest.clone()));
        self.repository
            .commit(branch)
            .file("composer.json", manifest)
            .file("src/Code.php", code)
    }

    /// Commits to `main` and tags the commit, which is returned; the code says the tag.
    pub(super) fn release(&self, tag: &str) -> String {
        let commit = self.commit("main", &format!("'{tag}'")).create();
        self.repository.tag(tag, &commit);
        commit
    }

    /// The archive of a tag in one of git's formats, in one top folder as hosting services make it.
    pub(super) fn archive(&self, tag: &str, format: &str) -> Vec<u8> {
        let output = Command::new("git")
            .args([
                "archive",
                "--prefix=top/",
                &format!("--format={format}"),
                tag,
            ])
            .current_dir(self.repository.path())
            .output()
            .expect("git runs");
        assert!(output.status.success(), "{output:?}");
        output.stdout
    }

    /// Takes the repository away until the returned value is dropped: an older Composer that gets no dist clones it
    /// instead where it can.
    pub(super) fn hide(&self) -> Hidden {
        let (path, away) = (
            self.repository.path(),
            self.repository.path().with_extension("away"),
        );
        fs::rename(&path, &away).expect("the repository is taken away");
        Hidden { path, away }
    }

    /// Its repository's address.
    pub(super) fn url(&self) -> String {
        self.repository.url()
    }
}

/// A repository that is not where it was.
#[derive(Debug)]
pub(super) struct Hidden {
    path: PathBuf,
    away: PathBuf,
}

impl Drop for Hidden {
    fn drop(&mut self) {
        fs::rename(&self.away, &self.path).expect("the repository comes back");
    }
}

/// `acme/big-kit` → `Acme\BigKit`
fn namespace(name: &str) -> String {
    let capitalized = |word: &str| {
        let (first, rest) = word.split_at(1);
        first.to_uppercase() + rest
    };
    let part = |part: &str| part.split('-').map(capitalized).collect::<String>();
    name.split('/').map(part).collect::<Vec<_>>().join("\\")
}

/// What the installed code of a library says, through the project's autoloader.
pub(super) fn says(project: &Project, name: &str) -> String {
    let script = format!(
        "require 'vendor/autoload.php'; echo {}\\Code::SAYS;",
        namespace(name)
    );
    let php = Command::new("php")
        .args(["-r", &script])
        .current_dir(project.path())
        .output()
        .expect("php runs");
    assert!(php.status.success(), "{php:?}");
    String::from_utf8(php.stdout).expect("the code says UTF-8")
}

/// The digest of a package's installed code, which came as a dist.
pub(super) fn installed(project: &Project, name: &str) -> String {
    let clone = project.path().join("vendor").join(name).join(".git");
    assert!(!clone.exists(), "{name} was cloned from its source");
    project.installed_digest(name)
}

/// Installs what the lock file says, with nothing cached and nothing installed.
pub(super) async fn install_anew(project: &Project) {
    project.clear_cache();
    project.remove_vendor();
    project.run(["install"]).await.succeeded();
}
