//! Room on the disks: below a reserve, nothing is written but what it takes to go on reading and to stop in good order.
//!
//! A disk that is full to the last byte fails in the middle of anything, and what could not be noted then is not known
//! later. So the writing ends while there is still room, and begins again by itself when there is enough.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwapOption;
use kapelle_storage::StorageError;

use crate::registry::Registry;

/// A disk's size as `df` counts it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Space {
    /// Bytes that we may still write.
    pub free: u64,
    /// Bytes that are used or free for us.
    pub total: u64,
}

/// Where the sizes of disks come from.
#[derive(Clone, Debug)]
pub enum Probe {
    /// The operating system.
    System,
    /// What a test says of each folder; the others are empty.
    Manual(Arc<Mutex<BTreeMap<PathBuf, Space>>>),
}

impl Probe {
    /// A probe that says what [`set`](Self::set) told it.
    pub fn manual() -> Self {
        Self::Manual(Arc::default())
    }

    /// Changes what a manual probe says of a folder; the system's cannot be told.
    pub fn set(&self, folder: &Path, free: u64, total: u64) {
        if let Self::Manual(spaces) = self {
            let mut spaces = spaces.lock().unwrap_or_else(PoisonError::into_inner);
            spaces.insert(folder.to_owned(), Space { free, total });
        }
    }

    fn measure(&self, folder: &Path) -> io::Result<Space> {
        match self {
            Self::System => {
                let disk = rustix::fs::statvfs(folder)?;
                let bytes = |blocks: u64| blocks.saturating_mul(disk.f_frsize);
                let used = disk.f_blocks.saturating_sub(disk.f_bfree);
                Ok(Space {
                    free: bytes(disk.f_bavail),
                    total: bytes(used.saturating_add(disk.f_bavail)),
                })
            }
            Self::Manual(spaces) => {
                let spaces = spaces.lock().unwrap_or_else(PoisonError::into_inner);
                let empty = Space { free: 1, total: 1 };
                Ok(spaces.get(folder).copied().unwrap_or(empty))
            }
        }
    }
}

/// How much of a disk stays free.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reserve {
    /// So many hundredths of it.
    Percent(u8),
    /// So many bytes.
    Bytes(u64),
}

impl Reserve {
    fn of(self, disk: Space) -> u64 {
        match self {
            Self::Percent(percent) => {
                let bytes = u128::from(disk.total) * u128::from(percent) / 100;
                u64::try_from(bytes).unwrap_or(u64::MAX)
            }
            Self::Bytes(bytes) => bytes,
        }
    }
}

impl fmt::Display for Reserve {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Percent(percent) => write!(out, "{percent} %"),
            Self::Bytes(bytes) => out.write_str(&shown(*bytes)),
        }
    }
}

/// A folder whose disk is watched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Watched {
    /// What it is to people: `the data folder`.
    pub name: &'static str,
    /// Where it is.
    pub path: PathBuf,
}

/// There is less room than the reserve; as a sentence it names the folder by what it is, because strangers read it too.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the disk of {} has {} of {} free, less than the {reserve} of limits.free_disk: nothing is changed until there is \
     room; delete what is not needed there, or enlarge it",
    watched.name,
    shown(space.free),
    shown(space.total)
)]
pub struct Shortage {
    /// The folder.
    pub watched: Watched,
    /// Its disk.
    pub space: Space,
    /// What should be free.
    pub reserve: Reserve,
}

/// The disks under a registry; clones share what was found last.
#[derive(Clone, Debug)]
pub struct Disk(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    probe: Probe,
    reserve: Reserve,
    folders: Vec<Watched>,
    shortage: ArcSwapOption<Shortage>,
    is_blind: AtomicBool,
}

