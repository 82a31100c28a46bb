//! Compressed content on its way: it arrives in the order of the tar and leaves in the order of the zip.

use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;

use flate2::{Compress, Compression, FlushCompress, Status};
use tempfile::SpooledTempFile;

use crate::error::ArchiveError;

/// So much stays in memory before a temporary file is made.
const IN_MEMORY: usize = 8 << 20;

/// Level 6, with zlib-rs, whose output does not depend on the processor. Another level or compressor would change
/// the bytes of dists that are built again.
const LEVEL: u32 = 6;

const BUFFER: usize = 64 * 1024;

/// A pointer of Git LFS is smaller than this and begins with its version line.
const LFS_POINTER: (u64, &[u8]) = (1024, b"version https://git-lfs.github.com/spec/v1");

pub(crate) struct Spool {
    file: SpooledTempFile,
    len: u64,
    compress: Compress,
    raw: Vec<u8>,
    packed: Vec<u8>,
}

/// Where the content of an entry lies in the spool, and what the zip says about it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Spooled {
    pub(crate) start: u64,
    pub(crate) packed_size: u64,
    pub(crate) size: u64,
    pub(crate) crc: u32,
    pub(crate) deflated: bool,
    pub(crate) is_lfs_pointer: bool,
}

impl Spool {
    pub(crate) fn new(directory: &Path) -> Self {
        Self {
            file: tempfile::spooled_tempfile_in(IN_MEMORY, directory),
            len: 0,
            compress: Compress::new(Compression::new(LEVEL), false),
            raw: vec![0; BUFFER],
            packed: vec![0; BUFFER],
        }
    }

    /// Bytes held.
    pub(crate) fn len(&self) -> u64 {
        self.len
    }

    /// Adds content as it is.
    pub(crate) fn store(&mut self, content: &[u8]) -> Result<Spooled, ArchiveError> {
        let start = self.len;
        self.file.write_all(content).map_err(ArchiveError::Write)?;
        self.len += content.len() as u64;
        Ok(Spooled {
            start,
            packed_size: content.len() as u64,
            size: content.len() as u64,
            crc: crc32fast::hash(content),
            ..Spooled::default()
        })
    }

    /// Adds the content of a file of this size, deflated. An empty one is stored.
    pub(crate) fn deflate(
        &mut self,
        content: &mut dyn Read,
        size: u64,
    ) -> Result<Spooled, ArchiveError> {
        if size == 0 {
            return self.store(&[]);
        }
        let start = self.len;
        let mut crc = crc32fast::Hasher::new();
        let mut read = 0;
        let mut is_lfs_pointer = false;
        self.compress.reset();
        loop {
            let count = fill(content, &mut self.raw).map_err(ArchiveError::reading)?;
            let piece = &self.raw[..count];
            is_lfs_pointer |= read == 0 && size < LFS_POINTER.0 && piece.starts_with(LFS_POINTER.1);
            crc.update(piece);
            read += count as u64;
            let last = count < self.raw.len();
            self.press(count, last)?;
            if last {
                break;
            }
        }
        if read != size {
            return Err(ArchiveError::damaged("it ends too early"));
        }
        Ok(Spooled {
            start,
            packed_size: self.len - start,
            size,
            crc: crc.finalize(),
            deflated: true,
            is_lfs_pointer,
        })
    }

    /// Compresses the first `count` bytes of the buffer.
    fn press(&mut self, count: usize, last: bool) -> Result<(), ArchiveError> {
        let flush = if last {
            FlushCompress::Finish
        } else {
            FlushCompress::None
        };
        let mut taken = 0;
        loop {
            let (before_in, before_out) = (self.compress.total_in(), self.compress.total_out());
            let status = self
                .compress
                .compress(&self.raw[taken..count], &mut self.packed, flush)
                .map_err(|error| ArchiveError::Write(io::Error::other(error)))?;
            taken += offset(self.compress.total_in() - before_in);
            let made = offset(self.compress.total_out() - before_out);
            self.file
                .write_all(&self.packed[..made])
                .map_err(ArchiveError::Write)?;
            self.len += made as u64;
            let done = if last {
                status == Status::StreamEnd
            } else {
                taken == count
            };
            if done {
                return Ok(());
            }
        }
    }

    /// Writes the content of an entry to the zip.
    pub(crate) fn copy(&mut self, data: &Spooled, out: &mut impl Write) -> io::Result<()> {
        self.file.seek(SeekFrom::Start(data.start))?;
        let mut left = data.packed_size;
        while left > 0 {
            let wanted = offset(left.min(BUFFER as u64));
            self.file.read_exact(&mut self.raw[..wanted])?;
            out.write_all(&self.raw[..wanted])?;
            left -= wanted as u64;
        }
        Ok(())
    }
}

/// At most the size of a buffer.
fn offset(bytes: u64) -> usize {
    usize::try_from(bytes).expect("no more than a buffer holds")
}

/// Fills the buffer as far as the content reaches: how the tar arrives in pieces must not show in the output.
fn fill(content: &mut dyn Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match content.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}
