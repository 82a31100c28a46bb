//! The records of the zip format: the end, the central directory, local headers.

use std::io::{Read, Seek, SeekFrom};

use crate::error::ArchiveError;
use crate::name;

/// The end record without its comment, and the longest comment.
const END: u64 = 22;
const LONGEST_COMMENT: u64 = u16::MAX as u64;
/// The record that says where the 64-bit end is.
const LOCATOR: u64 = 20;

/// Bits of the flags that mean encryption: of the content, strong, of the headers.
const ENCRYPTED: u16 = 1 | 1 << 6 | 1 << 13;

/// In an extra field: 64-bit sizes; a second name.
const EXTRA_64: u16 = 0x0001;
const EXTRA_NAME: u16 = 0x7075;

/// Where the central directory is.
pub(super) struct Directory {
    pub(super) start: u64,
    pub(super) end: u64,
    pub(super) entries: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum EntryKind {
    File,
    Directory,
    Link,
}

/// An entry as the central directory describes it.
pub(super) struct CentralEntry {
    pub(super) name: Vec<u8>,
    flags: u16,
    method: u16,
    pub(super) crc: u32,
    pub(super) packed_size: u64,
    pub(super) size: u64,
    /// Where its local header is.
    pub(super) offset: u64,
    mode: u32,
    /// Bytes of this record.
    pub(super) length: u64,
}

/// An entry as the header before its content describes it.
pub(super) struct LocalEntry {
    name: Vec<u8>,
    flags: u16,
    method: u16,
    /// Bytes of this record.
    pub(super) length: u64,
}

impl Directory {
    /// Finds the directory from the end of the archive. The last end record counts, its comment must reach exactly to
    /// the end of the file, and the directory must lie right before it.
    pub(super) fn find(archive: &mut (impl Read + Seek), size: u64) -> Result<Self, ArchiveError> {
        let tail_start = size.saturating_sub(END + LONGEST_COMMENT);
        let tail = read_at(archive, tail_start, size - tail_start)?;
        let at = tail
            .windows(4)
            .rposition(|bytes| bytes == b"PK\x05\x06")
            .ok_or_else(|| ArchiveError::damaged("it has no directory; it may be cut short"))?;
        let mut end = Fields(&tail[at + 4..]);
        let (disk, directory_disk) = (end.u16()?, end.u16()?);
        let (here, entries) = (end.u16()?, end.u16()?);
        let (length, start) = (end.u32()?, end.u32()?);
        let comment = end.u16()?;
        if usize::from(comment) != end.0.len() {
            return Err(ArchiveError::damaged("there are bytes behind its end"));
        }
        if disk != 0 || directory_disk != 0 || here != entries {
            return Err(ArchiveError::damaged("it is one part of several"));
        }
        let position = tail_start + at as u64;
        if entries == u16::MAX || length == u32::MAX || start == u32::MAX {
            return Self::find_64(archive, position);
        }
        Self::checked(
            u64::from(start),
            u64::from(length),
            u64::from(entries),
            position,
        )
    }

    fn find_64(archive: &mut (impl Read + Seek), end: u64) -> Result<Self, ArchiveError> {
        let missing = || ArchiveError::damaged("its 64-bit directory is missing");
        let locator = end.checked_sub(LOCATOR).ok_or_else(missing)?;
        let bytes = read_at(archive, locator, LOCATOR)?;
        let mut fields = Fields(&bytes);
        let (signature, disk) = (fields.bytes(4)?, fields.u32()?);
        let (position, disks) = (fields.u64()?, fields.u32()?);
        if signature != b"PK\x06\x07" || disk != 0 || disks > 1 {
            return Err(missing());
        }
        let bytes = read_at(archive, position, 56)?;
        let mut fields = Fields(&bytes);
        let (signature, size) = (fields.bytes(4)?, fields.u64()?);
        fields.bytes(12)?;
        let (here, entries) = (fields.u64()?, fields.u64()?);
        let (length, start) = (fields.u64()?, fields.u64()?);
        let adjacent = size
            .checked_add(12)
            .and_then(|size| size.checked_add(position));
        if signature != b"PK\x06\x06" || here != entries || adjacent != Some(locator) {
            return Err(missing());
        }
        Self::checked(start, length, entries, position)
    }

    fn checked(start: u64, length: u64, entries: u64, end: u64) -> Result<Self, ArchiveError> {
        if start.checked_add(length) != Some(end) {
            return Err(ArchiveError::damaged("its directory is not where it says"));
        }
        Ok(Self {
            start,
            end,
            entries,
        })
    }
}

impl CentralEntry {
    pub(super) fn read(archive: &mut impl Read) -> Result<Self, ArchiveError> {
        let bytes = read_next(archive, 46)?;
        let mut fields = Fields(&bytes);
        if fields.bytes(4)? != b"PK\x01\x02" {
            return Err(ArchiveError::damaged("its directory is unreadable"));
        }
        fields.bytes(4)?;
        let (flags, method) = (fields.u16()?, fields.u16()?);
        fields.bytes(4)?;
        let (crc, packed_size, size) = (fields.u32()?, fields.u32()?, fields.u32()?);
        let (name, extra, comment) = (fields.u16()?, fields.u16()?, fields.u16()?);
        let disk = fields.u16()?;
        fields.bytes(2)?;
        let (attributes, offset) = (fields.u32()?, fields.u32()?);
        let rest = u64::from(name) + u64::from(extra) + u64::from(comment);
        let name = read_next(archive, u64::from(name))?;
        let extra = read_next(archive, u64::from(extra))?;
        let mut entry = Self {
            name,
            flags,
            method,
            crc,
            packed_size: u64::from(packed_size),
            size: u64::from(size),
            offset: u64::from(offset),
            mode: attributes >> 16,
            length: 46 + rest,
        };
        entry.read_extra(&extra)?;
        if disk != 0 {
            return Err(entry.damaged("lies on another disk"));
        }
        Ok(entry)
    }

