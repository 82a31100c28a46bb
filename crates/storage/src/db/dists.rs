//! Built archives: which blob a published commit is served from, for ever.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::handle::{Handle, Transaction, execute, fetch_all, fetch_optional};
use crate::row::columns;
use crate::rows::{Rows, fetch_packed};
use crate::statement::sql;
use crate::value::values;
use crate::{Result, StorageError};

/// A dist.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dist {
    /// Of which package.
    pub package_id: i64,
    /// Of which commit.
    pub reference: String,
    /// The blob.
    pub sha256: Vec<u8>,
    /// Composer's `shasum`, hexadecimal.
    pub sha1: String,
    /// Bytes.
    pub size: i64,
    /// Whether the commit has submodules, which are empty folders here.
    pub has_submodules: bool,
    /// Whether the commit has LFS files, which are pointers here.
    pub has_lfs: bool,
    /// When it was built.
    pub created_at: i64,
    /// What its file name ends in, which says its format: `zip`, `tar`, `tar.gz` or `tar.bz2`.
    pub extension: String,
}
columns!(Dist: package_id, reference, sha256, sha1, size, has_submodules, has_lfs, created_at, extension);

/// The dist of a package's commit.
pub async fn find(on: &mut impl Handle, package_id: i64, reference: &str) -> Result<Option<Dist>> {
    let sql = sql!(
        "SELECT package_id, reference, sha256, sha1, size, has_submodules, has_lfs, created_at, extension
         FROM dists WHERE package_id = $1 AND reference = $2"
    );
    fetch_optional(on, sql, values![package_id, reference]).await
}

/// Every dist of a package.
pub async fn list(on: &mut impl Handle, package_id: i64) -> Result<Vec<Dist>> {
    let sql = sql!(
        "SELECT package_id, reference, sha256, sha1, size, has_submodules, has_lfs, created_at, extension
         FROM dists WHERE package_id = $1 ORDER BY reference"
    );
    fetch_all(on, sql, values![package_id]).await
}

/// The dists that are served from a blob.
pub async fn list_by_blob(on: &mut impl Handle, sha256: &[u8], limit: i64) -> Result<Vec<Dist>> {
    let sql = sql!(
        "SELECT package_id, reference, sha256, sha1, size, has_submodules, has_lfs, created_at, extension
         FROM dists WHERE sha256 = $1 ORDER BY package_id, reference LIMIT $2"
    );
    fetch_all(on, sql, values![sha256, limit]).await
}

/// A page of a package's dists by commit, after that of `after`; an empty text comes before all.
pub async fn list_page(
    on: &mut impl Handle,
    package_id: i64,
    after: &str,
    limit: i64,
) -> Result<Vec<Dist>> {
    let sql = sql!(
        "SELECT package_id, reference, sha256, sha1, size, has_submodules, has_lfs, created_at, extension
         FROM dists WHERE package_id = $1 AND reference > $2 ORDER BY reference LIMIT $3"
    );
    fetch_all(on, sql, values![package_id, after, limit]).await
}

/// What a version's metadata says of its dist.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Shown {
    /// Of which commit.
    pub reference: String,
    /// Composer's `shasum`, hexadecimal.
    pub sha1: String,
    /// See [`Dist::extension`].
    pub extension: String,
}
columns!(Shown: reference, sha1, extension);

/// A package's dists by commit.
pub async fn shown(on: &mut impl Handle, package_id: i64) -> Result<BTreeMap<String, Shown>> {
    let sql = sql!(
        sqlite: "SELECT json_group_array(json_array(reference, sha1, extension)) AS value FROM dists WHERE package_id = $1",
        postgres: "SELECT reference, sha1, extension FROM dists WHERE package_id = $1",
    );
    let rows: Vec<Shown> = fetch_packed(on, sql, values![package_id]).await?;
    Ok(rows
        .into_iter()
        .map(|row| (row.reference.clone(), row))
        .collect())
}

