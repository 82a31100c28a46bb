//! The one place that starts git: its environment, its configuration, its limits.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use kapelle_failpoint::reach;

use crate::classify;
use crate::error::VcsError;
use crate::git::{Git, GitConfig};
use crate::process::{Group, Stopped, attend};
use crate::text;

/// A git command before it is started.
///
/// It sees nothing of our environment and of the machine's git configuration. Everything that is secret or comes from
/// others goes by environment variables and standard input, never by argument; the arguments end in `--` and a URL
/// that was parsed and rebuilt.
pub(crate) struct GitCommand {
    command: Command,
    binary: String,
    home: PathBuf,
    /// The subcommand: `fetch`.
    verb: String,
    /// For sentences: "list the refs of …".
    doing: String,
    config: Vec<(String, String)>,
    secrets: Vec<String>,
    input: Vec<u8>,
    stdout: Option<File>,
    largest_file: Option<u64>,
    most_memory: u64,
    limit: Duration,
}

/// What a command left behind.
pub(crate) struct Finished {
    pub(crate) success: bool,
    /// `None` if a signal ended it.
    pub(crate) code: Option<i32>,
    pub(crate) stdout: Vec<u8>,
    /// Without secrets and control characters.
    pub(crate) stderr: String,
}

/// Settings of every git command. What each is for:
/// - no hook, no monitor, no credential helper, no signature program, no pager is ever run;
/// - a redirect is never followed by git itself, and a server cannot send git elsewhere (bundle URIs, http-alternates);
/// - a transfer that stalls for five minutes ends (a busy server sends a byte a second meanwhile);
/// - nothing is collected or repacked behind our back;
/// - line ends are those of the repository, whatever machine we run on;
/// - memory stays bounded: two threads, and large files are streamed;
/// - what arrives stays packed, however little it is: unpacked, a small pack could fill the disk.
///
/// Objects are not put through fsck: a mirror is never checked out and never served, git verifies hashes and
/// connectivity anyway, and a stricter look would lose packages with harmless flaws in their old history.
const SETTINGS: &[(&str, &str)] = &[
    ("core.hooksPath", "/dev/null"),
    ("core.fsmonitor", "false"),
    ("core.attributesFile", "/dev/null"),
    ("core.excludesFile", "/dev/null"),
    ("core.pager", "cat"),
    ("core.autocrlf", "false"),
    ("core.eol", "lf"),
    ("core.logAllRefUpdates", "false"),
    ("core.bigFileThreshold", "16m"),
    ("core.deltaBaseCacheLimit", "64m"),
    ("core.packedGitLimit", "512m"),
    ("pack.threads", "2"),
    ("pack.windowMemory", "128m"),
    ("gc.auto", "0"),
    ("maintenance.auto", "false"),
    ("credential.helper", ""),
    ("gpg.program", "false"),
    ("gpg.openpgp.program", "false"),
    ("gpg.x509.program", "false"),
    ("gpg.ssh.program", "false"),
    ("protocol.version", "2"),
    ("transfer.bundleURI", "false"),
    ("transfer.credentialsInUrl", "die"),
    ("transfer.fsckObjects", "false"),
    ("fetch.uriProtocols", ""),
    ("fetch.unpackLimit", "1"),
    ("fetch.recurseSubmodules", "false"),
    ("fetch.writeCommitGraph", "false"),
    ("fetch.showForcedUpdates", "false"),
    ("submodule.recurse", "false"),
    ("http.followRedirects", "false"),
    ("http.proxy", ""),
    ("http.lowSpeedLimit", "1"),
    ("http.lowSpeedTime", "300"),
    ("tar.umask", "0022"),
    ("color.ui", "false"),
    ("advice.fetchShowForcedUpdates", "false"),
];

impl GitCommand {
    /// `git` with the given arguments, none of which may come from others.
    pub(crate) fn new(git: &Git, doing: impl Into<String>, arguments: &[&str]) -> Self {
        let config = git.config();
        let mut command = Command::new(found(config));
        command
            .args(arguments)
            .current_dir(git.home())
            .env_clear()
            .envs(fixed_environment(config))
            .env("HOME", git.home());
        Group::prepare(&mut command);
        let mut settings: Vec<_> = SETTINGS
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect();
        if let Some(file) = &config.ca_bundle {
            settings.push(("http.sslCAInfo".to_owned(), file.display().to_string()));
        }
        Self {
            command,
            binary: config.binary.display().to_string(),
            home: git.home(),
            verb: arguments.first().copied().unwrap_or_default().to_owned(),
            doing: doing.into(),
            config: settings,
            secrets: Vec::new(),
            input: Vec::new(),
            stdout: None,
            largest_file: None,
            most_memory: config.max_memory,
            limit: config.read_timeout,
        }
    }

    /// Works on this bare repository.
    pub(crate) fn repository(self, path: &Path) -> Self {
        self.env("GIT_DIR", path)
    }

    /// One more argument, which must not be able to begin with "-".
    pub(crate) fn argument(mut self, argument: impl AsRef<OsStr>) -> Self {
        self.command.arg(argument);
        self
    }

    pub(crate) fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// Configuration for this command only; it goes by the environment, so it may be secret.
    pub(crate) fn settings(mut self, settings: impl IntoIterator<Item = (String, String)>) -> Self {
        self.config.extend(settings);
        self
    }

    /// Texts to mask in what git says.
    pub(crate) fn secrets(mut self, secrets: &[String]) -> Self {
        self.secrets.extend_from_slice(secrets);
        self
    }

    /// What git reads from standard input.
    pub(crate) fn input(mut self, input: Vec<u8>) -> Self {
        self.input = input;
        self
    }

    /// Standard output is this file instead of being read.
    pub(crate) fn output_to(mut self, file: File) -> Self {
        self.stdout = Some(file);
        self
    }

