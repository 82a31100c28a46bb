//! Real Composer in end-to-end tests: the executables, and what a run of one came to.

mod project;

use std::path::PathBuf;
use std::process::ExitStatus;

use tokio::process::Command;

pub use self::project::Project;

/// Names further Composer executables or phars, separated by `:`, for the same tests.
const OTHERS: &str = "KAPELLE_TEST_COMPOSERS";

/// One Composer: Debian's, or one that the environment names.
#[derive(Debug, Clone)]
pub struct Composer {
    program: PathBuf,
}

impl Composer {
    /// The `composer` on `PATH`, then those that `KAPELLE_TEST_COMPOSERS` names.
    pub fn all() -> Vec<Self> {
        #[expect(
            clippy::disallowed_methods,
            reason = "tests are told by the environment, they have no configuration file"
        )]
        let others = std::env::var(OTHERS).unwrap_or_default();
        let others = others.split(':').filter(|path| !path.is_empty());
        std::iter::once("composer")
            .chain(others)
            .map(|program| Self {
                program: program.into(),
            })
            .collect()
    }

    /// What a failure message calls it.
    pub fn name(&self) -> String {
        self.program.display().to_string()
    }

    /// `timeout` ends the whole process group of a Composer that waits for something for ever.
    fn command(&self) -> Command {
        let mut command = Command::new("timeout");
        command.args(["--kill-after=5s", "180s"]);
        if self.program.extension().is_some_and(|end| end == "phar") {
            command.arg("php");
        }
        command.arg(&self.program);
        command
    }
}

/// What a run of Composer came to.
#[derive(Debug)]
pub struct Output {
    /// Its exit status; 124 when it was ended after three minutes.
    pub status: ExitStatus,
    /// What was asked for.
    pub stdout: String,
    /// Progress, warnings and errors.
    pub stderr: String,
}

#[expect(
    clippy::return_self_not_must_use,
    reason = "both are assertions; what they return is for those who look further"
)]
impl Output {
    /// Itself, when Composer succeeded; otherwise the test fails with all that was written.
    #[track_caller]
    pub fn succeeded(self) -> Self {
        assert!(self.status.success(), "Composer failed:\n{self}");
        self
    }

    /// Itself, when Composer failed; otherwise the test fails with all that was written.
    #[track_caller]
    pub fn failed(self) -> Self {
        assert!(!self.status.success(), "Composer succeeded:\n{self}");
        self
    }

    /// The HTTP status and URL of every answer, in order; only `-vvv` makes Composer write them.
    pub fn answers(&self) -> Vec<(u16, String)> {
        let answer = |line: &str| {
            let (status, url) = line.trim().strip_prefix('[')?.split_once("] http")?;
            Some((status.parse().ok()?, format!("http{url}")))
        };
        self.stderr.lines().filter_map(answer).collect()
    }
}

impl std::fmt::Display for Output {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "{}", self.status)?;
        writeln!(f, "--- stdout\n{}", self.stdout)?;
        write!(f, "--- stderr\n{}", self.stderr)
    }
}
