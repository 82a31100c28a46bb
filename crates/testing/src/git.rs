//! Fixture repositories, made with the real git and fixed dates: the same steps give the same commits.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicI64, Ordering};

use tempfile::TempDir;

/// The date of the first commit: 2023-11-14 22:13:20 UTC. Each following one is a minute later.
pub const FIRST_COMMIT_SECONDS: i64 = 1_700_000_000;

/// A bare repository in a temporary folder, with `main` as its default branch.
#[derive(Debug)]
pub struct GitRepository {
    folder: TempDir,
    next_date: AtomicI64,
}

impl Default for GitRepository {
    fn default() -> Self {
        Self::new()
    }
}

impl GitRepository {
    /// An empty repository.
    pub fn new() -> Self {
        let repository = Self {
            folder: tempfile::tempdir().expect("a temporary folder can be made"),
            next_date: AtomicI64::new(FIRST_COMMIT_SECONDS),
        };
        let path = repository.path();
        std::fs::create_dir(&path).expect("the folder is new and empty");
        repository.git(&["init", "--quiet", "--bare", "--initial-branch=main", "."]);
        repository
    }

    /// A repository with one tagged commit per pair of tag and composer.json, on `main`.
    pub fn with_releases(releases: &[(&str, &str)]) -> Self {
        let repository = Self::new();
        for (tag, composer_json) in releases {
            repository.release(tag, composer_json);
        }
        repository
    }

    /// Where it is: `…/repository.git`.
    pub fn path(&self) -> PathBuf {
        self.folder.path().join("repository.git")
    }

    /// Its address for those who may read local files.
    pub fn url(&self) -> String {
        format!("file://{}", self.path().display())
    }

    /// Commits a composer.json to `main` and tags it lightly; returns the commit.
    pub fn release(&self, tag: &str, composer_json: &str) -> String {
        let commit = self
            .commit("main")
            .file("composer.json", composer_json)
            .create();
        self.tag(tag, &commit);
        commit
    }

    /// Prepares a commit on top of a branch, which is created when missing.
    pub fn commit<'a>(&'a self, branch: &str) -> CommitBuilder<'a> {
        let branch = format!("refs/heads/{branch}");
        let parent = self.resolve(&branch);
        CommitBuilder {
            repository: self,
            branch,
            parent,
            message: "A change".to_owned(),
            changes: Vec::new(),
        }
    }

    /// Sets a light tag, moving it if it exists.
    pub fn tag(&self, name: &str, commit: &str) {
        self.set_ref(&format!("refs/tags/{name}"), commit);
    }

    /// Sets an annotated tag, moving it if it exists; returns the tag's own object name.
    pub fn annotated_tag(&self, name: &str, commit: &str) -> String {
        let date = self.next_date.load(Ordering::Relaxed);
        let tag = format!(
            "object {commit}\ntype commit\ntag {name}\ntagger Tester <tester@example.com> {date} +0000\n\n{name}\n"
        );
        let oid = self.git_with_input(
            &["hash-object", "-t", "tag", "-w", "--stdin"],
            tag.as_bytes(),
        );
        self.tag(name, &oid);
        oid
    }

    /// Sets a branch, moving it if it exists.
    pub fn branch(&self, name: &str, commit: &str) {
        self.set_ref(&format!("refs/heads/{name}"), commit);
    }

    /// Sets a ref by its full name, moving it whatever it was.
    pub fn set_ref(&self, name: &str, oid: &str) {
        let input = format!("update {name}\0{oid}\0\0");
        self.git_with_input(&["update-ref", "--stdin", "-z"], input.as_bytes());
    }

    /// Writes a ref by hand, so that it may have a name that git would refuse to make.
    pub fn set_odd_ref(&self, name: &str, oid: &str) {
        self.git(&["pack-refs", "--all"]);
        let path = self.path().join("packed-refs");
        let text = std::fs::read_to_string(&path).unwrap_or_default();
        let mut lines: Vec<_> = text.lines().filter(|line| !line.starts_with('#')).collect();
        let line = format!("{oid} {name}");
        lines.push(&line);
        lines.sort_by_key(|line| line.get(41..).unwrap_or_default().to_owned());
        // Without the header that promises an order, git sorts for itself.
        std::fs::write(path, lines.join("\n") + "\n").expect("packed-refs can be written");
    }

    /// Deletes a ref by its full name.
    pub fn delete_ref(&self, name: &str) {
        let input = format!("delete {name}\0\0");
        self.git_with_input(&["update-ref", "--stdin", "-z"], input.as_bytes());
    }

    /// Makes another branch the default.
    pub fn set_default_branch(&self, name: &str) {
        self.git(&["symbolic-ref", "HEAD", &format!("refs/heads/{name}")]);
    }

    /// The object a ref is at, if there is such a ref.
    pub fn resolve(&self, name: &str) -> Option<String> {
        let output = self
            .command(&["rev-parse", "--quiet", "--verify", name])
            .output()
            .expect("git is installed");
        let oid = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        output.status.success().then_some(oid)
    }

    /// Runs git in the repository and returns what it prints, without the last line end. Panics if it fails.
    pub fn git(&self, arguments: &[&str]) -> String {
        self.git_with_input(arguments, b"")
    }

    /// The same with standard input.
    pub fn git_with_input(&self, arguments: &[&str], input: &[u8]) -> String {
        run(self.command(arguments), input)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = git_command();
        command.args(arguments).current_dir(self.path());
        command
    }
}

