//! Dists of packages without a repository: fetched from where their definition says, or uploaded.

use std::io::Seek;

use bytes::Bytes;
use kapelle_archive::{ArchiveError, DistReport};
use kapelle_outbound::OutboundError;
use kapelle_outbound::{HeaderMap, Request, shown};
use kapelle_storage::db::artifacts::Artifact;
use kapelle_storage::db::dists::{self as rows, Dist};
use kapelle_storage::db::packages::{self, Package};
use kapelle_storage::db::{artifacts, credentials, definitions, package_references};
use kapelle_vcs::Protocols;
use serde_json::Value;
use sha1::Sha1;
use sha2::{Digest, Sha256};
use tempfile::NamedTempFile;
use tokio::fs::File;
use tokio::io::AsyncWriteExt;

use super::build::{self, Failure, archive_limits};
use super::workshop::Made;
use super::{Cause, DistError, inspect};
use crate::artifact;
use crate::credential;
use crate::package::definition::{Definition, RemoteDist};
use crate::registry::Registry;

/// Reads what is stored of a custom package.
pub(crate) fn definition_of(json: Option<&str>) -> Result<Definition, String> {
    let json = json.ok_or("this package has no definition")?;
    let json: Value = serde_json::from_str(json).map_err(|error| error.to_string())?;
    // What may be written down was decided then.
    Definition::parse(&json, &Protocols::all(), u64::MAX)
}

/// The dist of a custom package's version, fetched unless it is here.
pub(crate) async fn of_version(
    registry: &Registry,
    package: &Package,
    remote: &RemoteDist,
) -> Result<Dist, DistError> {
    let fetch = async || fetch(registry, package, remote).await;
    build::once(registry, package, &remote.reference, fetch).await
}

/// Fetches the archive of a reference from where the package's definition says that it is.
pub(super) async fn fetch_again(
    registry: &Registry,
    package: &Package,
    reference: &str,
) -> Result<Made, Failure> {
    let mut connection = registry.database().read().await.map_err(Failure::machine)?;
    let json = definitions::find(&mut connection, package.id).await;
    let json = json.map_err(Failure::machine)?;
    drop(connection);
    let definition = definition_of(json.as_deref()).map_err(Failure::Unbuildable)?;
    let remote = definition
        .versions
        .into_iter()
        .filter_map(|version| version.dist)
        .find(|dist| dist.reference == reference);
    let gone = "the package's definition no longer says where it is";
    let remote = remote.ok_or_else(|| Failure::Unbuildable(gone.to_owned()))?;
    fetch(registry, package, &remote).await
}

async fn fetch(
    registry: &Registry,
    package: &Package,
    remote: &RemoteDist,
) -> Result<Made, Failure> {
    let headers = headers(registry, package, remote).await?;
    let made = download(registry, remote, headers).await?;
    let sha1 = hex::encode(made.report.sha1);
    match &remote.shasum {
        Some(expected) if *expected != sha1 => Err(Failure::Unbuildable(format!(
            "{} has the SHA-1 {sha1}, and its definition says {expected}",
            shown(&remote.url)
        ))),
        _ => Ok(made),
    }
}

/// What opens the place, where the package names a credential for that host.
async fn headers(
    registry: &Registry,
    package: &Package,
    remote: &RemoteDist,
) -> Result<HeaderMap, Failure> {
    let Some(id) = package.credential_id else {
        return Ok(HeaderMap::new());
    };
    let mut connection = registry.database().read().await.map_err(Failure::machine)?;
    let row = credentials::find(&mut connection, package.organization_id, id).await;
    let Some(row) = row.map_err(Failure::machine)? else {
        return Ok(HeaderMap::new());
    };
    let headers = credential::headers(registry, &row, &remote.url);
    headers.map_err(|error| Failure::Unavailable(Cause::Mirror, error.to_string()))
}

