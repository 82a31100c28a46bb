//! Compressed content on its way: it arrives in any order and leaves in the order of the zip.

use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;

use tempfile::SpooledTempFile;

use crate::error::ArchiveError;

use super::deflate::{Deflated, Deflater, Packed};

/// So much stays in memory before a temporary file is made.
const IN_MEMORY: usize = 8 << 20;

const BUFFER: usize = 64 * 1024;

pub(crate) struct Spool {
    file: SpooledTempFile,
    len: u64,
    /// Made when it is needed.
    deflater: Option<Deflater>,
    buffer: Vec<u8>,
}

/// Where the content of an entry lies in the spool, and what the zip says about it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Spooled {
    pub(crate) start: u64,
    pub(crate) content: Deflated,
}

impl Spool {
    pub(crate) fn new(directory: &Path) -> Self {
        Self {
            file: tempfile::spooled_tempfile_in(IN_MEMORY, directory),
            len: 0,
            deflater: None,
            buffer: vec![0; BUFFER],
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
            content: Deflated {
                packed_size: content.len() as u64,
                size: content.len() as u64,
                crc: crc32fast::hash(content),
                ..Deflated::default()
            },
        })
    }

    /// Adds content that is compressed already.
    pub(crate) fn add(&mut self, packed: &Packed) -> Result<Spooled, ArchiveError> {
        let start = self.len;
        self.file
            .write_all(&packed.bytes)
            .map_err(ArchiveError::Write)?;
        self.len += packed.bytes.len() as u64;
        Ok(Spooled {
            start,
            content: packed.deflated,
        })
    }

    /// Adds the content of a file of this size, deflated. An empty one is stored.
    pub(crate) fn deflate(
        &mut self,
        content: &mut dyn Read,
        size: u64,
    ) -> Result<Spooled, ArchiveError> {
        let start = self.len;
        let file = &mut self.file;
        let deflater = self.deflater.get_or_insert_with(Deflater::new);
        let content = deflater.deflate(content, size, |piece| file.write_all(piece))?;
        self.len += content.packed_size;
        Ok(Spooled { start, content })
    }

    /// Writes the content of an entry to the zip.
    pub(crate) fn copy(&mut self, data: &Spooled, out: &mut impl Write) -> io::Result<()> {
        self.file.seek(SeekFrom::Start(data.start))?;
        let mut left = data.content.packed_size;
        while left > 0 {
            let wanted = usize::try_from(left).map_or(BUFFER, |left| left.min(BUFFER));
            self.file.read_exact(&mut self.buffer[..wanted])?;
            out.write_all(&self.buffer[..wanted])?;
            left -= wanted as u64;
        }
        Ok(())
    }
}
