//! Artifacts: archives that somebody uploads, each of which becomes a version of a package.
//!
//! The bytes are on the disk before anything is known of them but their digests; whoever receives them decides whether they
//! are to be kept. What is not kept leaves nothing behind.

mod judge;

pub(crate) use judge::extension;

use std::collections::{BTreeSet, HashMap};

use kapelle_storage::blobs::BlobError;
use kapelle_storage::db::artifacts::{self as rows, Artifact};
use kapelle_storage::db::packages::{self, Package};
use kapelle_storage::{Handle, StorageError, Transaction};
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
use crate::jobs::{self, SyncPackage};
use crate::registry::Registry;

/// How long an artifact waits for a package.
pub(crate) const KEEP: i64 = DAY;
/// Artifacts of one package at most.
const ARTIFACTS: i64 = 5_000;
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

impl From<BlobError> for ArtifactError {
    fn from(error: BlobError) -> Self {
        Self::Store(error.to_string())
    }
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
    let file_name = judge::clean(file_name)?;
    let found = judge::inspect(registry, upload.file.path().to_owned()).await?;
    let kind = found.kind;
    let judged = judge::judge(registry, found)?;
    let artifact = Artifact {
        id: 0,
        organization_id,
        package_id: package.map(|package| package.id),
        file_name,
        extension: extension(kind).to_owned(),
        name: judged.name,
        version: judged.version,
        version_normalized: judged.normalized,
        sha256: upload.sha256.clone().finalize().to_vec(),
        sha1: hex::encode(upload.sha1.clone().finalize()),
        size: i64::try_from(upload.size).unwrap_or(i64::MAX),
        created_at: registry.now(),
    };
    if let Some(package) = package {
        // Asked again when it is written; what is refused already is not stored first. The bytes of a twin are: they may be lost.
        let mut connection = registry.database().read().await?;
        fits(&mut connection, package, &artifact).await?;
    }
    for _ in 0..STORES {
        blob::announce(registry, &artifact.sha256, artifact.size).await?;
        let put = registry
            .blobs()
            .put_file(&artifact.sha256, upload.file.path());
        put.await?;
        match insert(registry, actor, &artifact, &judged.manifest).await {
            Err(ArtifactError::Storage(StorageError::BlobGone { .. })) => {}
            Ok(kept) => {
                // Since they were stored, a collector may have deleted the bytes, and somebody else announced the same ones
                // anew. Now that they are referred to, nobody deletes them any more.
                if registry.blobs().size(&kept.sha256).await? != Some(upload.size) {
                    let put = registry.blobs().put_file(&kept.sha256, upload.file.path());
                    put.await?;
                }
                return Ok(kept);
            }
            Err(error) => {
                let transaction = registry.database().write().await?;
                blob::discard(registry, transaction, &artifact.sha256).await?;
                return Err(error);
            }
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
    manifest: &str,
) -> Result<Artifact, ArtifactError> {
    let mut transaction = registry.database().write().await?;
    if let Some(id) = artifact.package_id {
        // Whoever adds another one at the same time, removes the package or purges it, waits for this.
        let package = packages::hold(&mut transaction, id).await?;
        let removed = || ArtifactError::Refused(format!("{} was removed meanwhile", artifact.name));
        let package = package.ok_or_else(removed)?;
        if let Some(twin) = fits(&mut transaction, &package, artifact).await? {
            return Ok(twin);
        }
    }
    let id = rows::insert(&mut transaction, artifact, manifest).await?;
    let entry = audit::Entry {
        organization_id: Some(artifact.organization_id),
        action: "artifact.add",
        subject: &id.to_string(),
        detail: json!({ "file": artifact.file_name, "sha1": artifact.sha1, "package": artifact.package_id }),
    };
    audit::record(registry, &mut transaction, actor, entry).await?;
    if let Some(package_id) = artifact.package_id {
        let job = SyncPackage {
            organization_id: artifact.organization_id,
            package_id,
        };
        jobs::enqueue(registry, &mut transaction, &job).await?;
    }
    transaction.commit().await?;
    registry.wake_workers();
    Ok(Artifact {
        id,
        ..artifact.clone()
    })
}

/// Whether an artifact can become a version of a package; gives the one that has the same bytes already.
async fn fits(
    on: &mut impl Handle,
    package: &Package,
    artifact: &Artifact,
) -> Result<Option<Artifact>, ArtifactError> {
    let name = package.name.as_deref().unwrap_or_default();
    check_name(artifact, name)?;
    match rows::find_version(on, package.id, &artifact.version_normalized).await? {
        Some(twin) if twin.sha256 == artifact.sha256 => return Ok(Some(twin)),
        Some(other) => return Err(taken(artifact, &other)),
        None => {}
    }
    if rows::count(on, package.id).await? >= ARTIFACTS {
        return Err(ArtifactError::Refused(format!(
            "{name} has {ARTIFACTS} artifacts, which is as many as it may: leave some out of its artifactIds"
        )));
    }
    Ok(None)
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

/// Artifacts that make one package.
pub(crate) struct Chosen {
    pub(crate) name: String,
    pub(crate) artifacts: Vec<Artifact>,
}

/// The artifacts of those ids, if they are free, or `package`'s already, and make one package.
pub(crate) async fn choose(
    transaction: &mut Transaction,
    organization_id: i64,
    ids: &[i64],
    package: Option<&Package>,
) -> Result<Chosen, ArtifactError> {
    let refused = |sentence: String| Err(ArtifactError::Refused(sentence));
    if i64::try_from(ids.len()).unwrap_or(i64::MAX) > ARTIFACTS {
        return refused(format!("artifactIds names at most {ARTIFACTS} artifacts"));
    }
    // In their order, so that two who choose the same ones do not wait for each other.
    let sorted: BTreeSet<i64> = ids.iter().copied().collect();
    if sorted.len() < ids.len() {
        return refused("artifactIds: an artifact is named twice".to_owned());
    }
    let mut artifacts: Vec<Artifact> = Vec::with_capacity(ids.len());
    let mut versions: HashMap<String, usize> = HashMap::new();
    for id in sorted {
        let found = rows::lock(transaction, organization_id, id).await?;
        let found = found.ok_or(ArtifactError::Unknown(id))?;
        if found.package_id.is_some() && found.package_id != package.map(|it| it.id) {
            return refused(format!("artifact {id} is another package's"));
        }
        let name = package.and_then(|package| package.name.as_deref());
        let name = name.or(artifacts.first().map(|first| first.name.as_str()));
        check_name(&found, name.unwrap_or(&found.name))?;
        let twin = versions.insert(found.version_normalized.clone(), artifacts.len());
        if let Some(other) = twin {
            return Err(taken(&found, &artifacts[other]));
        }
        artifacts.push(found);
    }
    match artifacts.first() {
        Some(first) => Ok(Chosen {
            name: first.name.clone(),
            artifacts,
        }),
        None => refused("artifactIds names no artifact: upload one first".to_owned()),
    }
}

fn check_name(artifact: &Artifact, expected: &str) -> Result<(), ArtifactError> {
    if artifact.name == expected {
        return Ok(());
    }
    Err(ArtifactError::Refused(format!(
        "{} is of {}, and the package is {expected}",
        artifact.file_name, artifact.name
    )))
}

fn taken(artifact: &Artifact, other: &Artifact) -> ArtifactError {
    ArtifactError::Refused(format!(
        "version {} of {} is there already, with other bytes, as artifact {}: choose another version, or replace that \
         artifact by leaving it out of the package's artifactIds",
        artifact.version, artifact.name, other.id
    ))
}
