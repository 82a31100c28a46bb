//! The entries of a dist, sorted, each name once, each directory there.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use crate::error::ArchiveError;
use crate::name;

use super::spool::Spooled;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EntryKind {
    File { executable: bool },
    Directory,
    Link,
}

#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) kind: EntryKind,
    pub(crate) data: Spooled,
}

impl Entry {
    pub(crate) fn directory() -> Self {
        Self {
            kind: EntryKind::Directory,
            data: Spooled::default(),
        }
    }
}

/// What has been seen of a tree. Directories are named with a slash at the end, as in a zip, so that the order of the
/// names' bytes is the order of the zip.
#[derive(Default)]
pub(crate) struct Tree {
    /// Files and links; `None` for those left out.
    leaves: BTreeMap<Vec<u8>, Option<Entry>>,
    /// Directories of the tar, and whether they are wanted.
    directories: BTreeMap<Vec<u8>, bool>,
    /// Directories in which something was seen, wanted or not.
    occupied: HashSet<Vec<u8>>,
    /// Bytes that the names seen so far take in memory and, about twice, in a zip.
    weight: u64,
}

impl Tree {
    pub(crate) fn weight(&self) -> u64 {
        self.weight
    }

    /// Adds a directory of the tar; `path` is without a slash at the end.
    pub(crate) fn directory(&mut self, path: &[u8], wanted: bool) -> Result<(), ArchiveError> {
        let key = [path, b"/"].concat();
        self.occupy(&key);
        self.weight += key.len() as u64;
        if self.leaves.contains_key(path) || self.directories.insert(key, wanted).is_some() {
            return Err(duplicate(path));
        }
        Ok(())
    }

    /// Adds a file or link, `None` if it is left out.
    pub(crate) fn leaf(&mut self, path: Vec<u8>, entry: Option<Entry>) -> Result<(), ArchiveError> {
        self.occupy(&path);
        self.weight += path.len() as u64;
        if self.leaves.contains_key(&path) {
            return Err(duplicate(&path));
        }
        self.leaves.insert(path, entry);
        Ok(())
    }

    fn occupy(&mut self, path: &[u8]) {
        for directory in name::ancestors(path) {
            if self.occupied.contains(directory) {
                break;
            }
            self.weight += directory.len() as u64;
            self.occupied.insert(directory.to_vec());
        }
    }

    /// Whether a directory that is wanted was empty in the tar.
    pub(crate) fn has_empty_directory(&self) -> bool {
        self.empty_directories().next().is_some()
    }

    fn empty_directories(&self) -> impl Iterator<Item = &Vec<u8>> {
        self.directories
            .iter()
            .filter(|(path, wanted)| **wanted && !self.occupied.contains(*path))
            .map(|(path, _)| path)
    }

    /// The entries of the zip. A directory is among them if something below it is, or if it was empty from the start.
    pub(crate) fn into_entries(self) -> Result<BTreeMap<Vec<u8>, Entry>, ArchiveError> {
        let mut directories: BTreeSet<Vec<u8>> = self.empty_directories().cloned().collect();
        let empty: Vec<_> = directories.iter().cloned().collect();
        let kept = self.leaves.iter().filter(|(_, entry)| entry.is_some());
        for path in kept.map(|(path, _)| path).chain(&empty) {
            directories.extend(name::ancestors(path).map(<[u8]>::to_vec));
        }
        // Also what is left out may not be file and directory at once: the tar would be ambiguous.
        let all = self.directories.keys().chain(&self.occupied);
        for path in all.map(|path| &path[..path.len() - 1]) {
            if self.leaves.contains_key(path) {
                return Err(duplicate(path));
            }
        }
        let mut entries: BTreeMap<Vec<u8>, Entry> = directories
            .into_iter()
            .map(|path| (path, Entry::directory()))
            .collect();
        let kept = self.leaves.into_iter();
        entries.extend(kept.filter_map(|(path, entry)| Some((path, entry?))));
        Ok(entries)
    }
}

fn duplicate(path: &[u8]) -> ArchiveError {
    ArchiveError::Duplicate {
        name: name::text(path).into_owned(),
    }
}
