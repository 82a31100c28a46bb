//! Artifacts: archives that somebody uploads, each of which becomes a version of a package.
//!
//! The bytes are on the disk before anything is known of them but their digests; whoever receives them decides whether they
//! are to be kept. What is not kept leaves nothing behind.

use std::path::PathBuf;

use kapelle_archive::{ArchiveError, ArchiveKind, RootFile, read_root_file};
use kapelle_composer::{Manifest, PackageName, Version, printable};
use kapelle_storage::db::artifacts::{self as rows, Artifact};
use kapelle_storage::db::packages::Package;
use kapelle_storage::{StorageError, Transaction};
use serde_json::json;
use sha1::Sha1;
use sha2::{Digest, Sha256};
use tempfile::NamedTempFile;
use tokio::fs::File;
use tokio::io::AsyncWriteExt;

use crate::access::{self, Denied};
use crate::actor::Actor;
use crate::audit;
use crate::blob::{self, CollectError};
use crate::clock::DAY;
use crate::dist::archive_limits;
use crate::jobs::{self, SyncPackage};
use crate::limits;
use crate::registry::Registry;

/// How long an artifact waits for a package.
pub(crate) const KEEP: i64 = DAY;
/// Longest name of a file, in bytes.
const FILE_NAME: usize = 255;
/// How often bytes are stored anew that a collector took from under us.
const STORES: usize = 3;

/// Why an archive is not taken, or not given to a package.
#[derive(Debug, thiserror::Error)]
pub enum ArtifactError {
    /// Not allowed.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// There is no artifact of that id that could be used.
    #[error("there is no artifact {0} in this organization: upload it again")]
    Unknown(i64),
    /// It is not what can be installed; the text says why.
    #[error("{0}")]
    Refused(String),
    /// It is larger than allowed.
    #[error("the artifact is larger than {0} bytes, which is limits.packed")]
    TooLarge(u64),
    /// It could not be stored.
    #[error("the artifact could not be stored: {0}")]
    Store(String),
    /// The database failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl From<CollectError> for ArtifactError {
    fn from(error: CollectError) -> Self {
        match error {
            CollectError::Storage(error) => Self::Storage(error),
            other => Self::Store(other.to_string()),
        }
    }
}

/// An archive while it arrives, in a file that is gone when this is dropped.
#[derive(Debug)]
pub struct Upload {
    file: NamedTempFile,
    writer: File,
    sha256: Sha256,
    sha1: Sha1,
    size: u64,
    limit: u64,
}

impl Upload {
    /// Begins one in the folder for temporary files.
    pub fn begin(registry: &Registry) -> Result<Self, ArtifactError> {
        registry.writable()?;
        let failed = |error: std::io::Error| ArtifactError::Store(error.to_string());
        let file = NamedTempFile::new_in(&registry.parts.temporary).map_err(failed)?;
        let writer = File::from_std(file.reopen().map_err(failed)?);
        Ok(Self {
            file,
            writer,
            sha256: Sha256::new(),
            sha1: Sha1::new(),
            size: 0,
            limit: registry.limits().packed,
        })
    }

    /// Adds the next bytes.
    pub async fn write(&mut self, bytes: &[u8]) -> Result<(), ArtifactError> {
        self.size += bytes.len() as u64;
        if self.size > self.limit {
            return Err(ArtifactError::TooLarge(self.limit));
        }
        self.sha256.update(bytes);
        self.sha1.update(bytes);
        let written = self.writer.write_all(bytes).await;
        written.map_err(|error| ArtifactError::Store(error.to_string()))
    }
}

/// Keeps an uploaded archive; with a package, it becomes a version of it, and the job that publishes it is queued.
/// The same bytes twice are the same artifact; other bytes for a version that is there are refused.
pub async fn keep(
    registry: &Registry,
    actor: &Actor,
    organization_id: i64,
    mut upload: Upload,
    file_name: &str,
    package: Option<&Package>,
) -> Result<Artifact, ArtifactError> {
    access::administer(actor, organization_id)?;
    let stored = |error: std::io::Error| ArtifactError::Store(error.to_string());
    upload.writer.flush().await.map_err(stored)?;
    let file_name = clean(file_name)?;
    let found = inspect(registry, upload.file.path().to_owned()).await?;
    let manifest = judge(registry, &found)?;
    let artifact = Artifact {
        id: 0,
        organization_id,
        package_id: package.map(|package| package.id),
        file_name,
        extension: extension(found.kind).to_owned(),
        manifest,
        sha256: upload.sha256.clone().finalize().to_vec(),
        sha1: hex::encode(upload.sha1.clone().finalize()),
        size: i64::try_from(upload.size).unwrap_or(i64::MAX),
        created_at: registry.now(),
    };
    for _ in 0..STORES {
        blob::announce(registry, &artifact.sha256, artifact.size).await?;
        let put = registry
            .blobs()
            .put_file(&artifact.sha256, upload.file.path());
        put.await
            .map_err(|error| ArtifactError::Store(error.to_string()))?;
        match insert(registry, actor, &artifact, package).await {
            Err(ArtifactError::Storage(StorageError::BlobGone { .. })) => {}
            outcome => return outcome,
        }
    }
    Err(ArtifactError::Store(
        "the same bytes are being deleted again and again".to_owned(),
    ))
}

