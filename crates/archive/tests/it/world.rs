//! Tars and zips to order, and what is made of them.

use std::io::Read;
use std::path::Path;

use kapelle_archive::{
    ArchiveError, DistOptions, DistReport, Limits, RootFile, read_root_file, write_dist,
};
use tar::{Builder, EntryType, Header};

/// A tar as `git archive` writes it.
pub(crate) struct Tar(Builder<Vec<u8>>);

impl Tar {
    pub(crate) fn new() -> Self {
        Self(Builder::new(Vec::new()))
    }

    fn add(mut self, kind: EntryType, name: &str, mode: u32, target: &str, content: &[u8]) -> Self {
        let mut header = Header::new_ustar();
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_mtime(1_700_000_000);
        header.set_size(content.len() as u64);
        // Written byte by byte: the library refuses the names that hostile tars have.
        let bytes = header.as_mut_bytes();
        bytes[..name.len()].copy_from_slice(name.as_bytes());
        bytes[157..157 + target.len()].copy_from_slice(target.as_bytes());
        header.set_cksum();
        self.0.append(&header, content).unwrap();
        self
    }

    pub(crate) fn file(self, name: &str, content: impl AsRef<[u8]>) -> Self {
        self.add(EntryType::Regular, name, 0o664, "", content.as_ref())
    }

    pub(crate) fn executable(self, name: &str, content: impl AsRef<[u8]>) -> Self {
        self.add(EntryType::Regular, name, 0o775, "", content.as_ref())
    }

    pub(crate) fn directory(self, name: &str) -> Self {
        self.add(EntryType::Directory, name, 0o775, "", b"")
    }

    pub(crate) fn link(self, name: &str, target: &str) -> Self {
        self.add(EntryType::Symlink, name, 0o777, target, b"")
    }

    pub(crate) fn special(self, kind: EntryType, name: &str, content: &str) -> Self {
        self.add(kind, name, 0o644, "", content.as_bytes())
    }

    /// A pax header for the next entry.
    pub(crate) fn pax(mut self, records: &[(&str, &[u8])]) -> Self {
        self.0
            .append_pax_extensions(records.iter().copied())
            .unwrap();
        self
    }

    pub(crate) fn finish(self) -> Vec<u8> {
        self.0.into_inner().unwrap()
    }
}

/// Writes the dist of a tar with default limits and nothing excluded.
pub(crate) fn dist(tar: &[u8]) -> Result<(Vec<u8>, DistReport), ArchiveError> {
    dist_with(tar, &Limits::default(), &|_| false)
}

pub(crate) fn dist_with(
    tar: impl Read,
    limits: &Limits,
    exclude: &dyn Fn(&str) -> bool,
) -> Result<(Vec<u8>, DistReport), ArchiveError> {
    let spool = tempfile::tempdir().unwrap();
    let mut zip = Vec::new();
    let options = DistOptions {
        top_directory: "acme-util-1a2b3c",
        exclude,
        submodules: true,
        modified_at: 1_700_000_000,
        limits,
        spool: spool.path(),
    };
    let report = write_dist(tar, &options, &mut zip)?;
    assert_eq!(std::fs::read_dir(spool.path()).unwrap().count(), 0);
    Ok((zip, report))
}

/// The names of a zip without its top directory, as an independent reader sees them.
pub(crate) fn names(zip: &[u8]) -> Vec<String> {
    let archive = zip::ZipArchive::new(std::io::Cursor::new(zip)).unwrap();
    let names = archive
        .file_names_raw()
        .map(|name| String::from_utf8_lossy(name).into_owned());
    names
        .filter_map(|name| name.strip_prefix("acme-util-1a2b3c/").map(str::to_owned))
        .filter(|name| !name.is_empty())
        .collect()
}

/// Looks for composer.json in an archive.
pub(crate) fn composer_json(archive: &[u8]) -> Result<RootFile, ArchiveError> {
    composer_json_with(archive, &Limits::default())
}