impl Disk {
    /// Watches the disks of `folders`. Nothing is known before the first [`look`](Self::look).
    pub fn new(probe: Probe, reserve: Reserve, folders: Vec<Watched>) -> Self {
        Self(Arc::new(Inner {
            probe,
            reserve,
            folders,
            shortage: ArcSwapOption::empty(),
            is_blind: AtomicBool::new(false),
        }))
    }

    /// Watches nothing.
    pub fn unwatched() -> Self {
        Self::new(Probe::System, Reserve::Percent(0), Vec::new())
    }

    /// How much stays free.
    pub fn reserve(&self) -> Reserve {
        self.0.reserve
    }

    /// Every folder with its disk, as far as that can be told.
    pub fn survey(&self) -> Vec<(&Watched, io::Result<Space>)> {
        let folders = self.0.folders.iter();
        folders
            .map(|watched| (watched, self.0.probe.measure(&watched.path)))
            .collect()
    }

    /// What the last look found.
    pub fn shortage(&self) -> Option<Arc<Shortage>> {
        self.0.shortage.load_full()
    }

    /// Measures all disks; a change is logged. Once there was too little room, there has to be a fifth more than the
    /// reserve, so that a disk at the edge does not open and shut all the time.
    pub fn look(&self) -> Option<Arc<Shortage>> {
        let before = self.shortage();
        let survey = self.survey();
        self.tell(&survey);
        let mut found = survey.into_iter().filter_map(|(watched, space)| {
            let space = space.ok()?;
            let reserve = self.0.reserve.of(space);
            let margin = if before.is_some() { reserve / 5 } else { 0 };
            (space.free < reserve.saturating_add(margin)).then(|| Shortage {
                watched: watched.clone(),
                space,
                reserve: self.0.reserve,
            })
        });
        let shortage = found.next().map(Arc::new);
        match (&before, &shortage) {
            (None, Some(short)) => {
                tracing::error!(path = %short.watched.path.display(), "{short}");
            }
            (Some(_), None) => {
                tracing::warn!("there is room on the disks again: changes are taken");
            }
            _ => {}
        }
        metrics::gauge!("kapelle_read_only").set(f64::from(u8::from(shortage.is_some())));
        self.0.shortage.store(shortage.clone());
        shortage
    }

    /// What the monitoring sees; that a disk cannot be measured is logged once.
    fn tell(&self, survey: &[(&Watched, io::Result<Space>)]) {
        let mut is_blind = false;
        for (watched, space) in survey {
            match space {
                Ok(space) => metrics::gauge!("kapelle_disk_free_bytes", "folder" => watched.name)
                    .set(approximately(space.free)),
                Err(error) => {
                    is_blind = true;
                    if !self.0.is_blind.load(Ordering::SeqCst) {
                        let (folder, path) = (watched.name, watched.path.display());
                        tracing::warn!(folder, %path, %error, "the free space of a disk cannot be told");
                    }
                }
            }
        }
        self.0.is_blind.store(is_blind, Ordering::SeqCst);
    }
}

impl Registry {
    /// The disks that are watched.
    pub fn disk(&self) -> &Disk {
        &self.parts.disk
    }

    /// Whether changes are taken: [`StorageError::Shut`] with a sentence for people if not.
    pub fn writable(&self) -> Result<(), StorageError> {
        self.database().writable()
    }

    /// Measures the disks now, and refuses changes from now on or takes them again.
    pub async fn check_disk(&self) -> Option<Arc<Shortage>> {
        let (disk, git) = (self.disk().clone(), self.parts.git.clone());
        let look = move || {
            let was_short = disk.shortage().is_some();
            let shortage = disk.look();
            if was_short || shortage.is_none() {
                return shortage;
            }
            // It may be a fetch that was cut short which has filled the disk, and no fetch will tidy up after it now.
            if let Err(error) = git.sweep() {
                tracing::warn!(%error, "what unfinished fetches left could not be removed");
            }
            disk.look()
        };
        // A network's file system may let us wait.
        let shortage = match tokio::task::spawn_blocking(look).await {
            Ok(shortage) => shortage,
            Err(error) => {
                tracing::error!(%error, "the disks could not be looked at");
                self.disk().shortage()
            }
        };
        let sentence = shortage.as_ref().map(|short| short.to_string().into());
        self.database().shut(sentence);
        shortage
    }
}

