//! Surveys a zip, strictly: what two programs could read differently is refused.

mod records;

use std::io::{BufReader, Read, Seek, SeekFrom};

use flate2::bufread::DeflateDecoder;

use crate::error::ArchiveError;

use super::survey::Survey;
use records::{CentralEntry, Directory, EntryKind, LocalEntry};

/// The longest target of a link.
const LONGEST_TARGET: u64 = 4096;

pub(super) fn read<R: Read + Seek>(
    mut archive: BufReader<R>,
    size: u64,
    survey: &mut Survey<'_>,
) -> Result<(), ArchiveError> {
    let directory = Directory::find(&mut archive, size)?;
    if directory.entries > survey.limits().entries {
        let limit = survey.limits().entries;
        return Err(ArchiveError::TooManyEntries { limit });
    }
    let mut occupied = Vec::new();
    let mut position = directory.start;
    for _ in 0..directory.entries {
        seek(&mut archive, position)?;
        let entry = CentralEntry::read(&mut archive)?;
        position += entry.length;
        if position > directory.end {
            return Err(ArchiveError::damaged(
                "its directory is shorter than it says",
            ));
        }
        occupied.push(read_entry(&mut archive, &entry, &directory, survey)?);
    }
    if position != directory.end {
        return Err(ArchiveError::damaged(
            "its directory is longer than it says",
        ));
    }
    refuse_overlap(occupied)
}

/// Checks one entry and reads its content; gives the range of bytes that it occupies.
fn read_entry<R: Read + Seek>(
    archive: &mut BufReader<R>,
    entry: &CentralEntry,
    directory: &Directory,
    survey: &mut Survey<'_>,
) -> Result<(u64, u64), ArchiveError> {
    let kind = entry.kind()?;
    let name = entry.name.strip_suffix(b"/").unwrap_or(&entry.name);
    let path = survey.enter(name, kind == EntryKind::Directory)?;
    entry.check_readable()?;
    if entry.offset >= directory.start {
        return Err(entry.damaged("lies behind the directory"));
    }
    seek(archive, entry.offset)?;
    let local = LocalEntry::read(archive)?;
    local.check_against(entry)?;
    let end = (entry.offset + local.length).saturating_add(entry.packed_size);
    if end > directory.start {
        return Err(entry.damaged("reaches into the directory"));
    }
    let packed = archive.by_ref().take(entry.packed_size);
    if entry.deflated() {
        let mut inflated = DeflateDecoder::new(packed);
        read_content(&mut inflated, entry, kind, path.as_deref(), survey)?;
        if inflated.total_in() != entry.packed_size {
            return Err(entry.damaged("has bytes behind its content"));
        }
    } else {
        let mut stored = packed;
        read_content(&mut stored, entry, kind, path.as_deref(), survey)?;
    }
    Ok((entry.offset, end))
}

fn read_content(
    content: &mut dyn Read,
    entry: &CentralEntry,
    kind: EntryKind,
    path: Option<&str>,
    survey: &mut Survey<'_>,
) -> Result<(), ArchiveError> {
    // One byte more than announced is enough to know a lie.
    let mut checked = Checked {
        inner: content.take(entry.size.saturating_add(1)),
        crc: crc32fast::Hasher::new(),
    };
    let size = match (kind, path) {
        (EntryKind::File, Some(path)) => survey.file(path, &mut checked)?,
        (EntryKind::Link, Some(path)) => {
            let mut target = Vec::new();
            (&mut checked)
                .take(LONGEST_TARGET)
                .read_to_end(&mut target)
                .map_err(ArchiveError::reading)?;
            survey.link(path, &target)?;
            target.len() as u64
        }
        _ => survey_empty(&mut checked)?,
    };
    if size != entry.size || checked.crc.finalize() != entry.crc {
        return Err(entry.damaged("has another size or checksum than it says"));
    }
    Ok(())
}

/// A directory has no content; how much it has, up to one byte.
fn survey_empty(content: &mut dyn Read) -> Result<u64, ArchiveError> {
    let mut first = [0];
    let count = content.read(&mut first).map_err(ArchiveError::reading)?;
    Ok(count as u64)
}

fn refuse_overlap(mut occupied: Vec<(u64, u64)>) -> Result<(), ArchiveError> {
    occupied.sort_unstable();
    if occupied.windows(2).any(|pair| pair[0].1 > pair[1].0) {
        return Err(ArchiveError::damaged("two entries share their bytes"));
    }
    Ok(())
}

fn seek<R: Read + Seek>(archive: &mut BufReader<R>, position: u64) -> Result<(), ArchiveError> {
    archive
        .seek(SeekFrom::Start(position))
        .map(drop)
        .map_err(ArchiveError::Read)
}

/// Computes the checksum of what is read.
struct Checked<R> {
    inner: R,
    crc: crc32fast::Hasher,
}

impl<R: Read> Read for Checked<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.crc.update(&buffer[..count]);
        Ok(count)
    }
}