/// Adds a dist whose bytes are stored; `false`: the commit has one already, which stays for ever.
///
/// The blob's row is touched at `dist.created_at`, so that the collector, which looks at the same row, cannot take it
/// at the same time. When it already has, that is [`StorageError::BlobGone`]: store the bytes again.
pub async fn insert_if_absent(tx: &mut Transaction, dist: &Dist) -> Result<bool> {
    if find(tx, dist.package_id, &dist.reference).await?.is_some() {
        return Ok(false);
    }
    let touch = sql!(
        "UPDATE blobs SET touched_at = CASE WHEN touched_at > $2 THEN touched_at ELSE $2 END
         WHERE sha256 = $1 AND state = 'live'"
    );
    if execute(tx, touch, values![&dist.sha256, dist.created_at]).await? == 0 {
        return Err(StorageError::BlobGone {
            sha256: hex::encode(&dist.sha256),
        });
    }
    let sql = sql!(
        "INSERT INTO dists (package_id, reference, sha256, sha1, size, has_submodules, has_lfs, created_at, extension)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
         ON CONFLICT (package_id, reference) DO NOTHING"
    );
    let Dist {
        package_id,
        reference,
        sha256,
        sha1,
        size,
        has_submodules,
        has_lfs,
        created_at,
        extension,
    } = dist;
    let values = values![
        *package_id,
        reference,
        sha256,
        sha1,
        *size,
        *has_submodules,
        *has_lfs,
        *created_at,
        extension
    ];
    Ok(execute(tx, sql, values).await? > 0)
}

/// Adds dists of new packages, whose blobs were announced in the same transaction: for who fills a database at once.
pub async fn insert_all<'d>(
    tx: &mut Transaction,
    dists: impl IntoIterator<Item = &'d Dist>,
) -> Result<()> {
    let sql = sql!(
        sqlite: "INSERT INTO dists (package_id, reference, sha256, sha1, size, has_submodules, has_lfs, created_at,
                 extension)
             SELECT value ->> 0, value ->> 1, unhex(value ->> 2), value ->> 3, value ->> 4, value ->> 5, value ->> 6,
                 value ->> 7, value ->> 8
             FROM jsonb_each($1)",
        postgres: "INSERT INTO dists (package_id, reference, sha256, sha1, size, has_submodules, has_lfs, created_at,
                 extension)
             SELECT CAST(value ->> 0 AS BIGINT), value ->> 1, decode(value ->> 2, 'hex'), value ->> 3,
                 CAST(value ->> 4 AS BIGINT), CAST(value ->> 5 AS BOOLEAN), CAST(value ->> 6 AS BOOLEAN),
                 CAST(value ->> 7 AS BIGINT), value ->> 8
             FROM jsonb_array_elements(CAST($1 AS JSONB))",
    );
    let mut rows = Rows::default();
    for dist in dists {
        rows.push(values![
            dist.package_id,
            &dist.reference,
            &dist.sha256,
            &dist.sha1,
            dist.size,
            dist.has_submodules,
            dist.has_lfs,
            dist.created_at,
            &dist.extension
        ])?;
    }
    for text in rows.texts() {
        execute(tx, sql, values![&text]).await?;
    }
    Ok(())
}

/// Deletes the dist of a purged commit and says whether there was one.
pub async fn delete(tx: &mut Transaction, package_id: i64, reference: &str) -> Result<bool> {
    let sql = sql!("DELETE FROM dists WHERE package_id = $1 AND reference = $2");
    Ok(execute(tx, sql, values![package_id, reference]).await? > 0)
}

/// Deletes every dist of a purged package and says how many.
pub async fn delete_all(tx: &mut Transaction, package_id: i64) -> Result<u64> {
    let sql = sql!("DELETE FROM dists WHERE package_id = $1");
    execute(tx, sql, values![package_id]).await
}