    pub(crate) fn limit(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// No file that git writes becomes larger.
    pub(crate) fn largest_file(mut self, bytes: u64) -> Self {
        self.largest_file = Some(bytes);
        self
    }

    pub(crate) fn doing(&self) -> &str {
        &self.doing
    }

    /// For those who start it themselves: it runs.
    pub(crate) fn started(&self) {
        reach(format_args!("git {} started", self.verb));
    }

    /// Runs it and collects its output, which may be `max_output` bytes long.
    pub(crate) async fn run(self, max_output: usize) -> Result<Finished, VcsError> {
        let mut stdout = Vec::new();
        let subject = format!("git's answer when it was to {}", self.doing);
        let mut finished = self
            .stream(|piece| {
                if stdout.len() + piece.len() > max_output {
                    let limit = max_output as u64;
                    let subject = subject.clone();
                    return Err(VcsError::TooLarge { subject, limit });
                }
                stdout.extend_from_slice(piece);
                Ok(())
            })
            .await?;
        finished.stdout = stdout;
        Ok(finished)
    }

    /// Runs it and hands over its output piece by piece; an error of `sink` ends it.
    pub(crate) async fn stream(
        mut self,
        sink: impl FnMut(&[u8]) -> Result<(), VcsError>,
    ) -> Result<Finished, VcsError> {
        let stdout = self.stdout.take().map_or_else(Stdio::piped, Stdio::from);
        let mut command = tokio::process::Command::from(self.ready());
        command
            .stdin(Stdio::piped())
            .stdout(stdout)
            .stderr(Stdio::piped());
        let child = command.spawn().map_err(|error| self.not_started(error))?;
        drop(command);
        let group = Group::of(child.id());
        self.started();
        self.cap(&group).map_err(|error| self.failed(error))?;
        let input = std::mem::take(&mut self.input);
        match attend(child, group, input, self.limit, sink).await {
            Ok(ended) => {
                let stderr = text::clean(&ended.stderr, &self.secrets);
                tracing::debug!(doing = self.doing, status = %ended.status, "git ended");
                reach(format_args!("git {} ended", self.verb));
                if !ended.status.success() {
                    classify::memory(&self.doing, &stderr, self.most_memory)?;
                }
                Ok(Finished {
                    success: ended.status.success(),
                    code: ended.status.code(),
                    stdout: Vec::new(),
                    stderr,
                })
            }
            Err(Stopped::Refused(error)) => Err(error),
            Err(Stopped::Failed(error)) => Err(self.failed(error)),
            Err(Stopped::Late) => Err(VcsError::TimedOut {
                doing: self.doing,
                limit: self.limit,
            }),
        }
    }

    /// Holds what was started to the limits of files and memory.
    pub(crate) fn cap(&self, group: &Group) -> io::Result<()> {
        group.cap_memory(self.most_memory)?;
        match self.largest_file {
            Some(bytes) => group.cap_files(bytes),
            None => Ok(()),
        }
    }

    /// The command with its configuration in the environment, for those who start it themselves.
    pub(crate) fn ready(&mut self) -> Command {
        let nothing = Command::new("false");
        let mut command = std::mem::replace(&mut self.command, nothing);
        command.env("GIT_CONFIG_COUNT", self.config.len().to_string());
        for (at, (key, value)) in self.config.iter().enumerate() {
            command.env(format!("GIT_CONFIG_KEY_{at}"), key);
            command.env(format!("GIT_CONFIG_VALUE_{at}"), value);
        }
        command
    }

    pub(crate) fn not_started(&self, source: io::Error) -> VcsError {
        if source.kind() == io::ErrorKind::NotFound && self.home.exists() {
            let binary = self.binary.clone();
            return VcsError::GitMissing { binary, source };
        }
        self.failed(source)
    }

    fn failed(&self, source: io::Error) -> VcsError {
        VcsError::Io {
            doing: self.doing.clone(),
            source,
        }
    }
}

/// Where git is. By a mere name, to be looked for in a `PATH` that is not ours, the standard library can start a program
/// only by forking: that copies the page tables of a whole server.
fn found(config: &GitConfig) -> PathBuf {
    if config.binary.components().count() > 1 {
        return config.binary.clone();
    }
    std::env::split_paths(&config.path)
        .filter(|folder| folder.is_absolute())
        .map(|folder| folder.join(&config.binary))
        .find(|file| file.is_file())
        .unwrap_or_else(|| config.binary.clone())
}

/// The whole environment of git, but for its home and its configuration.
fn fixed_environment(config: &GitConfig) -> Vec<(&'static str, &OsStr)> {
    let plain = [
        ("LC_ALL", "C"),
        ("TZ", "UTC"),
        ("GIT_CONFIG_NOSYSTEM", "1"),
        ("GIT_CONFIG_GLOBAL", "/dev/null"),
        ("GIT_ATTR_NOSYSTEM", "1"),
        ("GIT_TERMINAL_PROMPT", "0"),
        ("GIT_ASKPASS", ""),
        ("SSH_ASKPASS", ""),
        ("SSH_ASKPASS_REQUIRE", "never"),
        ("GIT_ALLOW_PROTOCOL", ""),
        ("GIT_PROTOCOL_FROM_USER", "0"),
        ("GIT_LFS_SKIP_SMUDGE", "1"),
        ("GIT_NO_LAZY_FETCH", "1"),
        ("GIT_NO_REPLACE_OBJECTS", "1"),
        ("GIT_OPTIONAL_LOCKS", "0"),
    ];
    plain
        .into_iter()
        .map(|(name, value)| (name, OsStr::new(value)))
        .chain([("PATH", config.path.as_os_str())])
        .collect()
}
