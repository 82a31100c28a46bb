//! Reads tar strictly: what two programs could read differently is refused.

use std::io::{self, Read};

use tar::{EntryType, Header};

use crate::error::ArchiveError;
use crate::limits::Limits;
use crate::name;

const BLOCK: u64 = 512;

/// The largest extended header that is read: names and a few attributes.
const LARGEST_EXTENSION: u64 = 1 << 20;

/// One member of a tar.
#[derive(Debug)]
pub(crate) struct Member {
    /// Its name as written, a slash at the end of a directory's name removed.
    pub(crate) name: Vec<u8>,
    pub(crate) kind: Kind,
    /// Bytes of content; 0 unless it is a file.
    pub(crate) size: u64,
}

#[derive(Debug)]
pub(crate) enum Kind {
    File { executable: bool },
    Directory,
    Link { target: Vec<u8> },
}

/// Calls `visit` with each member and its content, of which it may leave a part unread.
pub(crate) fn each(
    tar: &mut dyn Read,
    limits: &Limits,
    mut visit: impl FnMut(Member, &mut dyn Read) -> Result<(), ArchiveError>,
) -> Result<(), ArchiveError> {
    let mut stream = Stream::new(tar, limits);
    let mut extension = Extension::default();
    while let Some(header) = stream.header()? {
        let size = number(header.entry_size())?;
        match header.entry_type() {
            EntryType::XHeader => extension.read(&stream.small(size)?)?,
            EntryType::XGlobalHeader => {
                let mut global = Extension::default();
                global.read(&stream.small(size)?)?;
                if global.is_set() {
                    return Err(ArchiveError::damaged(
                        "one name is given to several entries",
                    ));
                }
            }
            EntryType::GNULongName => extension.path = Some(until_nul(stream.small(size)?)),
            EntryType::GNULongLink => extension.link = Some(until_nul(stream.small(size)?)),
            _ => {
                let member = std::mem::take(&mut extension).member(&header, size)?;
                let mut content = (&mut stream).take(size);
                visit(member, &mut content)?;
                let unread = content.limit();
                stream.skip(unread)?;
                stream.skip(size.next_multiple_of(BLOCK) - size)?;
            }
        }
    }
    if extension.is_set() {
        return Err(ArchiveError::damaged("its last header describes no entry"));
    }
    Ok(())
}

/// The bytes of the tar, counted: headers cannot be used to inflate without end either.
struct Stream<'a> {
    inner: &'a mut dyn Read,
    left: u64,
    limit: u64,
}

impl<'a> Stream<'a> {
    fn new(inner: &'a mut dyn Read, limits: &Limits) -> Self {
        let overhead = limits.entries.saturating_mul(3 * BLOCK);
        Self {
            inner,
            left: limits.unpacked.saturating_add(overhead),
            limit: limits.unpacked,
        }
    }

    /// The next header, or `None` at the end, which an empty block marks: a tar without it is cut short.
    fn header(&mut self) -> Result<Option<Header>, ArchiveError> {
        let mut header = Header::new_old();
        self.read_exact(header.as_mut_bytes())
            .map_err(ArchiveError::reading)?;
        let bytes = header.as_bytes();
        if bytes.iter().all(|byte| *byte == 0) {
            return Ok(None);
        }
        let with_blank_sum = bytes[..148].iter().chain(&bytes[156..]);
        let sum = with_blank_sum.map(|byte| u32::from(*byte)).sum::<u32>() + 8 * u32::from(b' ');
        if number(header.cksum())? != sum {
            return Err(ArchiveError::damaged("a header's checksum is wrong"));
        }
        Ok(Some(header))
    }

    /// The whole content of an extended header.
    fn small(&mut self, size: u64) -> Result<Vec<u8>, ArchiveError> {
        if size > LARGEST_EXTENSION {
            return Err(ArchiveError::damaged(
                "an extended header is larger than 1 MiB",
            ));
        }
        let mut content = Vec::new();
        self.by_ref()
            .take(size)
            .read_to_end(&mut content)
            .map_err(ArchiveError::reading)?;
        if (content.len() as u64) < size {
            return Err(ArchiveError::damaged("it ends too early"));
        }
        self.skip(size.next_multiple_of(BLOCK) - size)?;
        Ok(content)
    }