/// What a commit changes against its parent.
#[derive(Debug)]
#[must_use = "nothing is committed before `create`"]
pub struct CommitBuilder<'a> {
    repository: &'a GitRepository,
    branch: String,
    parent: Option<String>,
    message: String,
    changes: Vec<Change>,
}

#[derive(Debug)]
enum Change {
    Content {
        mode: &'static str,
        path: String,
        content: Vec<u8>,
    },
    Submodule {
        path: String,
        commit: String,
    },
    Remove {
        path: String,
    },
}

impl CommitBuilder<'_> {
    /// Writes a file.
    pub fn file(self, path: &str, content: impl AsRef<[u8]>) -> Self {
        self.content("100644", path, content.as_ref())
    }

    /// Writes an executable file.
    pub fn executable(self, path: &str, content: impl AsRef<[u8]>) -> Self {
        self.content("100755", path, content.as_ref())
    }

    /// Writes a symbolic link.
    pub fn symlink(self, path: &str, target: &str) -> Self {
        self.content("120000", path, target.as_bytes())
    }

    /// Writes a submodule at a commit of another repository.
    pub fn submodule(mut self, path: &str, commit: &str) -> Self {
        self.changes.push(Change::Submodule {
            path: path.to_owned(),
            commit: commit.to_owned(),
        });
        self
    }

    /// Removes a file or folder.
    pub fn remove(mut self, path: &str) -> Self {
        self.changes.push(Change::Remove {
            path: path.to_owned(),
        });
        self
    }

    /// The commit's message.
    pub fn message(mut self, message: &str) -> Self {
        message.clone_into(&mut self.message);
        self
    }

    /// Another parent than the branch's commit: a force-push.
    pub fn onto(mut self, parent: &str) -> Self {
        self.parent = Some(parent.to_owned());
        self
    }

    /// No parent and no files but its own: history that was rewritten from the start.
    pub fn orphan(mut self) -> Self {
        self.parent = None;
        self
    }

    /// Makes the commit, moves the branch to it, and returns its object name.
    pub fn create(self) -> String {
        let date = self.repository.next_date.fetch_add(60, Ordering::Relaxed);
        let mut stream = format!(
            "commit {}\ncommitter Tester <tester@example.com> {date} +0000\ndata {}\n{}\n",
            self.branch,
            self.message.len(),
            self.message
        )
        .into_bytes();
        let mut line = String::new();
        if let Some(parent) = &self.parent {
            writeln!(line, "from {parent}").expect("a string takes everything");
        }
        stream.extend_from_slice(line.as_bytes());
        for change in &self.changes {
            change.write(&mut stream);
        }
        let arguments = ["fast-import", "--quiet", "--force", "--date-format=raw"];
        self.repository.git_with_input(&arguments, &stream);
        self.repository
            .resolve(&self.branch)
            .expect("fast-import has set the branch")
    }

    fn content(mut self, mode: &'static str, path: &str, content: &[u8]) -> Self {
        self.changes.push(Change::Content {
            mode,
            path: path.to_owned(),
            content: content.to_owned(),
        });
        self
    }
}

impl Change {
    /// In the language of `git fast-import`.
    fn write(&self, stream: &mut Vec<u8>) {
        match self {
            Self::Content {
                mode,
                path,
                content,
            } => {
                let head = format!("M {mode} inline {}\ndata {}\n", quoted(path), content.len());
                stream.extend_from_slice(head.as_bytes());
                stream.extend_from_slice(content);
                stream.push(b'\n');
            }
            Self::Submodule { path, commit } => {
                stream
                    .extend_from_slice(format!("M 160000 {commit} {}\n", quoted(path)).as_bytes());
            }
            Self::Remove { path } => {
                stream.extend_from_slice(format!("D {}\n", quoted(path)).as_bytes());
            }
        }
    }
}

/// git without the machine's and the user's configuration.
pub(crate) fn git_command() -> Command {
    let mut command = Command::new("git");
    for name in [
        "GIT_DIR",
        "GIT_WORK_TREE",
        "GIT_INDEX_FILE",
        "GIT_OBJECT_DIRECTORY",
    ] {
        command.env_remove(name);
    }
    command
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("LC_ALL", "C");
    command
}

/// Runs a command to its end and returns what it prints. Panics with everything it said if it fails.
pub(crate) fn run(mut command: Command, input: &[u8]) -> String {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{command:?} does not start: {error}"));
    let mut stdin = child.stdin.take().expect("stdin was piped just above");
    // A command that ends without reading tells why below.
    let written = stdin.write_all(input);
    drop(stdin);
    let output = child.wait_with_output().expect("the child was started");
    assert!(
        output.status.success(),
        "{command:?} failed ({written:?}): {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout)
        .trim_end()
        .to_owned()
}

/// A path as `git fast-import` takes it, whatever it contains.
fn quoted(path: &str) -> String {
    let escaped = path
        .replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n");
    format!("\"{escaped}\"")
}

/// A folder on the way to a program of git's own, such as `git-daemon`.
pub(crate) fn exec_path() -> PathBuf {
    let mut command = git_command();
    command.arg("--exec-path");
    Path::new(&run(command, b"")).to_owned()
}
