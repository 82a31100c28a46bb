//! A binary under test as a child process: what it announces, its log, its end.

use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::watch;
use tokio::time::timeout;

/// How long a test waits for a line or for an end before it fails with the log.
const PATIENCE: Duration = Duration::from_mins(1);

/// A child process whose two output streams are collected line by line. Dropping it kills it.
#[derive(Debug)]
pub struct Process {
    child: Child,
    lines: watch::Receiver<Vec<String>>,
}

impl Process {
    /// Starts `command` with no input and both outputs captured.
    pub fn start(command: std::process::Command) -> Self {
        let mut command = Command::from(command);
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap_or_else(|error| panic!("{command:?} does not start: {error}"));
        let (sender, lines) = watch::channel(Vec::new());
        let stdout = child.stdout.take().expect("stdout was piped just above");
        let stderr = child.stderr.take().expect("stderr was piped just above");
        tokio::spawn(collect(stdout, sender.clone()));
        tokio::spawn(collect(stderr, sender));
        Self { child, lines }
    }

    /// The first line, of either stream, that contains `text`; waits until it is written.
    ///
    /// Panics with everything written so far when the process closes its outputs first or stays silent for a minute.
    pub async fn line(&self, text: &str) -> String {
        self.line_or_end(text)
            .await
            .unwrap_or_else(|| panic!("it ended without writing {text:?}:\n{}", self.log()))
    }

    /// The same, or `None` when the process closes its outputs first.
    pub async fn line_or_end(&self, text: &str) -> Option<String> {
        let mut lines = self.lines.clone();
        let found = |lines: &Vec<String>| lines.iter().any(|line| line.contains(text));
        let Ok(waited) = timeout(PATIENCE, lines.wait_for(found)).await else {
            panic!("no line with {text:?} after a minute:\n{}", self.log());
        };
        let lines = waited.ok()?;
        lines.iter().find(|line| line.contains(text)).cloned()
    }

    /// The URL in the first line that contains `text`, from its `http` to the next space or quote,
    /// without a slash or full stop at the end: the way a server on a free port tells where it listens.
    pub async fn url(&self, text: &str) -> String {
        url_in(&self.line(text).await)
    }

    /// The same, or `None` when the process closes its outputs first.
    pub async fn url_or_end(&self, text: &str) -> Option<String> {
        self.line_or_end(text).await.as_deref().map(url_in)
    }

    /// Its number, as long as it runs.
    pub fn id(&self) -> Option<u32> {
        self.child.id()
    }

    /// Everything written so far, both streams in the order of arrival.
    pub fn log(&self) -> String {
        self.lines.borrow().join("\n")
    }

    /// Asks the process to end (SIGTERM) and waits until it has.
    pub async fn terminate(mut self) -> Ended {
        self.signal("TERM").await;
        self.end().await
    }

    /// Stops the process where it is (SIGSTOP), as a machine that is suspended would.
    pub async fn pause(&self) {
        self.signal("STOP").await;
    }

    /// Lets a paused process go on (SIGCONT).
    pub async fn resume(&self) {
        self.signal("CONT").await;
    }

    /// Sends a signal by its name, unless the process has ended.
    async fn signal(&self, name: &str) {
        let Some(id) = self.child.id() else {
            return;
        };
        let sent = Command::new("sh")
            .args(["-c", "kill -s \"$1\" \"$2\"", "sh", name, &id.to_string()])
            .status()
            .await
            .expect("a shell to send a signal with");
        assert!(sent.success(), "process {id} took no SIG{name}");
    }

    /// Ends the process at once (SIGKILL), as a crash would.
    pub async fn kill(mut self) -> Ended {
        self.child.start_kill().expect("a child that can be killed");
        self.end().await
    }

    /// Waits until the process ends by itself.
    pub async fn end(&mut self) -> Ended {
        let Ok(status) = timeout(PATIENCE, self.child.wait()).await else {
            panic!("still running after a minute:\n{}", self.log());
        };
        let status = status.expect("the status of a child that ended");
        let mut lines = self.lines.clone();
        // A grandchild may hold the outputs open; what is there after a short wait is the log.
        let closed = async { while lines.changed().await.is_ok() {} };
        let _closed_in_time = timeout(Duration::from_secs(2), closed).await;
        Ended {
            status,
            log: self.log(),
        }
    }
}

fn url_in(line: &str) -> String {
    let start = line
        .find("http://")
        .or_else(|| line.find("https://"))
        .unwrap_or_else(|| panic!("there is no URL in {line:?}"));
    let url = &line[start..];
    let end = url
        .find(|c: char| c.is_whitespace() || "\"',;)\u{1b}".contains(c))
        .unwrap_or(url.len());
    url[..end].trim_end_matches(['/', '.']).to_owned()
}

/// How a process ended, and all that it wrote.
#[derive(Debug)]
pub struct Ended {
    /// Its exit status; killed ones have a signal instead of a code.
    pub status: ExitStatus,
    /// Both streams, in the order of arrival.
    pub log: String,
}

async fn collect(stream: impl AsyncRead + Unpin, into: watch::Sender<Vec<String>>) {
    let mut stream = BufReader::new(stream);
    let mut line = Vec::new();
    // A stream that breaks has ended for the test just as one that is closed.
    while let Ok(1..) = stream.read_until(b'\n', &mut line).await {
        let text = String::from_utf8_lossy(&line).trim_end().to_owned();
        into.send_modify(|all| all.push(text));
        line.clear();
    }
}

/// The same command, begun by another program that then becomes it.
pub fn wrapped(
    program: &str,
    arguments: &[&str],
    command: &std::process::Command,
) -> std::process::Command {
    let mut wrapped = std::process::Command::new(program);
    wrapped
        .args(arguments)
        .arg(command.get_program())
        .args(command.get_args())
        .env_clear()
        .envs(
            command
                .get_envs()
                .filter_map(|(name, value)| Some((name, value?))),
        );
    if let Some(folder) = command.get_current_dir() {
        wrapped.current_dir(folder);
    }
    wrapped
}