    fn skip(&mut self, bytes: u64) -> Result<(), ArchiveError> {
        let skipped = io::copy(&mut self.by_ref().take(bytes), &mut io::sink())
            .map_err(ArchiveError::reading)?;
        if skipped < bytes {
            return Err(ArchiveError::damaged("it ends too early"));
        }
        Ok(())
    }
}

impl Read for Stream<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.left = self.left.checked_sub(count as u64).ok_or_else(|| {
            io::Error::other(ArchiveError::TooLargeUnpacked { limit: self.limit })
        })?;
        Ok(count)
    }
}

/// What extended headers say about the next member.
#[derive(Default)]
struct Extension {
    path: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
    size: Option<u64>,
}

impl Extension {
    fn is_set(&self) -> bool {
        self.path.is_some() || self.link.is_some() || self.size.is_some()
    }

    /// Reads pax records: `length key=value\n`, where the length counts all of it.
    fn read(&mut self, mut records: &[u8]) -> Result<(), ArchiveError> {
        while !records.is_empty() {
            let (record, rest) = split_record(records)
                .ok_or_else(|| ArchiveError::damaged("a pax header is malformed"))?;
            records = rest;
            match record {
                (b"path", value) => self.path = Some(value.to_vec()),
                (b"linkpath", value) => self.link = Some(value.to_vec()),
                (b"size", value) => {
                    let size = str::from_utf8(value)
                        .ok()
                        .and_then(|size| size.parse().ok());
                    self.size =
                        Some(size.ok_or_else(|| ArchiveError::damaged("a size is no number"))?);
                }
                (key, _) if key.starts_with(b"GNU.sparse") => {
                    return Err(ArchiveError::damaged("it contains a sparse file"));
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn member(self, header: &Header, size: u64) -> Result<Member, ArchiveError> {
        let mut name = self
            .path
            .unwrap_or_else(|| header.path_bytes().into_owned());
        let shown = || name::text(&name).into_owned();
        if self.size.is_some_and(|said| said != size) {
            let reason = format!("it gives two sizes for {:?}", shown());
            return Err(ArchiveError::damaged(reason));
        }
        let kind = match header.entry_type() {
            EntryType::Directory => Kind::Directory,
            EntryType::Regular | EntryType::Continuous if name.ends_with(b"/") => Kind::Directory,
            EntryType::Regular | EntryType::Continuous => Kind::File {
                executable: number(header.mode())? & 0o100 != 0,
            },
            EntryType::Symlink => Kind::Link {
                target: self
                    .link
                    .or_else(|| header.link_name_bytes().map(std::borrow::Cow::into_owned))
                    .unwrap_or_default(),
            },
            other => {
                return Err(ArchiveError::UnsupportedEntry {
                    name: shown(),
                    kind: unsupported(other),
                });
            }
        };
        if size > 0 && !matches!(kind, Kind::File { .. }) {
            let reason = format!("{:?} has content but is no file", shown());
            return Err(ArchiveError::damaged(reason));
        }
        if matches!(kind, Kind::Directory) && name.ends_with(b"/") {
            name.pop();
        }
        Ok(Member { name, kind, size })
    }
}

/// A number of a header. The library's error repeats the field as it is, with whatever drives a terminal.
fn number<T>(read: io::Result<T>) -> Result<T, ArchiveError> {
    read.map_err(|_| ArchiveError::damaged("a number in a header is malformed"))
}

fn unsupported(kind: EntryType) -> &'static str {
    match kind {
        EntryType::Link => "a hard link",
        EntryType::Char | EntryType::Block => "a device",
        EntryType::Fifo => "a pipe",
        EntryType::GNUSparse => "a sparse file",
        _ => "of an unknown kind",
    }
}

/// Key, value, and the records after this one.
type Record<'a> = ((&'a [u8], &'a [u8]), &'a [u8]);

fn split_record(records: &[u8]) -> Option<Record<'_>> {
    let space = records.iter().position(|byte| *byte == b' ')?;
    let length: usize = str::from_utf8(&records[..space]).ok()?.parse().ok()?;
    if length <= space || length > records.len() {
        return None;
    }
    let (record, rest) = records.split_at(length);
    let pair = record[space + 1..].strip_suffix(b"\n")?;
    let equals = pair.iter().position(|byte| *byte == b'=')?;
    Some(((&pair[..equals], &pair[equals + 1..]), rest))
}

fn until_nul(mut name: Vec<u8>) -> Vec<u8> {
    if let Some(end) = name.iter().position(|byte| *byte == 0) {
        name.truncate(end);
    }
    name
}
