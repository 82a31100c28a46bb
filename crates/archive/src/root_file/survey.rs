//! What has been seen of an archive, whatever its format: names, counts, and the file looked for.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::io::Read;

use crate::error::ArchiveError;
use crate::limits::Limits;
use crate::name;

use super::{ArchiveKind, RootFile};

/// A file that macOS leaves behind; Composer looks past it.
const IGNORED: &str = ".DS_Store";

/// Bytes of all names together, at most.
const NAMES: u64 = 64 << 20;

/// Inflating less than this is harmless, whatever the ratio.
const HARMLESS: u64 = 1 << 20;

pub(super) struct Survey<'a> {
    file_name: &'a str,
    limits: &'a Limits,
    packed: u64,
    entries: u64,
    unpacked: u64,
    /// By name in lower case: the name as spelled and whether it is a directory.
    names: HashMap<String, (String, bool)>,
    /// Bytes of those names, in both spellings.
    weight: u64,
    /// What lies at the root: the first name, and whether there are others.
    top: Option<String>,
    several_tops: bool,
    at_root: Option<Vec<u8>>,
    in_top: Option<(String, Vec<u8>)>,
}

impl<'a> Survey<'a> {
    pub(super) fn new(file_name: &'a str, limits: &'a Limits, packed: u64) -> Self {
        Self {
            file_name,
            limits,
            packed,
            entries: 0,
            unpacked: 0,
            names: HashMap::new(),
            weight: 0,
            top: None,
            several_tops: false,
            at_root: None,
            in_top: None,
        }
    }

    pub(super) fn limits(&self) -> &'a Limits {
        self.limits
    }

    /// Takes the name of an entry, without the slash of a directory. `None` for the root itself (`./`).
    pub(super) fn enter(
        &mut self,
        written: &[u8],
        directory: bool,
    ) -> Result<Option<String>, ArchiveError> {
        self.entries += 1;
        if self.entries > self.limits.entries {
            let limit = self.limits.entries;
            return Err(ArchiveError::TooManyEntries { limit });
        }
        let path = written.strip_prefix(b"./").unwrap_or(written);
        if directory && (path.is_empty() || path == b".") {
            return Ok(None);
        }
        name::check(path)?;
        let path = name::text(path).into_owned();
        if path.split('/').count() > self.limits.depth {
            return Err(ArchiveError::Name {
                name: path,
                problem: "is nested too deeply",
            });
        }
        self.register(&path, directory)?;
        self.note_top(&path);
        Ok(Some(path))
    }

    /// Every name once, also by case, and every directory spelled the same way everywhere.
    fn register(&mut self, path: &str, directory: bool) -> Result<(), ArchiveError> {
        for above in name::ancestors(path.as_bytes()) {
            let above = name::text(&above[..above.len() - 1]).into_owned();
            self.weigh(&above)?;
            match self.names.entry(above.to_lowercase()) {
                Entry::Vacant(vacant) => vacant.insert((above, true)),
                Entry::Occupied(seen) if *seen.get() == (above, true) => break,
                Entry::Occupied(_) => return Err(duplicate(path)),
            };
            if self.names.len() as u64 > self.limits.entries.saturating_mul(2) {
                let limit = self.limits.entries;
                return Err(ArchiveError::TooManyEntries { limit });
            }
        }
        self.weigh(path)?;
        match self.names.entry(path.to_lowercase()) {
            Entry::Vacant(vacant) => {
                vacant.insert((path.to_owned(), directory));
                Ok(())
            }
            // Its content came before it.
            Entry::Occupied(seen) if directory && *seen.get() == (path.to_owned(), true) => Ok(()),
            Entry::Occupied(_) => Err(duplicate(path)),
        }
    }

    /// Names count nowhere else, and are all held in memory: packed, very many of very long ones are small.
    fn weigh(&mut self, name: &str) -> Result<(), ArchiveError> {
        if !self.names.contains_key(&name.to_lowercase()) {
            self.weight += 2 * name.len() as u64;
        }
        if self.weight > NAMES {
            return Err(ArchiveError::LongNames { limit: NAMES });
        }
        Ok(())
    }

    fn note_top(&mut self, path: &str) {
        let top = path.split('/').next().unwrap_or(path);
        if top == IGNORED {
            return;
        }
        match &self.top {
            None => self.top = Some(top.to_owned()),
            Some(first) if first == top => {}
            Some(_) => {
                self.several_tops = true;
                self.in_top = None;
            }
        }
    }

    /// Takes the target of a symbolic link.
    pub(super) fn link(&mut self, path: &str, target: &[u8]) -> Result<(), ArchiveError> {
        self.count(target.len() as u64)?;
        if name::link_stays_inside(path.as_bytes(), target) {
            return Ok(());
        }
        Err(ArchiveError::EscapingLink {
            name: path.to_owned(),
            target: name::text(target).into_owned(),
        })
    }

    /// Reads the content of a file to its end, gives its size, and keeps it if it is the one looked for.
    pub(super) fn file(&mut self, path: &str, content: &mut dyn Read) -> Result<u64, ArchiveError> {
        let wanted = self.is_wanted(path);
        let mut kept = Vec::new();
        let mut size = 0;
        let mut buffer = [0; 16 * 1024];
        loop {
            let count = content.read(&mut buffer).map_err(ArchiveError::reading)?;
            if count == 0 {
                break;
            }
            size += count as u64;
            self.count(count as u64)?;
            if wanted {
                kept.extend_from_slice(&buffer[..count]);
                self.refuse_large(path, size)?;
            }
        }
        if wanted {
            self.keep(path, kept);
        }
        Ok(size)
    }

    fn is_wanted(&self, path: &str) -> bool {
        match path.split_once('/') {
            None => path == self.file_name,
            Some((top, rest)) => {
                rest == self.file_name && !self.several_tops && self.top.as_deref() == Some(top)
            }
        }
    }

    fn keep(&mut self, path: &str, content: Vec<u8>) {
        if path.contains('/') {
            self.in_top = Some((path.to_owned(), content));
        } else {
            self.at_root = Some(content);
        }
    }

    fn refuse_large(&self, path: &str, size: u64) -> Result<(), ArchiveError> {
        let limit = self.limits.root_file;
        if size > limit {
            let name = path.to_owned();
            return Err(ArchiveError::RootFileTooLarge { name, limit });
        }
        Ok(())
    }

    /// Counts inflated bytes.
    fn count(&mut self, bytes: u64) -> Result<(), ArchiveError> {
        self.unpacked += bytes;
        let limit = self.limits.unpacked;
        if self.unpacked > limit {
            return Err(ArchiveError::TooLargeUnpacked { limit });
        }
        let limit = self.limits.ratio;
        if self.unpacked > HARMLESS && self.unpacked > self.packed.saturating_mul(limit) {
            return Err(ArchiveError::Ratio { limit });
        }
        Ok(())
    }

    pub(super) fn finish(self, kind: ArchiveKind) -> Result<RootFile, ArchiveError> {
        let at_root = self.at_root.map(|found| (self.file_name.to_owned(), found));
        let (path, content) = at_root
            .or(self.in_top)
            .ok_or_else(|| ArchiveError::NoRootFile {
                name: self.file_name.to_owned(),
                kind,
            })?;
        Ok(RootFile {
            path,
            content,
            kind,
            entries: self.entries,
            unpacked_bytes: self.unpacked,
        })
    }
}

fn duplicate(path: &str) -> ArchiveError {
    ArchiveError::Duplicate {
        name: path.to_owned(),
    }
}
