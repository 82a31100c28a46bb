//! Compresses the content of files: the same content always gives the same bytes.

use std::fmt;
use std::io::{self, Read};
use std::sync::Arc;

use flate2::{Compress, Compression, FlushCompress, Status};

use crate::error::ArchiveError;

/// Level 6, with zlib-rs, whose output does not depend on the processor. Another level or compressor would change
/// the bytes of dists that are built again.
const LEVEL: u32 = 6;

const BUFFER: usize = 64 * 1024;

/// A pointer of Git LFS is smaller than this and begins with its version line.
const LFS_POINTER: (u64, &[u8]) = (1024, b"version https://git-lfs.github.com/spec/v1");

/// What is known of content once it is compressed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Deflated {
    pub(crate) packed_size: u64,
    pub(crate) size: u64,
    pub(crate) crc: u32,
    /// Otherwise it is stored as it is.
    pub(crate) compressed: bool,
    pub(crate) is_lfs_pointer: bool,
}

/// Compresses one file after the other.
pub(crate) struct Deflater {
    compress: Compress,
    raw: Vec<u8>,
    packed: Vec<u8>,
}

impl Deflater {
    pub(crate) fn new() -> Self {
        Self {
            compress: Compress::new(Compression::new(LEVEL), false),
            raw: vec![0; BUFFER],
            packed: vec![0; BUFFER],
        }
    }

    /// Compresses the content of a file of this size, piece by piece. An empty one is stored.
    pub(crate) fn deflate(
        &mut self,
        content: &mut dyn Read,
        size: u64,
        mut sink: impl FnMut(&[u8]) -> io::Result<()>,
    ) -> Result<Deflated, ArchiveError> {
        let mut deflated = Deflated::default();
        if size == 0 {
            return Ok(deflated);
        }
        deflated.compressed = true;
        let mut crc = crc32fast::Hasher::new();
        self.compress.reset();
        loop {
            let count = fill(content, &mut self.raw).map_err(ArchiveError::reading)?;
            let piece = &self.raw[..count];
            let is_first = deflated.size == 0;
            deflated.is_lfs_pointer |=
                is_first && size < LFS_POINTER.0 && piece.starts_with(LFS_POINTER.1);
            crc.update(piece);
            deflated.size += count as u64;
            let last = count < self.raw.len();
            deflated.packed_size += self.press(count, last, &mut sink)?;
            if last {
                break;
            }
        }
        if deflated.size != size {
            return Err(ArchiveError::damaged("it ends too early"));
        }
        deflated.crc = crc.finalize();
        Ok(deflated)
    }

    /// Compresses the first `count` bytes of the buffer; how many that makes.
    fn press(
        &mut self,
        count: usize,
        last: bool,
        sink: &mut impl FnMut(&[u8]) -> io::Result<()>,
    ) -> Result<u64, ArchiveError> {
        let flush = if last {
            FlushCompress::Finish
        } else {
            FlushCompress::None
        };
        let (mut taken, mut packed_size) = (0, 0);
        loop {
            let (before_in, before_out) = (self.compress.total_in(), self.compress.total_out());
            let status = self
                .compress
                .compress(&self.raw[taken..count], &mut self.packed, flush)
                .map_err(|error| ArchiveError::Write(io::Error::other(error)))?;
            taken += offset(self.compress.total_in() - before_in);
            let made = self.compress.total_out() - before_out;
            sink(&self.packed[..offset(made)]).map_err(ArchiveError::Write)?;
            packed_size += made;
            let done = if last {
                status == Status::StreamEnd
            } else {
                taken == count
            };
            if done {
                return Ok(packed_size);
            }
        }
    }
}

/// The content of a file as every dist has it: it need not be compressed again for the next one. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Packed {
    pub(crate) bytes: Arc<[u8]>,
    pub(crate) deflated: Deflated,
}

impl Packed {
    /// Bytes it takes in memory.
    pub fn weight(&self) -> usize {
        self.bytes.len() + size_of::<Self>()
    }
}

/// Makes [`Packed`] files.
pub struct Packer {
    deflater: Deflater,
    bytes: Vec<u8>,
}

impl Default for Packer {
    fn default() -> Self {
        Self {
            deflater: Deflater::new(),
            bytes: Vec::new(),
        }
    }
}

impl Packer {
    /// Compresses content of this size in memory: not for large files.
    pub fn pack(&mut self, content: &mut dyn Read, size: u64) -> Result<Packed, ArchiveError> {
        self.bytes.clear();
        let bytes = &mut self.bytes;
        let deflated = self.deflater.deflate(content, size, |piece| {
            bytes.extend_from_slice(piece);
            Ok(())
        })?;
        Ok(Packed {
            bytes: self.bytes.as_slice().into(),
            deflated,
        })
    }
}

impl fmt::Debug for Packer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Packer")
    }
}

/// At most the size of a buffer.
fn offset(bytes: u64) -> usize {
    usize::try_from(bytes).expect("no more than a buffer holds")
}

/// Fills the buffer as far as the content reaches: how it arrives in pieces must not show in the output.
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