    fn read_extra(&mut self, extra: &[u8]) -> Result<(), ArchiveError> {
        let mut fields = Fields(extra);
        // Some writers pad with less than a header.
        while fields.0.len() >= 4 {
            let (kind, length) = (fields.u16()?, fields.u16()?);
            let mut content = Fields(fields.bytes(usize::from(length))?);
            match kind {
                EXTRA_64 => {
                    for value in [&mut self.size, &mut self.packed_size, &mut self.offset] {
                        if *value == u64::from(u32::MAX) {
                            *value = content.u64()?;
                        }
                    }
                }
                EXTRA_NAME if content.0.get(5..) != Some(&self.name) => {
                    return Err(self.damaged("has a second name"));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// The kind by name and Unix mode, whichever system wrote it: some programs look at the mode in any case.
    pub(super) fn kind(&self) -> Result<EntryKind, ArchiveError> {
        let unsupported = |kind| ArchiveError::UnsupportedEntry {
            name: self.shown(),
            kind,
        };
        let slash = self.name.ends_with(b"/");
        match self.mode & 0o170_000 {
            0o120_000 if !slash => Ok(EntryKind::Link),
            0 | 0o100_000 | 0o040_000 if slash => Ok(EntryKind::Directory),
            0 | 0o100_000 => Ok(EntryKind::File),
            0o020_000 | 0o060_000 => Err(unsupported("a device")),
            0o010_000 => Err(unsupported("a pipe")),
            _ => Err(unsupported("of an unknown kind")),
        }
    }

    /// Refuses what would have to be decrypted or decompressed otherwise.
    pub(super) fn check_readable(&self) -> Result<(), ArchiveError> {
        if self.flags & ENCRYPTED != 0 {
            return Err(ArchiveError::Encrypted { name: self.shown() });
        }
        match self.method {
            0 if self.size != self.packed_size => Err(self.damaged("has two sizes")),
            0 | 8 => Ok(()),
            method => Err(ArchiveError::Method {
                name: self.shown(),
                method,
            }),
        }
    }

    pub(super) fn deflated(&self) -> bool {
        self.method == 8
    }

    pub(super) fn damaged(&self, what: &str) -> ArchiveError {
        ArchiveError::damaged(format!("{:?} {what}", self.shown()))
    }

    fn shown(&self) -> String {
        name::text(&self.name).into_owned()
    }
}

impl LocalEntry {
    pub(super) fn read(archive: &mut impl Read) -> Result<Self, ArchiveError> {
        let bytes = read_next(archive, 30)?;
        let mut fields = Fields(&bytes);
        if fields.bytes(4)? != b"PK\x03\x04" {
            return Err(ArchiveError::damaged(
                "an entry is not where its directory says",
            ));
        }
        fields.bytes(2)?;
        let (flags, method) = (fields.u16()?, fields.u16()?);
        fields.bytes(16)?;
        let (name, extra) = (fields.u16()?, fields.u16()?);
        let length = 30 + u64::from(name) + u64::from(extra);
        let name = read_next(archive, u64::from(name))?;
        read_next(archive, u64::from(extra))?;
        Ok(Self {
            name,
            flags,
            method,
            length,
        })
    }

    /// Programs that read from the front must see what those see that read the directory.
    pub(super) fn check_against(&self, entry: &CentralEntry) -> Result<(), ArchiveError> {
        let encrypted = self.flags & ENCRYPTED != 0;
        if self.name != entry.name || self.method != entry.method || encrypted {
            return Err(entry.damaged("is described in two ways"));
        }
        Ok(())
    }
}

fn read_at(
    archive: &mut (impl Read + Seek),
    position: u64,
    length: u64,
) -> Result<Vec<u8>, ArchiveError> {
    archive
        .seek(SeekFrom::Start(position))
        .map_err(ArchiveError::reading)?;
    read_next(archive, length)
}

/// At most 128 KiB: the lengths come from 16-bit fields.
fn read_next(archive: &mut impl Read, length: u64) -> Result<Vec<u8>, ArchiveError> {
    let mut bytes = Vec::new();
    archive
        .take(length)
        .read_to_end(&mut bytes)
        .map_err(ArchiveError::reading)?;
    if bytes.len() as u64 == length {
        Ok(bytes)
    } else {
        Err(ArchiveError::damaged("it ends too early"))
    }
}

/// Little-endian numbers, one after another.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn bytes(&mut self, count: usize) -> Result<&'a [u8], ArchiveError> {
        let (taken, rest) = self
            .0
            .split_at_checked(count)
            .ok_or_else(|| ArchiveError::damaged("a record is cut short"))?;
        self.0 = rest;
        Ok(taken)
    }

    fn u16(&mut self) -> Result<u16, ArchiveError> {
        let bytes = self.bytes(2)?;
        Ok(u16::from_le_bytes([bytes[0], bytes[1]]))
    }

    fn u32(&mut self) -> Result<u32, ArchiveError> {
        Ok(u32::from(self.u16()?) | u32::from(self.u16()?) << 16)
    }

    fn u64(&mut self) -> Result<u64, ArchiveError> {
        Ok(u64::from(self.u32()?) | u64::from(self.u32()?) << 32)
    }
}
