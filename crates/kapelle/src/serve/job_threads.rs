//! Threads of their own for jobs: they, and every git that they start, give way to requests.

use std::io;

use tokio::runtime::{Builder, Handle, Runtime};

/// How much more readily they give way than other threads, as for the command `nice`: they get a tenth of a busy
/// processor, and all of an idle one.
#[cfg(target_os = "linux")]
const NICE: i32 = 10;
/// The most that there is.
#[cfg(target_os = "linux")]
const NICEST: i32 = 19;

/// Where jobs run.
#[derive(Debug)]
pub(super) struct JobThreads {
    handle: Handle,
    /// None while it is dropped.
    runtime: Option<Runtime>,
}

impl JobThreads {
    /// Starts them.
    pub(super) fn start() -> io::Result<Self> {
        let runtime = Builder::new_multi_thread()
            .thread_name("job")
            .on_thread_start(give_way()?)
            .enable_all()
            .build()?;
        Ok(Self {
            handle: runtime.handle().clone(),
            runtime: Some(runtime),
        })
    }

    /// To spawn tasks on them.
    pub(super) fn handle(&self) -> &Handle {
        &self.handle
    }
}

impl Drop for JobThreads {
    /// Whoever is asked to stop has waited for jobs already, or does not want to wait.
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// What lowers the priority of the thread that calls it, and of all that this one starts, below that of this one.
#[cfg(target_os = "linux")]
fn give_way() -> io::Result<impl Fn()> {
    let lower = (rustix::process::getpriority_process(None)? + NICE).min(NICEST);
    Ok(move || {
        if let Err(error) = rustix::process::setpriority_process(None, lower) {
            tracing::warn!(%error, "jobs do not give way to requests");
        }
    })
}

/// Elsewhere a thread has no priority of its own.
#[cfg(not(target_os = "linux"))]
fn give_way() -> io::Result<impl Fn()> {
    Ok(|| {})
}
