//! Artifacts: archives that were uploaded, each a version of a package or waiting to become one.

use crate::handle::{
    Handle, Transaction, execute, execute_one, fetch_all, fetch_one, fetch_optional,
};
use crate::row::columns;
use crate::statement::sql;
use crate::value::values;
use crate::{Result, StorageError};

use super::{Number, Text};

/// An artifact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Artifact {
    /// Key.
    pub id: i64,
    /// Whose it is.
    pub organization_id: i64,
    /// Whose version it is; `None`: nobody has asked for it yet.
    pub package_id: Option<i64>,
    /// What it was called when it was uploaded.
    pub file_name: String,
    /// What it is: `zip`, `tar`, `tar.gz` or `tar.bz2`.
    pub extension: String,
    /// The name in its composer.json.
    pub name: String,
    /// The version there.
    pub version: String,
    /// The same as Composer compares it.
    pub version_normalized: String,
    /// The blob.
    pub sha256: Vec<u8>,
    /// Composer's `shasum`, hexadecimal.
    pub sha1: String,
    /// Bytes.
    pub size: i64,
    /// When it was uploaded.
    pub created_at: i64,
}
columns!(
    Artifact: id, organization_id, package_id, file_name, extension, name, version, version_normalized, sha256, sha1,
    size, created_at
);

/// Adds an artifact whose bytes are stored and gives its key; `artifact.id` means nothing. When a collector has taken the
/// bytes meanwhile, that is [`StorageError::BlobGone`]: store them again. Another artifact of the package's that is the same
/// version is [`StorageError::Duplicate`].
pub async fn insert(tx: &mut Transaction, artifact: &Artifact, manifest: &str) -> Result<i64> {
    let touch = sql!(
        "UPDATE blobs SET touched_at = CASE WHEN touched_at > $2 THEN touched_at ELSE $2 END
         WHERE sha256 = $1 AND state = 'live'"
    );
    if execute(tx, touch, values![&artifact.sha256, artifact.created_at]).await? == 0 {
        return Err(StorageError::BlobGone {
            sha256: hex::encode(&artifact.sha256),
        });
    }
    let sql = sql!(
        "INSERT INTO artifacts (organization_id, package_id, file_name, extension, name, version, version_normalized,
             manifest, sha256, sha1, size, created_at, free_since)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, CASE WHEN CAST($2 AS BIGINT) IS NULL THEN CAST($12 AS BIGINT) END)
         RETURNING id AS value"
    );
    let Artifact {
        organization_id,
        package_id,
        file_name,
        extension,
        name,
        version,
        version_normalized,
        sha256,
        sha1,
        size,
        created_at,
        ..
    } = artifact;
    let values = values![
        *organization_id,
        *package_id,
        file_name,
        extension,
        name,
        version,
        version_normalized,
        manifest,
        sha256,
        sha1,
        *size,
        *created_at
    ];
    fetch_one::<Number>(tx, sql, values)
        .await
        .map(|row| row.value)
}

/// The organization's artifact with this key.
pub async fn find(on: &mut impl Handle, organization_id: i64, id: i64) -> Result<Option<Artifact>> {
    let sql = sql!(
        "SELECT id, organization_id, package_id, file_name, extension, name, version, version_normalized, sha256,
             sha1, size, created_at
         FROM artifacts WHERE organization_id = $1 AND id = $2"
    );
    fetch_optional(on, sql, values![organization_id, id]).await
}

/// A package's artifacts, oldest first.
pub async fn list(on: &mut impl Handle, package_id: i64) -> Result<Vec<Artifact>> {
    let sql = sql!(
        "SELECT id, organization_id, package_id, file_name, extension, name, version, version_normalized, sha256,
             sha1, size, created_at
         FROM artifacts WHERE package_id = $1 ORDER BY id"
    );
    fetch_all(on, sql, values![package_id]).await
}

