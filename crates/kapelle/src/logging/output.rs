//! Standard error, where lines about requests wait up to a quarter of a second to be written together.
//!
//! A write per request would cost more than finding the answer. Every other line is written at once, after those that wait.

use std::io::{self, Write};
use std::sync::{Condvar, Mutex, Once, PoisonError};
use std::time::Duration;

/// How long a line waits at most.
const PATIENCE: Duration = Duration::from_millis(250);
/// Past this many bytes, who adds a line writes them all, if nobody is about to.
const FULL: usize = 1 << 20;
/// Past this many bytes, lines about requests are lost: nobody reads them, and requests do not wait for that.
const LOST: usize = 8 << 20;

/// What waits, and who is told that something does.
static WAITING: Mutex<Vec<u8>> = Mutex::new(Vec::new());
static SOMETHING_WAITS: Condvar = Condvar::new();
/// What is on its way, so that lines keep their order; its room is used again.
static WRITING: Mutex<Vec<u8>> = Mutex::new(Vec::new());
static WRITER: Once = Once::new();

/// Adds a line, to be written soon.
pub(super) fn add(line: &[u8]) {
    WRITER.call_once(|| {
        let started = std::thread::Builder::new()
            .name("log".to_owned())
            .spawn(write_for_ever);
        if let Err(error) = started {
            tracing::warn!(%error, "there is no thread for the log: it is written with delay");
        }
    });
    let mut waiting = WAITING.lock().unwrap_or_else(PoisonError::into_inner);
    let (first, full) = (waiting.is_empty(), waiting.len() >= FULL);
    if waiting.len() >= LOST {
        metrics::counter!("kapelle_log_lines_lost_total").increment(1);
        return;
    }
    waiting.extend_from_slice(line);
    drop(waiting);
    if !full {
        if first {
            SOMETHING_WAITS.notify_one();
        }
    } else if let Ok(mut lines) = WRITING.try_lock() {
        write(&mut lines);
    }
}

/// Writes what waits. A log that cannot be written has nowhere to say so.
pub(crate) fn flush() {
    write(&mut WRITING.lock().unwrap_or_else(PoisonError::into_inner));
}

fn write(lines: &mut Vec<u8>) {
    let mut waiting = WAITING.lock().unwrap_or_else(PoisonError::into_inner);
    std::mem::swap(&mut *waiting, lines);
    drop(waiting);
    let _ = io::stderr().write_all(lines);
    lines.clear();
}

fn write_for_ever() {
    loop {
        let waiting = WAITING.lock().unwrap_or_else(PoisonError::into_inner);
        let woken = SOMETHING_WAITS.wait_while(waiting, |waiting| waiting.is_empty());
        drop(woken.unwrap_or_else(PoisonError::into_inner));
        std::thread::sleep(PATIENCE);
        flush();
    }
}

/// Writes at once, after what waits.
pub(super) struct Direct;

impl Write for Direct {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        flush();
        io::stderr().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}
