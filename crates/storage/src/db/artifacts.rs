//! Artifacts: archives that were uploaded, each a version of a package or waiting to become one.

use crate::handle::{Handle, Transaction, execute, fetch_all, fetch_one, fetch_optional};
use crate::row::columns;
use crate::statement::sql;
use crate::value::values;
use crate::{Result, StorageError};

use super::Number;

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
    /// Its composer.json.
    pub manifest: String,
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
    Artifact: id, organization_id, package_id, file_name, extension, manifest, sha256, sha1, size, created_at
);

/// Adds an artifact whose bytes are stored and gives its key; `artifact.id` means nothing. When a collector has taken the
/// bytes meanwhile, that is [`StorageError::BlobGone`]: store them again.
pub async fn insert(tx: &mut Transaction, artifact: &Artifact) -> Result<i64> {
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
        "INSERT INTO artifacts (organization_id, package_id, file_name, extension, manifest, sha256, sha1, size,
             created_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) RETURNING id AS value"
    );
    let Artifact {
        organization_id,
        package_id,
        file_name,
        extension,
        manifest,
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
        "SELECT id, organization_id, package_id, file_name, extension, manifest, sha256, sha1, size, created_at
         FROM artifacts WHERE organization_id = $1 AND id = $2"
    );
    fetch_optional(on, sql, values![organization_id, id]).await
}

/// A package's artifacts, oldest first.
pub async fn list(on: &mut impl Handle, package_id: i64) -> Result<Vec<Artifact>> {
    let sql = sql!(
        "SELECT id, organization_id, package_id, file_name, extension, manifest, sha256, sha1, size, created_at
         FROM artifacts WHERE package_id = $1 ORDER BY id"
    );
    fetch_all(on, sql, values![package_id]).await
}

/// Makes an artifact a package's, or nobody's.
pub async fn set_package(tx: &mut Transaction, id: i64, package_id: Option<i64>) -> Result<()> {
    let sql = sql!("UPDATE artifacts SET package_id = $2 WHERE id = $1");
    execute(tx, sql, values![id, package_id]).await.map(|_| ())
}

/// Forgets the artifacts that nobody has asked for since before `before`.
pub async fn prune(tx: &mut Transaction, before: i64) -> Result<u64> {
    let sql = sql!("DELETE FROM artifacts WHERE package_id IS NULL AND created_at < $1");
    execute(tx, sql, values![before]).await
}

/// Forgets a purged package's artifacts.
pub async fn delete_all(tx: &mut Transaction, package_id: i64) -> Result<()> {
    let sql = sql!("DELETE FROM artifacts WHERE package_id = $1");
    execute(tx, sql, values![package_id]).await.map(|_| ())
}