/// How many artifacts a package has.
pub async fn count(on: &mut impl Handle, package_id: i64) -> Result<i64> {
    let sql = sql!("SELECT COUNT(*) AS value FROM artifacts WHERE package_id = $1");
    fetch_one::<Number>(on, sql, values![package_id])
        .await
        .map(|row| row.value)
}

/// A package's artifact of a version.
pub async fn find_version(
    on: &mut impl Handle,
    package_id: i64,
    version_normalized: &str,
) -> Result<Option<Artifact>> {
    let sql = sql!(
        "SELECT id, organization_id, package_id, file_name, extension, name, version, version_normalized, sha256,
             sha1, size, created_at
         FROM artifacts WHERE package_id = $1 AND version_normalized = $2"
    );
    fetch_optional(on, sql, values![package_id, version_normalized]).await
}

/// The organization's artifact with this key, for who is going to give it to a package: on PostgreSQL nobody else does, and
/// nobody drops it, until the transaction ends.
pub async fn lock(tx: &mut Transaction, organization_id: i64, id: i64) -> Result<Option<Artifact>> {
    let sql = sql!(
        sqlite: "SELECT id, organization_id, package_id, file_name, extension, name, version, version_normalized, sha256,
                 sha1, size, created_at
             FROM artifacts WHERE organization_id = $1 AND id = $2",
        postgres: "SELECT id, organization_id, package_id, file_name, extension, name, version, version_normalized, sha256,
                 sha1, size, created_at
             FROM artifacts WHERE organization_id = $1 AND id = $2 FOR UPDATE",
    );
    fetch_optional(tx, sql, values![organization_id, id]).await
}

/// An artifact that serves from a blob.
pub async fn find_by_blob(on: &mut impl Handle, sha256: &[u8]) -> Result<Option<Artifact>> {
    let sql = sql!(
        "SELECT id, organization_id, package_id, file_name, extension, name, version, version_normalized, sha256,
             sha1, size, created_at
         FROM artifacts WHERE sha256 = $1 ORDER BY id LIMIT 1"
    );
    fetch_optional(on, sql, values![sha256]).await
}

/// An artifact's composer.json.
pub async fn manifest(on: &mut impl Handle, id: i64) -> Result<Option<String>> {
    let sql = sql!("SELECT manifest AS value FROM artifacts WHERE id = $1");
    let row: Option<Text> = fetch_optional(on, sql, values![id]).await?;
    Ok(row.map(|row| row.value))
}

/// Makes an artifact a package's.
pub async fn give(tx: &mut Transaction, id: i64, package_id: i64) -> Result<()> {
    let sql = sql!("UPDATE artifacts SET package_id = $2, free_since = NULL WHERE id = $1");
    execute_one(tx, sql, values![id, package_id], "artifacts", id).await
}

/// Makes an artifact nobody's.
pub async fn free(tx: &mut Transaction, id: i64, now: i64) -> Result<()> {
    let sql = sql!("UPDATE artifacts SET package_id = NULL, free_since = $2 WHERE id = $1");
    execute_one(tx, sql, values![id, now], "artifacts", id).await
}

/// Forgets the artifacts that nobody has had since before `before`.
pub async fn prune(tx: &mut Transaction, before: i64) -> Result<u64> {
    let sql = sql!("DELETE FROM artifacts WHERE free_since < $1");
    execute(tx, sql, values![before]).await
}

/// Forgets a purged package's artifacts, and those of nobody that have the same bytes.
pub async fn delete_all(
    tx: &mut Transaction,
    organization_id: i64,
    package_id: i64,
    sha256: &[Vec<u8>],
) -> Result<()> {
    let own = sql!("DELETE FROM artifacts WHERE package_id = $1");
    execute(tx, own, values![package_id]).await?;
    let same = sql!(
        "DELETE FROM artifacts WHERE organization_id = $1 AND package_id IS NULL AND sha256 = $2"
    );
    for sha256 in sha256 {
        execute(tx, same, values![organization_id, sha256]).await?;
    }
    Ok(())
}
