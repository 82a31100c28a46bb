//! The doctor's look at the data folder and its disk.

use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use kapelle_registry::Disk;
use kapelle_registry::disk::Watched;

use super::Check;
use crate::owner::{self, ForeignFolder};
use crate::settings::show_size;

/// Free space below which we warn, in bytes.
const LITTLE_SPACE: u64 = 2 << 30;

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

/// Whether there is room on the disks of everything that is kept here.
pub(super) fn disk(disk: &Disk) -> Check {
    if let Some(shortage) = disk.look() {
        let path = shortage.watched.path.display();
        return Check::fail(
            "disk",
            shortage.to_string(),
            format!("make room in {path}, or change limits.free_disk"),
        );
    }
    let mut least: Option<(&Watched, u64)> = None;
    for (watched, space) in disk.survey() {
        match space {
            Ok(space) if least.is_none_or(|(_, free)| space.free < free) => {
                least = Some((watched, space.free));
            }
            // A folder that is not there yet is made on the disk of another one.
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                let finding = format!("the free space of {} is not known: {error}", watched.name);
                return Check::warn("disk", finding, "look yourself");
            }
            _ => {}
        }
    }
    let Some((watched, free)) = least else {
        return Check::warn("disk", "nothing is there yet", "look again after the start");
    };
    let shown = format!("{} free for {}", show_size(round(free)), watched.name);
    if free < LITTLE_SPACE {
        Check::warn("disk", shown, "make room soon")
    } else {
        Check::ok("disk", shown)
    }
}

/// To whole GiB, or MiB where that says too little.
fn round(bytes: u64) -> u64 {
    let unit = if bytes >= 10 << 30 { 1 << 30 } else { 1 << 20 };
    bytes / unit * unit
}
