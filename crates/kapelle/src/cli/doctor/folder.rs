//! The doctor's look at the data folder and its disk.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::Check;
use crate::owner::{self, ForeignFolder};
use crate::settings::show_size;

/// Free space below which we warn, and below which we fail, in bytes.
const LITTLE_SPACE: u64 = 2 << 30;
const NO_SPACE: u64 = 100 << 20;

/// Why there is no data folder to look at.
pub(super) fn unusable(error: &anyhow::Error) -> Check {
    match error.downcast_ref::<ForeignFolder>() {
        Some(foreign) => Check::fail("data folder", foreign.finding(), foreign.advice()),
        None => Check::fail(
            "data folder",
            format!("{error:#}"),
            "choose another with --data",
        ),
    }
}

/// Whether it can be written, by nobody else, and everything in it is ours.
pub(super) fn look(data: &Path) -> Check {
    let shown = data.display();
    let change_owner = || format!("chown -R {} {shown}", owner::myself());
    if let Err(error) = tempfile::tempfile_in(data) {
        let finding = format!("{shown} cannot be written: {error}");
        return Check::fail("data folder", finding, change_owner());
    }
    match owner::stranger(data) {
        Ok(None) => {}
        Ok(Some((path, user))) => {
            let finding = format!("{} belongs to {user}", path.display());
            return Check::fail("data folder", finding, change_owner());
        }
        Err(error) => {
            let finding = format!("{shown} cannot be read: {error}");
            return Check::fail("data folder", finding, change_owner());
        }
    }
    match std::fs::metadata(data).map(|about| about.permissions().mode() & 0o077) {
        Ok(0) => Check::ok("data folder", shown.to_string()),
        Ok(_) => Check::warn(
            "data folder",
            format!("{shown} can be opened by other users of this machine"),
            format!("chmod 700 {shown}"),
        ),
        Err(error) => Check::fail("data folder", format!("{shown}: {error}"), change_owner()),
    }
}

/// Whether there is room.
pub(super) fn disk(data: &Path) -> Check {
    let statistics = match rustix::fs::statvfs(data) {
        Ok(statistics) => statistics,
        Err(error) => {
            let finding = format!("its free space is not known: {error}");
            return Check::warn("disk", finding, "look yourself");
        }
    };
    let free = statistics.f_bavail.saturating_mul(statistics.f_frsize);
    let shown = format!("{} free", show_size(round(free)));
    match free {
        0..NO_SPACE => Check::fail("disk", shown, "make room: nothing can be fetched or built"),
        NO_SPACE..LITTLE_SPACE => Check::warn("disk", shown, "make room soon"),
        _ => Check::ok("disk", shown),
    }
}

/// To whole GiB, or MiB where that says too little.
fn round(bytes: u64) -> u64 {
    let unit = if bytes >= 10 << 30 { 1 << 30 } else { 1 << 20 };
    bytes / unit * unit
}