async fn download(
    registry: &Registry,
    remote: &RemoteDist,
    headers: HeaderMap,
) -> Result<Made, Failure> {
    let unavailable = |reason: String| Failure::Unavailable(Cause::Mirror, reason);
    let url = shown(&remote.url);
    let host = remote.url.host_str().unwrap_or_default();
    let permit = registry.parts.outbound.host_permit(host).await;
    let request = Request::get(&remote.url, headers, registry.limits().packed);
    let answer = registry.parts.outbound.stream(request).await;
    let mut answer = answer.map_err(|error| failed(&error))?;
    if !answer.status.is_success() {
        let sentence = format!("{url} answered {}", answer.status);
        return Err(match answer.status.as_u16() {
            408 | 429 | 500.. => unavailable(sentence),
            _ => Failure::Unbuildable(sentence),
        });
    }
    let file = NamedTempFile::new_in(&registry.parts.temporary)?;
    let mut writer = File::from_std(file.reopen()?);
    let (mut sha256, mut sha1, mut size) = (Sha256::new(), Sha1::new(), 0);
    while let Some(bytes) = answer.body.chunk().await.map_err(|error| failed(&error))? {
        add(&mut sha256, &mut sha1, &bytes);
        size += bytes.len() as u64;
        writer.write_all(&bytes).await?;
    }
    writer.flush().await?;
    drop((writer, permit));
    let mut report = DistReport {
        size,
        sha1: sha1.finalize().into(),
        sha256: sha256.finalize().into(),
        ..DistReport::default()
    };
    let (extension, entries) = judge(registry, &file, remote).await?;
    report.entries = entries;
    let mut file = file;
    file.as_file_mut().rewind()?;
    Ok(Made {
        file,
        report,
        extension,
    })
}

fn add(sha256: &mut Sha256, sha1: &mut Sha1, bytes: &Bytes) {
    sha256.update(bytes);
    sha1.update(bytes);
}

fn failed(error: &OutboundError) -> Failure {
    if error.is_temporary() {
        Failure::Unavailable(Cause::Mirror, error.to_string())
    } else {
        Failure::Unbuildable(error.to_string())
    }
}

/// What kind of archive it is, and whether anybody should unpack it. It need not have a composer.json.
async fn judge(
    registry: &Registry,
    file: &NamedTempFile,
    remote: &RemoteDist,
) -> Result<(&'static str, u64), Failure> {
    let limits = archive_limits(registry);
    let read = inspect::read(registry, file.path().to_owned(), limits).await;
    let found = match read.map_err(Failure::machine)? {
        Ok(found) => (found.kind, found.entries),
        Err(ArchiveError::NoRootFile { kind, .. }) => (kind, 0),
        Err(error) => {
            return Err(Failure::Unbuildable(format!(
                "{}: {error}",
                shown(&remote.url)
            )));
        }
    };
    let extension = artifact::extension(found.0);
    if extension.split('.').next() == Some(&*remote.kind) {
        return Ok((extension, found.1));
    }
    Err(Failure::Unbuildable(format!(
        "{} is no {} but a {extension} file: correct the type of its dist",
        shown(&remote.url),
        remote.kind
    )))
}

/// The dist of an artifact, whose bytes are stored already.
pub(crate) async fn of_artifact(
    registry: &Registry,
    package: &Package,
    artifact: &Artifact,
) -> Result<Dist, DistError> {
    let reference = &artifact.sha1;
    let mut transaction = registry.database().write().await?;
    if packages::hold(&mut transaction, package.id)
        .await?
        .is_none()
    {
        return Err(DistError::Removed(artifact.name.clone()));
    }
    let published = package_references::lock(&mut transaction, package.id, reference).await?;
    if published.is_some_and(|published| published.purged_at.is_some()) {
        return Err(DistError::Purged(package.name.clone().unwrap_or_default()));
    }
    let dist = Dist {
        package_id: package.id,
        reference: reference.clone(),
        sha256: artifact.sha256.clone(),
        sha1: artifact.sha1.clone(),
        size: artifact.size,
        has_submodules: false,
        has_lfs: false,
        created_at: registry.now(),
        extension: artifact.extension.clone(),
    };
    rows::insert_if_absent(&mut transaction, &dist).await?;
    transaction.commit().await?;
    Ok(dist)
}

/// Nothing can be made anew of an artifact: its bytes are all there is.
pub(super) async fn lost_artifact(
    registry: &Registry,
    package: &Package,
    reference: &str,
) -> Result<Failure, Failure> {
    let mut connection = registry.database().read().await.map_err(Failure::machine)?;
    let all = artifacts::list(&mut connection, package.id).await;
    let all = all.map_err(Failure::machine)?;
    let known = all.iter().find(|artifact| artifact.sha1 == reference);
    let file = known.map_or("an archive", |artifact| artifact.file_name.as_str());
    Ok(Failure::machine(format!(
        "the bytes of {file}, which was uploaded, are lost: restore the blobs from your backup, or upload it again"
    )))
}