/// Bytes in the largest unit that they fill, with one digit after the point below ten of it.
fn shown(bytes: u64) -> String {
    let units = [("TiB", 40), ("GiB", 30), ("MiB", 20), ("KiB", 10)];
    let Some((unit, shift)) = units.into_iter().find(|(_, shift)| bytes >> shift > 0) else {
        return format!("{bytes} B");
    };
    let tenths = (u128::from(bytes) * 10) >> shift;
    match (tenths / 10, tenths % 10) {
        (whole, 0) | (whole @ 10.., _) => format!("{whole} {unit}"),
        (whole, tenth) => format!("{whole}.{tenth} {unit}"),
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a gauge is a floating-point number, and nobody counts the bytes of a disk one by one"
)]
fn approximately(bytes: u64) -> f64 {
    bytes as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIB: u64 = 1 << 30;

    fn disk(reserve: Reserve) -> (Probe, Disk) {
        let probe = Probe::manual();
        let folder = |name, path: &str| Watched {
            name,
            path: path.into(),
        };
        let folders = vec![
            folder("the data folder", "/data"),
            folder("the archives", "/blobs"),
        ];
        (probe.clone(), Disk::new(probe, reserve, folders))
    }

    #[test]
    fn a_shortage_is_told_in_one_sentence_with_what_to_do() {
        let (probe, disk) = disk(Reserve::Percent(5));
        assert_eq!(disk.look(), None);
        probe.set(Path::new("/blobs"), GIB * 3 / 2, 40 * GIB);
        assert_eq!(
            disk.look().unwrap().to_string(),
            "the disk of the archives has 1.5 GiB of 40 GiB free, less than the 5 % of limits.free_disk: nothing is \
             changed until there is room; delete what is not needed there, or enlarge it"
        );
    }

    #[test]
    fn a_shortage_ends_with_a_fifth_more_than_the_reserve() {
        let (probe, disk) = disk(Reserve::Percent(5));
        let mut is_short = |percent: u64| {
            probe.set(Path::new("/data"), percent * GIB, 100 * GIB);
            disk.look().is_some()
        };
        let seen = [6, 5, 4, 5, 6, 5, 4].map(&mut is_short);
        assert_eq!(seen, [false, false, true, true, false, false, true]);
    }

    #[test]
    fn a_reserve_may_be_a_size_or_nothing() {
        let (probe, disk) = disk(Reserve::Bytes(2 * GIB));
        probe.set(Path::new("/data"), 2 * GIB - 1, 100_000 * GIB);
        assert!(disk.look().is_some());
        let (probe, disk) = self::disk(Reserve::Percent(0));
        probe.set(Path::new("/data"), 0, GIB);
        assert_eq!(disk.look(), None);
    }

    #[test]
    fn the_system_measures_real_disks_and_what_is_not_there_counts_as_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let space = Probe::System.measure(folder.path()).unwrap();
        assert!(space.total > 0 && space.free <= space.total, "{space:?}");
        let gone = Watched {
            name: "the data folder",
            path: folder.path().join("gone"),
        };
        let disk = Disk::new(Probe::System, Reserve::Percent(99), vec![gone]);
        assert_eq!(disk.look(), None);
    }

    #[test]
    fn sizes_are_shown_as_people_say_them() {
        let sizes = [0, 1023, 1536, 10 << 20, (10 << 20) + 900_000, 5 << 40];
        let said = ["0 B", "1023 B", "1.5 KiB", "10 MiB", "10 MiB", "5 TiB"];
        assert_eq!(sizes.map(shown), said);
    }
}
