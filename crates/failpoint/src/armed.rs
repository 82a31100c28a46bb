//! Notes the points that are reached, and kills the process at one of them.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::process::{Signal, getpid, kill_process};

static PLAN: LazyLock<Plan> = LazyLock::new(Plan::from_environment);

struct Plan {
    log: Option<File>,
    kill: Option<Kill>,
}

struct Kill {
    name: String,
    /// How often the point may still be reached, this time included.
    left: AtomicU64,
}

pub(crate) fn reach(name: &str) {
    let plan = &*PLAN;
    if let Some(mut log) = plan.log.as_ref() {
        log.write_all(format!("{name}\n").as_bytes())
            .expect("the file of FAILPOINT_LOG takes lines");
    }
    if let Some(kill) = plan.kill.as_ref().filter(|kill| kill.name == name)
        && kill.left.fetch_sub(1, Ordering::SeqCst) == 1
    {
        kill_process(getpid(), Signal::KILL).expect("a process may kill itself");
        loop {
            std::thread::park();
        }
    }
}

impl Plan {
    fn from_environment() -> Self {
        let log = variable("FAILPOINT_LOG").map(|path| {
            let opened = OpenOptions::new().append(true).create(true).open(path);
            opened.expect("the file of FAILPOINT_LOG can be opened")
        });
        let kill = variable("FAILPOINT_KILL").map(|value| {
            let (number, name) = value
                .split_once(':')
                .expect("FAILPOINT_KILL is NUMBER:NAME");
            Kill {
                name: name.to_owned(),
                left: AtomicU64::new(number.parse().expect("FAILPOINT_KILL begins with a number")),
            }
        });
        Self { log, kill }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "what tests arrange is no setting, and no release reads it"
)]
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}
