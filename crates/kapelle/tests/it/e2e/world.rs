//! A server of the real binary on a data folder of its own, and the commands that run beside it.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::time::Duration;

use kapelle_testing::process::{Ended, Process};
use serde_json::Value;
use tempfile::TempDir;
use tokio::time::{Instant, interval};

use super::organization::Organization;

/// How long a test waits for what happens in the background.
const PATIENCE: Duration = Duration::from_secs(20);
/// How often it looks.
const PERIOD: Duration = Duration::from_millis(50);

/// An installation: its data folder and its settings, on which any number of commands run.
#[derive(Clone, Debug)]
pub(super) struct Installation {
    data: PathBuf,
    settings: Vec<(String, String)>,
}

/// An installation whose server runs until this is dropped.
#[derive(Debug)]
pub(super) struct World {
    folder: TempDir,
    installation: Installation,
    server: Option<Process>,
    url: String,
}

/// What a command came to.
#[derive(Debug)]
pub(super) struct Ran {
    pub(super) status: ExitStatus,
    pub(super) stdout: String,
    pub(super) stderr: String,
}

impl World {
    /// Serves from the embedded database; every protocol and all of loopback may be used.
    pub(super) async fn start() -> Self {
        Self::with(&[]).await
    }

    /// The same with further settings, or others in place of those: `("KAPELLE_VCS__MAX_REFS", "3")`.
    pub(super) async fn with(settings: &[(&str, &str)]) -> Self {
        Self::serving(settings, &[]).await
    }

    /// The same with further arguments of `serve`.
    pub(super) async fn serving(settings: &[(&str, &str)], arguments: &[&str]) -> Self {
        let folder = TempDir::new().expect("a temporary folder");
        let usual = [
            ("KAPELLE_VCS__PROTOCOLS", "https,http,ssh,git,file"),
            ("KAPELLE_NETWORK__ALLOW", "127.0.0.0/8"),
        ];
        let settings = usual.iter().chain(settings);
        let installation = Installation {
            data: folder.path().join("data"),
            settings: settings
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
        };
        let mut world = Self {
            folder,
            installation,
            server: None,
            url: "http://127.0.0.1:0".to_owned(),
        };
        world.serve(arguments).await;
        world
    }

    /// Starts the server, on the port that it had before.
    pub(super) async fn serve(&mut self, arguments: &[&str]) {
        let address = self.url.trim_start_matches("http://").to_owned();
        let mut command = self.installation.command(&["serve", "--listen", &address]);
        command.args(arguments);
        let server = Process::start(command);
        self.url = server.url("listening on").await;
        self.server = Some(server);
    }

    /// Asks the server to end and waits until it has.
    pub(super) async fn stop(&mut self) -> Ended {
        let server = self.server.take().expect("a server that runs");
        let ended = server.terminate().await;
        assert!(ended.status.success(), "{ended:?}");
        ended
    }

    /// Ends the server at once, as a crash would.
    pub(super) async fn kill(&mut self) {
        let server = self.server.take().expect("a server that runs");
        server.kill().await;
    }

    /// The commands beside the server.
    pub(super) fn installation(&self) -> &Installation {
        &self.installation
    }

    /// A folder of the test's own.
    pub(super) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The URL of a path that begins with a slash.
    pub(super) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.url)
    }

    /// What the server has written so far.
    pub(super) fn log(&self) -> String {
        self.server.as_ref().map(Process::log).unwrap_or_default()
    }

    /// A new organization.
    pub(super) async fn organization(&self, name: &str) -> Organization {
        Organization::set_up(&self.installation, name).await
    }
}

/// Every test ends with a look at the whole installation, while its server runs if it does.
impl Drop for World {
    fn drop(&mut self) {
        // A test that has failed already says what is wrong by itself.
        if !std::thread::panicking() {
            self.installation.verify();
        }
    }
}

impl Installation {
    /// Fails when `kapelle verify` finds something broken.
    pub(super) fn verify(&self) {
        let verified = self.command(&["verify"]).output();
        let verified = verified.expect("the binary runs");
        assert!(
            verified.status.success(),
            "{}\n{}",
            String::from_utf8_lossy(&verified.stdout),
            String::from_utf8_lossy(&verified.stderr)
        );
    }

    /// A command on this installation, with nothing of the machine's or the developer's own settings.
    pub(super) fn command(&self, arguments: &[&str]) -> Command {
        #[expect(
            clippy::disallowed_methods,
            reason = "the binary finds git and ssh as the tests do"
        )]
        let path = std::env::var_os("PATH").unwrap_or_default();
        let mut command = Command::new(env!("CARGO_BIN_EXE_kapelle"));
        command
            .args(arguments)
            .env_clear()
            .env("PATH", path)
            .env("LANG", "C.UTF-8")
            .env("HOME", self.data.with_file_name("home"))
            .env("KAPELLE_DATA", &self.data)
            .envs(self.settings.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Runs a command to its end.
    pub(super) async fn run(&self, arguments: &[&str]) -> Ran {
        self.run_with_input(arguments, "").await
    }

    /// The same with text on standard input.
    pub(super) async fn run_with_input(&self, arguments: &[&str], input: &str) -> Ran {
        let file = tempfile::NamedTempFile::new().expect("a file for the input");
        std::fs::write(file.path(), input).expect("the input is written");
        let mut command = self.command(arguments);
        command.stdin(file.reopen().expect("the input is read"));
        let output = tokio::process::Command::from(command)
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

    /// The data folder.
    pub(super) fn data(&self) -> &Path {
        &self.data
    }
}

impl Ran {
    /// Itself, when the command did what it was told.
    #[track_caller]
    pub(super) fn succeeded(self) -> Self {
        assert!(self.status.success(), "the command failed: {self:#?}");
        self
    }

    /// Its sentence, when it ended with that code.
    #[track_caller]
    pub(super) fn refused(self, code: i32) -> String {
        assert_eq!(self.status.code(), Some(code), "{self:#?}");
        self.stderr
    }

    /// What it printed, with `--json`.
    #[track_caller]
    pub(super) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|error| panic!("this is not JSON ({error}): {self:#?}"))
    }
}

/// Asks again and again until there is an answer; fails when there is none after a while.
pub(super) async fn eventually<T>(what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    let mut ticks = interval(PERIOD);
    loop {
        ticks.tick().await;
        if let Some(answer) = ask().await {
            return answer;
        }
        assert!(Instant::now() < deadline, "in vain waited for {what}");
    }
}