async fn insert(
    registry: &Registry,
    actor: &Actor,
    artifact: &Artifact,
    package: Option<&Package>,
) -> Result<Artifact, ArtifactError> {
    let mut transaction = registry.database().write().await?;
    if let Some(package) = package {
        // Whoever adds another one at the same time waits here.
        kapelle_storage::db::packages::bump_revision(&mut transaction, package.id).await?;
        let mut all = rows::list(&mut transaction, package.id).await?;
        let twin = all.iter().find(|other| other.sha256 == artifact.sha256);
        if let Some(twin) = twin {
            return Ok(twin.clone());
        }
        all.push(artifact.clone());
        agree(&all, Some(package))?;
    }
    let id = rows::insert(&mut transaction, artifact).await?;
    let entry = audit::Entry {
        organization_id: Some(artifact.organization_id),
        action: "artifact.add",
        subject: &id.to_string(),
        detail: json!({ "file": artifact.file_name, "sha1": artifact.sha1, "package": artifact.package_id }),
    };
    audit::record(registry, &mut transaction, actor, entry).await?;
    if let Some(package) = package {
        let job = SyncPackage {
            organization_id: artifact.organization_id,
            package_id: package.id,
        };
        jobs::enqueue(registry, &mut transaction, &job).await?;
    }
    transaction.commit().await?;
    registry.wake_workers();
    // Since they were stored, a collector may have deleted the bytes; now that they are referred to, nobody does.
    let there = registry.blobs().size(&artifact.sha256).await;
    let there = there.map_err(|error| ArtifactError::Store(error.to_string()))?;
    if there.is_none() {
        return Err(ArtifactError::Storage(StorageError::BlobGone {
            sha256: hex::encode(&artifact.sha256),
        }));
    }
    Ok(Artifact {
        id,
        ..artifact.clone()
    })
}

/// The organization's artifact.
pub async fn find(
    registry: &Registry,
    actor: &Actor,
    organization_id: i64,
    id: i64,
) -> Result<Artifact, ArtifactError> {
    access::inspect(actor, organization_id)?;
    let found = rows::find(&mut registry.database().read().await?, organization_id, id).await?;
    found.ok_or(ArtifactError::Unknown(id))
}

/// A package's artifacts, oldest first.
pub async fn list(
    registry: &Registry,
    actor: &Actor,
    package: &Package,
) -> Result<Vec<Artifact>, ArtifactError> {
    access::inspect(actor, package.organization_id)?;
    Ok(rows::list(&mut registry.database().read().await?, package.id).await?)
}

/// The artifacts of an artifact's package, itself among them; only itself as long as it has none.
pub async fn beside(
    registry: &Registry,
    actor: &Actor,
    artifact: &Artifact,
) -> Result<Vec<i64>, ArtifactError> {
    access::inspect(actor, artifact.organization_id)?;
    let Some(package) = artifact.package_id else {
        return Ok(vec![artifact.id]);
    };
    let all = rows::list(&mut registry.database().read().await?, package).await?;
    Ok(all.into_iter().map(|artifact| artifact.id).collect())
}

/// The version in an artifact's composer.json, as it is written there.
pub fn version(artifact: &Artifact) -> String {
    let manifest = limits::manifest(artifact.manifest.as_bytes()).ok();
    let version = manifest.and_then(|manifest| manifest.version().map(str::to_owned));
    version.unwrap_or_default()
}

/// Artifacts that make one package.
pub(crate) struct Chosen {
    pub(crate) name: PackageName,
    pub(crate) artifacts: Vec<Artifact>,
}

