//! Whether an archive that was uploaded can be installed, and what it is.

use std::path::PathBuf;

use kapelle_archive::{ArchiveError, ArchiveKind, RootFile};
use kapelle_composer::{Version, printable};

use super::ArtifactError;
use crate::dist::{self, archive_limits};
use crate::limits;
use crate::registry::Registry;

/// Longest name of a file, in bytes.
const FILE_NAME: usize = 255;
/// What an archive says of itself, if Composer could install it.
pub(super) struct Judged {
    pub(super) name: String,
    pub(super) version: String,
    pub(super) normalized: String,
    pub(super) manifest: String,
}

/// Reads an archive's composer.json as one of a repository is read.
pub(super) fn judge(registry: &Registry, found: RootFile) -> Result<Judged, ArtifactError> {
    let path = found.path;
    let refused = |error: String| ArtifactError::Refused(format!("{path}: {error}"));
    let limit = registry.limits().manifest;
    if found.content.len() as u64 > limit {
        return Err(refused(format!("it is larger than {limit} bytes")));
    }
    let manifest = String::from_utf8(found.content);
    let text = manifest.map_err(|_| refused("it is not UTF-8".to_owned()))?;
    let manifest = limits::manifest(text.as_bytes());
    let manifest = manifest.map_err(|error| refused(error.to_string()))?;
    let name = manifest.package_name();
    let name = name.map_err(|error| refused(error.to_string()))?;
    let version = manifest.version().unwrap_or_default().to_owned();
    if version.is_empty() {
        let sentence = "it has no \"version\", and an artifact is one version: add it";
        return Err(refused(sentence.to_owned()));
    }
    if version.chars().any(char::is_control) {
        let sentence = "its \"version\" has control characters";
        return Err(refused(sentence.to_owned()));
    }
    let normalized = Version::parse(&version);
    let normalized = normalized.map_err(|error| refused(error.to_string()))?;
    let checked = manifest.check_as(&version);
    checked.map_err(|error| refused(error.to_string()))?;
    Ok(Judged {
        name: name.as_str().to_owned(),
        normalized: normalized.as_str().to_owned(),
        version,
        manifest: text,
    })
}

/// Reads the whole archive: every name, link and checksum in it is checked, and every limit holds.
pub(super) async fn inspect(registry: &Registry, path: PathBuf) -> Result<RootFile, ArtifactError> {
    let limits = kapelle_archive::Limits {
        root_file: registry.limits().manifest,
        ..archive_limits(registry)
    };
    let read = dist::inspect::read(registry, path, limits).await;
    let read = read.map_err(|error| ArtifactError::Store(error.to_string()))?;
    read.map_err(|error| match error {
        ArchiveError::Read(source) => {
            ArtifactError::Refused(format!("the archive cannot be read to its end: {source}"))
        }
        other => ArtifactError::Refused(other.to_string()),
    })
}

/// What a file of that format is called.
pub(crate) fn extension(kind: ArchiveKind) -> &'static str {
    match kind {
        ArchiveKind::Zip => "zip",
        ArchiveKind::Tar => "tar",
        ArchiveKind::TarGz => "tar.gz",
        ArchiveKind::TarBz2 => "tar.bz2",
    }
}

/// The last part of a path, as people may see it.
pub(super) fn clean(file_name: &str) -> Result<String, ArtifactError> {
    let name = file_name.rsplit(['/', '\\']).next().unwrap_or_default();
    let name = printable(name.trim());
    if name.len() > FILE_NAME {
        return Err(ArtifactError::Refused(format!(
            "the file name has {} bytes; at most {FILE_NAME} are taken",
            name.len()
        )));
    }
    Ok(if name.is_empty() {
        "artifact".to_owned()
    } else {
        name
    })
}
