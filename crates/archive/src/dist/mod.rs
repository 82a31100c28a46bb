//! From the tar of a commit to its dist: a zip that is the same bytes every time.

mod deflate;
mod spool;
mod tree;
mod zip;

use std::collections::HashSet;
use std::fmt;
use std::io::{self, Read, Write};
use std::path::Path;

use crate::error::ArchiveError;
use crate::limits::Limits;
use crate::name;
use crate::tarball::{self, Kind, Member};

pub use deflate::{Packed, Packer};
use spool::{Spool, Spooled};
use tree::{Entry, EntryKind, Tree};
use zip::ZipWriter;

/// Bytes of all names together, which are held in memory: 300 for each of 200,000.
const NAMES: u64 = 64 << 20;

/// How to write a dist.
pub struct DistOptions<'a> {
    /// The one directory everything lies in, without slashes. Composer strips it.
    pub top_directory: &'a str,
    /// Whether to leave a path out: relative to the root, directories without a slash at the end. Every path is asked
    /// about by itself, since composer.json's `archive.exclude` can take a file back in from an excluded directory.
    pub exclude: &'a dyn Fn(&str) -> bool,
    /// Whether the commit's tree contains submodules. A tar cannot tell: `git archive` also leaves a directory empty
    /// whose content is all `export-ignore`.
    pub submodules: bool,
    /// What all entries are dated, in seconds since 1970: the commit's time. A constant would make caches of compiled
    /// code, which compare times, believe that an updated package has not changed.
    pub modified_at: i64,
    /// How large it may become.
    pub limits: &'a Limits,
    /// Where the temporary file goes that holds compressed content beyond the first 8 MiB.
    pub spool: &'a Path,
}

/// What was written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DistReport {
    /// Entries of the zip, directories included.
    pub entries: u64,
    /// Bytes of all files and links, unpacked.
    pub unpacked_bytes: u64,
    /// Bytes of the zip.
    pub size: u64,
    /// Composer's `dist.shasum`.
    pub sha1: [u8; 20],
    /// Its name as a blob.
    pub sha256: [u8; 32],
    /// The tree contains submodules and the dist an empty directory, as they are in it.
    pub has_submodules: bool,
    /// It has a file that is a Git LFS pointer.
    pub has_lfs: bool,
    /// How many symbolic links were left out because they point out of the tree, as Composer does.
    pub dropped_links: u64,
    /// How many names equal another one but for case: they overwrite each other on Windows and macOS.
    pub case_collisions: u64,
}

/// Writes the dist of a tree that arrives as a tar without a common directory (`git archive --format=tar`).
///
/// Sorted by the bytes of the names, one time for all, modes 0644 and 0755, symbolic links kept. A directory is an
/// entry if something in it is kept, or if it is empty already in the tar. The tar is read to its end.
pub fn write_dist(
    mut tar: impl Read,
    options: &DistOptions<'_>,
    out: impl Write,
) -> Result<DistReport, ArchiveError> {
    let mut builder = DistBuilder::new(options)?;
    tarball::each(&mut tar, options.limits, |member, content| {
        builder.take(member, content)
    })?;
    // A writer at the other end of a pipe pads its last record and should not see it broken.
    io::copy(&mut tar.take(RECORD), &mut io::sink()).map_err(ArchiveError::Read)?;
    builder.finish(out)
}

/// More than any tar's last record.
const RECORD: u64 = 1 << 20;

/// A dist whose entries are added in any order; the same entries give the same bytes as by [`write_dist`].
pub struct DistBuilder<'a> {
    options: &'a DistOptions<'a>,
    spool: Spool,
    tree: Tree,
    members: u64,
    unpacked: u64,
    submodules: bool,
    has_lfs: bool,
    dropped_links: u64,
}

impl<'a> DistBuilder<'a> {
    /// A dist without entries.
    pub fn new(options: &'a DistOptions<'a>) -> Result<Self, ArchiveError> {
        check_top_directory(options.top_directory)?;
        Ok(Self {
            options,
            spool: Spool::new(options.spool),
            tree: Tree::default(),
            members: 0,
            unpacked: 0,
            submodules: options.submodules,
            has_lfs: false,
            dropped_links: 0,
        })
    }

    /// Whether a file or link is to be added; otherwise it is noted as left out. To be asked once about each.
    pub fn wants(&mut self, path: &[u8]) -> Result<bool, ArchiveError> {
        name::check(path)?;
        self.count()?;
        if (self.options.exclude)(&name::text(path)) {
            self.tree.leaf(path.to_vec(), None)?;
            return Ok(false);
        }
        Ok(true)
    }

    /// Adds a file that is [wanted](Self::wants).
    pub fn file(
        &mut self,
        path: &[u8],
        executable: bool,
        content: &mut dyn Read,
        size: u64,
    ) -> Result<(), ArchiveError> {
        self.grow(size)?;
        let data = self.spool.deflate(content, size)?;
        self.add_file(path, executable, data)
    }

    /// Adds a file that is [wanted](Self::wants) and compressed already.
    pub fn packed(
        &mut self,
        path: &[u8],
        executable: bool,
        packed: &Packed,
    ) -> Result<(), ArchiveError> {
        self.grow(packed.deflated.size)?;
        let data = self.spool.add(packed)?;
        self.add_file(path, executable, data)
    }

