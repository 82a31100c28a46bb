//! The git daemon, for `git://` URLs.

use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::git::exec_path;

/// The git daemon on a free loopback port. Dropping it kills it.
#[derive(Debug)]
pub struct GitDaemon {
    port: u16,
    child: Child,
}

impl GitDaemon {
    /// Serves every repository below a folder. Returns when it accepts connections.
    pub fn start(folder: &Path) -> Self {
        for _ in 0..10 {
            if let Some(daemon) = Self::try_start(folder) {
                return daemon;
            }
        }
        panic!("git daemon does not start: is git installed, with git-daemon?");
    }

    /// `git://127.0.0.1:port/path`
    pub fn url(&self, path: &str) -> String {
        format!("git://127.0.0.1:{}/{path}", self.port)
    }

    /// It cannot choose a port itself, and the free one may be taken before it starts.
    fn try_start(folder: &Path) -> Option<Self> {
        let free = TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
        let port = free.local_addr().expect("it is bound").port();
        drop(free);
        let mut command = Command::new(exec_path().join("git-daemon"));
        let mut child = command
            .args([
                "--verbose",
                "--export-all",
                "--reuseaddr",
                "--informative-errors",
            ])
            .args(["--listen=127.0.0.1", &format!("--port={port}")])
            .arg(format!("--base-path={}", folder.display()))
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("git-daemon is installed");
        let stderr = child.stderr.take().expect("stderr was piped just above");
        let daemon = Self { port, child };
        let mut lines = BufReader::new(stderr).lines().map_while(Result::ok);
        let ready = lines.any(|line| line.contains("Ready to rumble"));
        // It goes on talking; a full pipe would stop it.
        std::thread::spawn(move || lines.for_each(drop));
        ready.then_some(daemon)
    }
}

impl Drop for GitDaemon {
    fn drop(&mut self) {
        // It may have ended by itself; either way nothing is left after this.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
