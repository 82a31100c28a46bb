//! The zip format as far as a dist needs it: sizes are known before an entry is written, so nothing is patched
//! later, and the digests are ready with the last byte.

use std::io::{self, Write};

use kapelle_failpoint::reach;
use sha1::{Digest, Sha1};
use sha2::Sha256;
use time::OffsetDateTime;

use crate::error::ArchiveError;

use super::spool::Spool;
use super::tree::{Entry, EntryKind};

/// Offsets and sizes have 32 bits; only the number of entries may need the format's 64-bit extension.
pub(crate) const LARGEST: u64 = u32::MAX as u64;

/// Deflate and directories.
const VERSION: u16 = 20;
/// The 64-bit extension.
const VERSION_64: u16 = 45;
/// Made on Unix, which makes readers look for a mode in the external attributes.
const MADE_BY: u16 = 3 << 8 | VERSION;
/// The name is UTF-8.
const UTF8: u16 = 1 << 11;
/// The attribute by which DOS knows a directory.
const DOS_DIRECTORY: u32 = 0x10;
/// So many entries and more need the 64-bit extension.
const MANY: u64 = u16::MAX as u64;

pub(crate) struct ZipWriter<W> {
    out: W,
    size: u64,
    sha1: Sha1,
    sha256: Sha256,
    /// The central directory, written at the end.
    directory: Vec<u8>,
    entries: u64,
    modified: [u8; 4],
}

/// What a finished zip is.
pub(crate) struct Written {
    pub(crate) size: u64,
    pub(crate) sha1: [u8; 20],
    pub(crate) sha256: [u8; 32],
}

/// The exact size of a zip of entries with these names and so many bytes of content.
pub(crate) fn size_of<'a>(names: impl Iterator<Item = &'a [u8]>, content: u64) -> u64 {
    let (entries, headers) = names.fold((0, 0), |(entries, headers), name| {
        (entries + 1, headers + 30 + 46 + 2 * name.len() as u64)
    });
    let end = if entries < MANY { 22 } else { 56 + 20 + 22 };
    content + headers + end
}

impl<W: Write> ZipWriter<W> {
    /// All entries are dated `modified_at`, in seconds since 1970.
    pub(crate) fn new(out: W, modified_at: i64) -> Self {
        Self {
            modified: dos_time(modified_at),
            out,
            size: 0,
            sha1: Sha1::new(),
            sha256: Sha256::new(),
            directory: Vec::new(),
            entries: 0,
        }
    }

    /// Writes one entry. The caller has made sure, by [`size_of`], that the whole stays below [`LARGEST`].
    pub(crate) fn entry(
        &mut self,
        name: &[u8],
        entry: &Entry,
        spool: &mut Spool,
    ) -> Result<(), ArchiveError> {
        let offset = self.size;
        let described = describe(name, entry, self.modified)?;
        let mut local = Vec::with_capacity(30 + name.len());
        local.extend(b"PK\x03\x04");
        local.extend(&described);
        local.extend(name);
        self.write_all(&local).map_err(ArchiveError::Write)?;
        spool.copy(&entry.data, self).map_err(ArchiveError::Write)?;
        reach("while a zip is written");

        self.directory.extend(b"PK\x01\x02");
        self.directory.extend(MADE_BY.to_le_bytes());
        self.directory.extend(&described);
        // No comment, disk 0, no internal attributes.
        self.directory.extend([0; 6]);
        self.directory.extend(attributes(entry.kind).to_le_bytes());
        self.directory.extend(short(offset)?.to_le_bytes());
        self.directory.extend(name);
        self.entries += 1;
        Ok(())
    }

