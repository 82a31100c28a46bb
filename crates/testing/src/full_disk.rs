//! Disks that are full or read-only to one process: what works for root as well as for everybody else.
//!
//! A real disk cannot be filled in a test. A limit on the size of files fails as a full disk does, in the middle of a
//! write, and can be taken back while the process runs.

use std::process::Command;

use rustix::process::{Pid, Resource, Rlimit, geteuid, prlimit};

use crate::process::{Process, wrapped};

/// The same command, but a write that is refused for its place in the file fails instead of ending the process.
pub fn enduring(command: &Command) -> Command {
    wrapped("sh", &["-c", "trap '' XFSZ; exec \"$@\"", "sh"], command)
}

/// The same command without root's right to write where nobody may.
pub fn unprivileged(command: &Command) -> Command {
    if geteuid().is_root() {
        let rights = "--bounding-set=-dac_override,-dac_read_search";
        wrapped("setpriv", &[rights, "--"], command)
    } else {
        wrapped("env", &["--"], command)
    }
}

impl Process {
    /// From now on it, and what it starts, can write no file beyond this size; `None`: the disk has room again. Start it
    /// with an [enduring] command.
    pub fn limit_files(&self, bytes: Option<u64>) {
        let id = self
            .id()
            .and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
        let limit = Rlimit {
            current: bytes,
            maximum: None,
        };
        prlimit(id, Resource::Fsize, limit).expect("a limit of our own child can be set");
    }
}
