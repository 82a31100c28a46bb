//! An installation of the test's own, and the commands that run on it.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};

use kapelle_testing::git::GitRepository;
use kapelle_testing::process::Process;
use serde_json::Value;
use tempfile::TempDir;

/// A folder with a data folder in it, and settings for every command.
#[derive(Debug)]
pub(crate) struct Installation {
    folder: TempDir,
    settings: Vec<(&'static str, String)>,
}

/// What a command came to.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Installation {
    /// Local repositories may be added.
    pub(crate) fn new() -> Self {
        let folder = TempDir::new().expect("a temporary folder");
        Self {
            folder,
            settings: Vec::new(),
        }
        .set("KAPELLE_VCS__PROTOCOLS", "file,https")
    }

    /// The same with the organization `acme`.
    pub(crate) async fn with_organization() -> Self {
        let installation = Self::new();
        installation
            .run(&["setup", "--organization", "acme"])
            .await
            .succeeded();
        installation
    }

    /// A setting in the environment.
    pub(crate) fn set(mut self, name: &'static str, value: &str) -> Self {
        self.settings.push((name, value.to_owned()));
        self
    }

    /// A folder beside the data folder, where every command starts.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The data folder.
    pub(crate) fn data(&self) -> PathBuf {
        self.folder.path().join("kapelle-data")
    }

    /// A command, with nothing of the machine's own settings.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        #[expect(
            clippy::disallowed_methods,
            reason = "the binary finds git as the tests do"
        )]
        let path = std::env::var_os("PATH").unwrap_or_default();
        let mut command = Command::new(env!("CARGO_BIN_EXE_kapelle"));
        command
            .args(arguments)
            .current_dir(self.folder())
            .env_clear()
            .env("PATH", path)
            .env("HOME", self.folder())
            .envs(self.settings.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Runs a command to its end.
    pub(crate) async fn run(&self, arguments: &[&str]) -> Ran {
        let mut command = tokio::process::Command::from(self.command(arguments));
        let output = command
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output()
            .await
            .expect("the binary runs");
        Ran {
            status: output.status,
            stdout: String::from_utf8(output.stdout).expect("it writes UTF-8"),
            stderr: String::from_utf8(output.stderr).expect("it writes UTF-8"),
        }
    }

    /// What a command prints with `--json`.
    pub(crate) async fn json(&self, arguments: &[&str]) -> Value {
        let ran = self
            .run(&[arguments, &["--json"]].concat())
            .await
            .succeeded();
        serde_json::from_str(&ran.stdout)
            .unwrap_or_else(|error| panic!("this is not JSON ({error}): {ran:#?}"))
    }

    /// Serves on a free port; gives the process and its URL.
    pub(crate) async fn serve(&self, arguments: &[&str]) -> (Process, String) {
        let arguments = [&["serve", "--listen", "127.0.0.1:0"], arguments].concat();
        let server = Process::start(self.command(&arguments));
        let url = server.url("listening on").await;
        (server, url)
    }
}

impl Ran {
    /// Itself, when the command did what it was told.
    #[track_caller]
    pub(crate) fn succeeded(self) -> Self {
        assert!(self.status.success(), "the command failed: {self:#?}");
        self
    }

    /// Its sentence, when it ended with that code.
    #[track_caller]
    pub(crate) fn refused(self, code: i32) -> String {
        assert_eq!(self.status.code(), Some(code), "{self:#?}");
        self.stderr.trim_end().to_owned()
    }
}

/// A repository of `name` with a release per tag.
pub(crate) fn library(name: &str, tags: &[&str]) -> GitRepository {
    let manifest = format!(r#"{{"name": "{name}", "description": "A library."}}"#);
    let releases: Vec<(&str, &str)> = tags.iter().map(|tag| (*tag, manifest.as_str())).collect();
    GitRepository::with_releases(&releases)
}