pub(crate) fn composer_json_with(
    archive: &[u8],
    limits: &Limits,
) -> Result<RootFile, ArchiveError> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("upload");
    std::fs::write(&path, archive).unwrap();
    read_root_file(&path, "composer.json", limits)
}

/// The text of a file.
pub(crate) fn text(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap()
}

/// A zip written by hand, so that it can lie. One entry that is fine.
#[derive(Clone)]
pub(crate) struct HandEntry {
    pub(crate) name: Vec<u8>,
    /// The name in the header before the content.
    pub(crate) local_name: Vec<u8>,
    pub(crate) content: Vec<u8>,
    pub(crate) method: u16,
    pub(crate) flags: u16,
    pub(crate) mode: u32,
    pub(crate) size: u32,
    pub(crate) crc: u32,
    pub(crate) extra: Vec<u8>,
    /// Where the directory says it is; otherwise where it is.
    pub(crate) offset: Option<u32>,
}

impl HandEntry {
    pub(crate) fn new(name: &str, content: &[u8]) -> Self {
        Self {
            name: name.as_bytes().to_vec(),
            local_name: name.as_bytes().to_vec(),
            content: content.to_vec(),
            method: 0,
            flags: 0,
            mode: 0o100_644,
            size: u32::try_from(content.len()).unwrap(),
            crc: crc32fast::hash(content),
            extra: Vec::new(),
            offset: None,
        }
    }

    /// The same with its content deflated.
    pub(crate) fn deflated(name: &str, content: &[u8]) -> Self {
        let mut packed = flate2::read::DeflateEncoder::new(content, flate2::Compression::best());
        let mut entry = Self::new(name, content);
        entry.method = 8;
        entry.content.clear();
        packed.read_to_end(&mut entry.content).unwrap();
        entry
    }

    fn described(&self, name: &[u8], extra: &[u8]) -> Vec<u8> {
        let packed = u32::try_from(self.content.len()).unwrap();
        let mut part = vec![20, 0];
        part.extend(self.flags.to_le_bytes());
        part.extend(self.method.to_le_bytes());
        part.extend([0, 0, 0x21, 0]);
        part.extend(self.crc.to_le_bytes());
        part.extend(packed.to_le_bytes());
        part.extend(self.size.to_le_bytes());
        part.extend(u16::try_from(name.len()).unwrap().to_le_bytes());
        part.extend(u16::try_from(extra.len()).unwrap().to_le_bytes());
        part
    }
}

/// Puts entries into a zip. The last 22 bytes are its end record.
pub(crate) fn hand_zip(entries: &[HandEntry]) -> Vec<u8> {
    let mut zip = Vec::new();
    let mut directory = Vec::new();
    for entry in entries {
        let offset = entry.offset.unwrap_or(u32::try_from(zip.len()).unwrap());
        zip.extend(b"PK\x03\x04");
        zip.extend(entry.described(&entry.local_name, &[]));
        zip.extend(&entry.local_name);
        zip.extend(&entry.content);
        directory.extend(b"PK\x01\x02\x14\x03");
        directory.extend(entry.described(&entry.name, &entry.extra));
        directory.extend([0; 6]);
        directory.extend((entry.mode << 16).to_le_bytes());
        directory.extend(offset.to_le_bytes());
        directory.extend(&entry.name);
        directory.extend(&entry.extra);
    }
    let count = u16::try_from(entries.len()).unwrap().to_le_bytes();
    let start = u32::try_from(zip.len()).unwrap();
    zip.extend(&directory);
    zip.extend(b"PK\x05\x06\0\0\0\0");
    zip.extend([count, count].concat());
    zip.extend(u32::try_from(directory.len()).unwrap().to_le_bytes());
    zip.extend(start.to_le_bytes());
    zip.extend([0; 2]);
    zip
}
