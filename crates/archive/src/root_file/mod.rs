//! Finds composer.json in an uploaded archive, and refuses archives that nobody should unpack.

mod survey;
mod tar;
mod zip;

use std::fs::File;
use std::io::{BufReader, Read, Seek};
use std::path::Path;

use crate::error::ArchiveError;
use crate::limits::Limits;

use survey::Survey;

/// The formats that are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ArchiveKind {
    /// `.zip`
    Zip,
    /// `.tar`
    Tar,
    /// `.tar.gz`
    TarGz,
    /// `.tar.bz2`
    TarBz2,
}

/// The file found, and what its archive is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RootFile {
    /// Its path in the archive: `composer.json` or `<top>/composer.json`.
    pub path: String,
    /// Its content.
    pub content: Vec<u8>,
    /// The format, by the archive's first bytes.
    pub kind: ArchiveKind,
    /// Entries of the archive.
    pub entries: u64,
    /// Bytes of all its files, counted while inflating them.
    pub unpacked_bytes: u64,
}

/// Reads a file at the root of an archive or, as Composer does, in the one top directory if the archive has nothing
/// else at its root (but `.DS_Store`).
///
/// The whole archive is read and inflated on the way, to nowhere: every name, link, size and checksum in it is checked
/// and every limit holds for what it really contains, not for what it says.
pub fn read_root_file(
    archive: &Path,
    file_name: &str,
    limits: &Limits,
) -> Result<RootFile, ArchiveError> {
    let mut file = File::open(archive).map_err(ArchiveError::Read)?;
    let packed = file.metadata().map_err(ArchiveError::Read)?.len();
    if packed > limits.packed {
        let limit = limits.packed;
        return Err(ArchiveError::TooLargePacked { limit });
    }
    let kind = detect(&mut file)?;
    file.rewind().map_err(ArchiveError::Read)?;
    let mut survey = Survey::new(file_name, limits, packed);
    let mut reader = BufReader::with_capacity(64 * 1024, file);
    match kind {
        ArchiveKind::Zip => zip::read(reader, packed, &mut survey)?,
        ArchiveKind::Tar => tar::read(&mut reader, &mut survey)?,
        ArchiveKind::TarGz => {
            tar::read(
                &mut flate2::bufread::MultiGzDecoder::new(reader),
                &mut survey,
            )?;
        }
        ArchiveKind::TarBz2 => {
            tar::read(
                &mut bzip2::bufread::MultiBzDecoder::new(reader),
                &mut survey,
            )?;
        }
    }
    survey.finish(kind)
}

fn detect(file: &mut File) -> Result<ArchiveKind, ArchiveError> {
    let mut head = Vec::new();
    file.take(512)
        .read_to_end(&mut head)
        .map_err(ArchiveError::Read)?;
    match head.as_slice() {
        [b'P', b'K', 3, 4, ..] | [b'P', b'K', 5, 6, ..] => Ok(ArchiveKind::Zip),
        [0x1f, 0x8b, ..] => Ok(ArchiveKind::TarGz),
        [b'B', b'Z', b'h', b'1'..=b'9', ..] => Ok(ArchiveKind::TarBz2),
        _ if head.get(257..262) == Some(b"ustar") => Ok(ArchiveKind::Tar),
        _ => Err(ArchiveError::UnknownFormat),
    }
}