    /// Adds a symbolic link that is [wanted](Self::wants), unless it points out of the tree.
    pub fn link(&mut self, path: &[u8], target: &[u8]) -> Result<(), ArchiveError> {
        if !name::link_stays_inside(path, target) {
            self.dropped_links += 1;
            return self.tree.leaf(path.to_vec(), None);
        }
        self.grow(target.len() as u64)?;
        let data = self.spool.store(target)?;
        let kind = EntryKind::Link;
        self.leaf(path, Entry { kind, data })
    }

    /// Adds a directory; it becomes an entry if something in it does, or if nothing at all is in it.
    pub fn directory(&mut self, path: &[u8]) -> Result<(), ArchiveError> {
        name::check(path)?;
        self.count()?;
        let excluded = (self.options.exclude)(&name::text(path));
        self.tree.directory(path, !excluded)?;
        self.refuse_large(self.spool.len() + self.tree.weight())
    }

    /// Adds a submodule: an empty directory.
    pub fn submodule(&mut self, path: &[u8]) -> Result<(), ArchiveError> {
        self.submodules = true;
        self.directory(path)
    }

    fn take(&mut self, member: Member, content: &mut dyn Read) -> Result<(), ArchiveError> {
        match member.kind {
            Kind::Directory => self.directory(&member.name),
            // Limits are checked before content is read, also before that of what is left out.
            _ if !self.wants(&member.name)? => self.grow(member.size),
            Kind::Link { target } => self.link(&member.name, &target),
            Kind::File { executable } => self.file(&member.name, executable, content, member.size),
        }
    }

    fn add_file(
        &mut self,
        path: &[u8],
        executable: bool,
        data: Spooled,
    ) -> Result<(), ArchiveError> {
        self.has_lfs |= data.content.is_lfs_pointer;
        let kind = EntryKind::File { executable };
        self.leaf(path, Entry { kind, data })
    }

    fn leaf(&mut self, path: &[u8], entry: Entry) -> Result<(), ArchiveError> {
        self.refuse_long_names()?;
        self.refuse_large(self.spool.len() + self.tree.weight())?;
        self.tree.leaf(path.to_vec(), Some(entry))
    }

    fn count(&mut self) -> Result<(), ArchiveError> {
        self.members += 1;
        let limit = self.options.limits.entries;
        if self.members > limit {
            return Err(ArchiveError::TooManyEntries { limit });
        }
        self.refuse_long_names()
    }

    fn refuse_long_names(&self) -> Result<(), ArchiveError> {
        if self.tree.weight() > NAMES {
            return Err(ArchiveError::LongNames { limit: NAMES });
        }
        Ok(())
    }

    fn grow(&mut self, size: u64) -> Result<(), ArchiveError> {
        self.unpacked = self.unpacked.saturating_add(size);
        let limit = self.options.limits.unpacked;
        if self.unpacked > limit {
            return Err(ArchiveError::TooLargeUnpacked { limit });
        }
        Ok(())
    }

    fn refuse_large(&self, packed: u64) -> Result<(), ArchiveError> {
        let limit = self.options.limits.packed.min(zip::LARGEST);
        if packed > limit {
            return Err(ArchiveError::TooLargePacked { limit });
        }
        Ok(())
    }

    /// Writes the zip.
    pub fn finish(mut self, out: impl Write) -> Result<DistReport, ArchiveError> {
        let has_submodules = self.submodules && self.tree.has_empty_directory();
        let top = format!("{}/", self.options.top_directory).into_bytes();
        let mut entries: Vec<_> = vec![(top.clone(), Entry::directory())];
        for (path, entry) in std::mem::take(&mut self.tree).into_entries()? {
            entries.push(([top.as_slice(), &path].concat(), entry));
        }
        let names = entries.iter().map(|(name, _)| name.as_slice());
        self.refuse_large(zip::size_of(names, self.spool.len()))?;
        let mut writer = ZipWriter::new(out, self.options.modified_at);
        for (name, entry) in &entries {
            writer.entry(name, entry, &mut self.spool)?;
        }
        let written = writer.finish()?;
        let unpacked = entries.iter().map(|(_, entry)| entry.data.content.size);
        Ok(DistReport {
            entries: entries.len() as u64,
            unpacked_bytes: unpacked.sum(),
            size: written.size,
            sha1: written.sha1,
            sha256: written.sha256,
            has_submodules,
            has_lfs: self.has_lfs,
            dropped_links: self.dropped_links,
            case_collisions: case_collisions(&entries),
        })
    }
}

fn check_top_directory(top: &str) -> Result<(), ArchiveError> {
    name::check(top.as_bytes())?;
    if top.contains('/') {
        return Err(ArchiveError::Name {
            name: top.to_owned(),
            problem: "is not one top directory",
        });
    }
    Ok(())
}

fn case_collisions(entries: &[(Vec<u8>, Entry)]) -> u64 {
    let mut seen = HashSet::new();
    let repeated = entries
        .iter()
        .filter(|(name, _)| !seen.insert(name::text(name).to_lowercase()));
    repeated.count() as u64
}

impl fmt::Debug for DistBuilder<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DistBuilder")
            .field("options", self.options)
            .field("members", &self.members)
            .field("unpacked", &self.unpacked)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for DistOptions<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DistOptions")
            .field("top_directory", &self.top_directory)
            .field("submodules", &self.submodules)
            .field("limits", self.limits)
            .field("spool", &self.spool)
            .finish_non_exhaustive()
    }
}