/// The artifacts of those ids, if they are free, or `package`'s already, and make one package.
pub(crate) async fn choose(
    transaction: &mut Transaction,
    organization_id: i64,
    ids: &[i64],
    package: Option<&Package>,
) -> Result<Chosen, ArtifactError> {
    let mut artifacts = Vec::with_capacity(ids.len());
    for (index, &id) in ids.iter().enumerate() {
        let found = rows::find(transaction, organization_id, id).await?;
        let found = found.ok_or(ArtifactError::Unknown(id))?;
        let is_others = found.package_id.is_some() && found.package_id != package.map(|it| it.id);
        if is_others || ids[..index].contains(&id) {
            let why = if is_others {
                "another package's"
            } else {
                "named twice"
            };
            return Err(ArtifactError::Refused(format!("artifact {id} is {why}")));
        }
        artifacts.push(found);
    }
    let name = agree(&artifacts, package)?;
    Ok(Chosen { name, artifacts })
}

/// Whether archives have one name, that of the package, and each a version of its own.
fn agree(artifacts: &[Artifact], package: Option<&Package>) -> Result<PackageName, ArtifactError> {
    let refused = |sentence: String| Err(ArtifactError::Refused(sentence));
    let mut known: Option<PackageName> = None;
    let mut versions: Vec<(String, &Artifact)> = Vec::new();
    for artifact in artifacts {
        let (name, version) = named(artifact)?;
        let expected = package.and_then(|package| package.name.as_deref());
        let expected = expected.or(known.as_ref().map(PackageName::as_str));
        if expected.is_some_and(|expected| expected != name.as_str()) {
            return refused(format!(
                "{} is of {name}, and the package is {}",
                artifact.file_name,
                expected.unwrap_or_default()
            ));
        }
        if let Some((_, other)) = versions.iter().find(|(known, _)| *known == version) {
            return refused(format!(
                "version {version} of {name} is there already, with other bytes, as artifact {}: choose another version, \
                 or replace that artifact by leaving it out of the package's artifactIds",
                other.id
            ));
        }
        versions.push((version, artifact));
        known = Some(name);
    }
    known.map_or_else(
        || refused("artifactIds names no artifact: upload one first".to_owned()),
        Ok,
    )
}

/// Name and normalized version in an artifact's composer.json, which was judged when it was uploaded.
fn named(artifact: &Artifact) -> Result<(PackageName, String), ArtifactError> {
    let refused = |error: String| ArtifactError::Refused(error);
    let manifest = limits::manifest(artifact.manifest.as_bytes());
    let manifest = manifest.map_err(|error| refused(error.to_string()))?;
    let name = manifest.package_name();
    let name = name.map_err(|error| refused(error.to_string()))?;
    let version = Version::parse(manifest.version().unwrap_or_default());
    let version = version.map_err(|error| refused(error.to_string()))?;
    Ok((name, version.as_str().to_owned()))
}

/// The composer.json of an archive that Composer could install.
fn judge(registry: &Registry, found: &RootFile) -> Result<String, ArtifactError> {
    let refused =
        |what: &str, error: String| Err(ArtifactError::Refused(format!("{what}: {error}")));
    let limit = registry.limits().manifest;
    if found.content.len() as u64 > limit {
        return refused(&found.path, format!("it is larger than {limit} bytes"));
    }
    let Ok(text) = String::from_utf8(found.content.clone()) else {
        return refused(&found.path, "it is not UTF-8".to_owned());
    };
    let manifest: Manifest = match limits::manifest(text.as_bytes()) {
        Ok(manifest) => manifest,
        Err(error) => return refused(&found.path, error.to_string()),
    };
    if let Err(error) = manifest.package_name() {
        return refused(&found.path, error.to_string());
    }
    let version = manifest.version().unwrap_or_default();
    if version.is_empty() {
        let sentence = "it has no \"version\", and an artifact is one version: add it";
        return refused(&found.path, sentence.to_owned());
    }
    if version.chars().any(char::is_control) {
        return refused(
            &found.path,
            "its \"version\" has control characters".to_owned(),
        );
    }
    if let Err(error) = Version::parse(version) {
        return refused(&found.path, error.to_string());
    }
    if let Err(error) = manifest.check_as(version) {
        return refused(&found.path, error.to_string());
    }
    Ok(text)
}

/// Reads the whole archive: every name, link and checksum in it is checked, and every limit holds.
async fn inspect(registry: &Registry, path: PathBuf) -> Result<RootFile, ArtifactError> {
    let limits = archive_limits(registry);
    let limits = kapelle_archive::Limits {
        root_file: registry.limits().manifest,
        ..limits
    };
    let read = move || read_root_file(&path, "composer.json", &limits);
    let read = tokio::task::spawn_blocking(read).await;
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
fn clean(file_name: &str) -> Result<String, ArtifactError> {
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