    pub(crate) fn finish(mut self) -> Result<Written, ArchiveError> {
        let start = self.size;
        let directory = std::mem::take(&mut self.directory);
        self.write_all(&directory).map_err(ArchiveError::Write)?;
        let mut end = Vec::new();
        if self.entries >= MANY {
            end.extend(b"PK\x06\x06");
            end.extend(44_u64.to_le_bytes());
            end.extend((3 << 8 | VERSION_64).to_le_bytes());
            end.extend(VERSION_64.to_le_bytes());
            end.extend([0; 8]);
            end.extend(self.entries.to_le_bytes());
            end.extend(self.entries.to_le_bytes());
            end.extend((directory.len() as u64).to_le_bytes());
            end.extend(start.to_le_bytes());
            end.extend(b"PK\x06\x07");
            end.extend(0_u32.to_le_bytes());
            end.extend(self.size.to_le_bytes());
            end.extend(1_u32.to_le_bytes());
        }
        let entries = u16::try_from(self.entries).unwrap_or(u16::MAX);
        end.extend(b"PK\x05\x06");
        end.extend([0; 4]);
        end.extend(entries.to_le_bytes());
        end.extend(entries.to_le_bytes());
        end.extend(short(directory.len() as u64)?.to_le_bytes());
        end.extend(short(start)?.to_le_bytes());
        end.extend([0; 2]);
        self.write_all(&end).map_err(ArchiveError::Write)?;
        self.flush().map_err(ArchiveError::Write)?;
        Ok(Written {
            size: self.size,
            sha1: self.sha1.finalize().into(),
            sha256: self.sha256.finalize().into(),
        })
    }
}

/// Time and date of day in DOS form: two seconds exact, from 1980 to 2107, without a zone. Ours is UTC.
fn dos_time(seconds: i64) -> [u8; 4] {
    const EARLIEST: i64 = 315_532_800;
    const LATEST: i64 = 4_354_819_198;
    let moment = OffsetDateTime::from_unix_timestamp(seconds.clamp(EARLIEST, LATEST))
        .unwrap_or(OffsetDateTime::UNIX_EPOCH);
    let [hour, minute, second, month, day] = [
        moment.hour(),
        moment.minute(),
        moment.second(),
        moment.month().into(),
        moment.day(),
    ]
    .map(u16::from);
    let year = u16::try_from(moment.year() - 1980).unwrap_or(0);
    let [time, date] = [
        hour << 11 | minute << 5 | (second / 2),
        year << 9 | month << 5 | day,
    ];
    let [[a, b], [c, d]] = [time.to_le_bytes(), date.to_le_bytes()];
    [a, b, c, d]
}

/// The part that the local header and the central directory share: from the version to the length of the extra field.
fn describe(name: &[u8], entry: &Entry, modified: [u8; 4]) -> Result<Vec<u8>, ArchiveError> {
    let utf8 = !name.is_ascii() && str::from_utf8(name).is_ok();
    let length = u16::try_from(name.len()).map_err(|_| too_large())?;
    let method = if entry.data.content.compressed {
        8_u16
    } else {
        0
    };
    let mut part = Vec::with_capacity(26);
    part.extend(VERSION.to_le_bytes());
    part.extend(if utf8 { UTF8 } else { 0 }.to_le_bytes());
    part.extend(method.to_le_bytes());
    part.extend(modified);
    part.extend(entry.data.content.crc.to_le_bytes());
    part.extend(short(entry.data.content.packed_size)?.to_le_bytes());
    part.extend(short(entry.data.content.size)?.to_le_bytes());
    part.extend(length.to_le_bytes());
    part.extend(0_u16.to_le_bytes());
    Ok(part)
}

/// The Unix mode, with its kind, in the upper half.
fn attributes(kind: EntryKind) -> u32 {
    match kind {
        EntryKind::File { executable: false } => 0o100_644 << 16,
        EntryKind::File { executable: true } => 0o100_755 << 16,
        EntryKind::Directory => 0o040_755 << 16 | DOS_DIRECTORY,
        EntryKind::Link => 0o120_777 << 16,
    }
}

fn short(size: u64) -> Result<u32, ArchiveError> {
    u32::try_from(size).map_err(|_| too_large())
}

fn too_large() -> ArchiveError {
    ArchiveError::TooLargePacked { limit: LARGEST }
}

impl<W: Write> Write for ZipWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.out.write(bytes)?;
        self.sha1.update(&bytes[..count]);
        self.sha256.update(&bytes[..count]);
        self.size += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}
