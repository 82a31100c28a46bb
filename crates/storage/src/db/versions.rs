//! Versions of packages, live or tombstones.

use std::collections::BTreeMap;

use super::{Number, Text};
use crate::Result;
use crate::handle::{
    Handle, Transaction, execute, execute_one, fetch_all, fetch_one, fetch_optional,
};
use crate::row::columns;
use crate::statement::sql;
use crate::value::values;

/// A version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    /// Key.
    pub id: i64,
    /// Of which package.
    pub package_id: i64,
    /// As the tag or branch says it: `v1.0.0`, `dev-main`.
    pub version: String,
    /// Composer's normalized form: `1.0.0.0`.
    pub version_normalized: String,
    /// `stable`, `RC`, `beta`, `alpha` or `dev`.
    pub stability: String,
    /// Where it came from: `refs/tags/1.0.0`.
    pub ref_name: String,
    /// The commit.
    pub reference: String,
    /// composer.json as committed.
    pub manifest: String,
    /// Whether it is the default branch.
    pub default_branch: bool,
    /// The commit's date.
    pub released_at: i64,
    /// When we first saw it.
    pub published_at: i64,
    /// When it last changed here.
    pub updated_at: i64,
    /// When it was removed; `None`: it is live.
    pub removed_at: Option<i64>,
}
columns!(
    Version: id, package_id, version, version_normalized, stability, ref_name, reference, manifest, default_branch,
    released_at, published_at, updated_at, removed_at
);

/// What a version says; the fields are [`Version`]'s.
#[derive(Debug, Clone, Copy)]
pub struct Content<'n> {
    pub version: &'n str,
    pub version_normalized: &'n str,
    pub stability: &'n str,
    pub ref_name: &'n str,
    pub reference: &'n str,
    pub manifest: &'n str,
    pub default_branch: bool,
    pub released_at: i64,
}

/// A package's live versions in the order they were added.
pub async fn list_live(on: &mut impl Handle, package_id: i64) -> Result<Vec<Version>> {
    let sql = sql!(
        "SELECT id, package_id, version, version_normalized, stability, ref_name, reference, manifest, default_branch,
             released_at, published_at, updated_at, removed_at
         FROM versions WHERE package_id = $1 AND removed_at IS NULL ORDER BY id"
    );
    fetch_all(on, sql, values![package_id]).await
}

/// A package's versions and tombstones in the order they were added.
pub async fn list_all(on: &mut impl Handle, package_id: i64) -> Result<Vec<Version>> {
    let sql = sql!(
        "SELECT id, package_id, version, version_normalized, stability, ref_name, reference, manifest, default_branch,
             released_at, published_at, updated_at, removed_at
         FROM versions WHERE package_id = $1 ORDER BY id"
    );
    fetch_all(on, sql, values![package_id]).await
}

/// The commits of a package's live versions, each once.
pub async fn list_references(on: &mut impl Handle, package_id: i64) -> Result<Vec<String>> {
    let sql = sql!(
        "SELECT DISTINCT reference AS value FROM versions WHERE package_id = $1 AND removed_at IS NULL
         ORDER BY reference"
    );
    let rows: Vec<Text> = fetch_all(on, sql, values![package_id]).await?;
    Ok(rows.into_iter().map(|row| row.value).collect())
}

/// What a version at a commit of a package is called; a live one goes first, then one that is no branch.
pub async fn name_at(
    on: &mut impl Handle,
    package_id: i64,
    reference: &str,
) -> Result<Option<String>> {
    let sql = sql!(
        "SELECT version AS value FROM versions WHERE package_id = $1 AND reference = $2
         ORDER BY CASE WHEN removed_at IS NULL THEN 0 ELSE 1 END, CASE WHEN stability = 'dev' THEN 1 ELSE 0 END, id
         LIMIT 1"
    );
    let row: Option<Text> = fetch_optional(on, sql, values![package_id, reference]).await?;
    Ok(row.map(|row| row.value))
}

/// When each version of a package was first seen, by normalized form, tombstones included.
pub async fn first_published(
    on: &mut impl Handle,
    package_id: i64,
) -> Result<BTreeMap<String, i64>> {
    let sql = sql!(
        "SELECT version_normalized, MIN(published_at) AS published_at FROM versions
         WHERE package_id = $1 GROUP BY version_normalized"
    );
    let rows: Vec<FirstPublished> = fetch_all(on, sql, values![package_id]).await?;
    Ok(rows
        .into_iter()
        .map(|row| (row.version_normalized, row.published_at))
        .collect())
}

struct FirstPublished {
    version_normalized: String,
    published_at: i64,
}
columns!(FirstPublished: version_normalized, published_at);

/// A package's live version by its normalized form.
pub async fn find_live(
    on: &mut impl Handle,
    package_id: i64,
    version_normalized: &str,
) -> Result<Option<Version>> {
    let sql = sql!(
        "SELECT id, package_id, version, version_normalized, stability, ref_name, reference, manifest, default_branch,
             released_at, published_at, updated_at, removed_at
         FROM versions WHERE package_id = $1 AND version_normalized = $2 AND removed_at IS NULL"
    );
    fetch_optional(on, sql, values![package_id, version_normalized]).await
}

/// How many live versions a package has.
pub async fn count(on: &mut impl Handle, package_id: i64) -> Result<i64> {
    let sql =
        sql!("SELECT COUNT(*) AS value FROM versions WHERE package_id = $1 AND removed_at IS NULL");
    fetch_one::<Number>(on, sql, values![package_id])
        .await
        .map(|row| row.value)
}

/// Adds a version; a live one with the same normalized form is
/// [`StorageError::Duplicate`](crate::StorageError::Duplicate). `published_at` is ours, not the commit's; `now` is
/// when the row changed.
pub async fn insert(
    tx: &mut Transaction,
    package_id: i64,
    content: Content<'_>,
    published_at: i64,
    now: i64,
) -> Result<i64> {
    let sql = sql!(
        "INSERT INTO versions (package_id, version, version_normalized, stability, ref_name, reference, manifest,
             default_branch, released_at, published_at, updated_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) RETURNING id AS value"
    );
    let Content {
        version,
        version_normalized,
        stability,
        ref_name,
        ..
    } = content;
    let Content {
        reference,
        manifest,
        default_branch,
        released_at,
        ..
    } = content;
    let values = values![
        package_id,
        version,
        version_normalized,
        stability,
        ref_name,
        reference,
        manifest,
        default_branch,
        released_at,
        published_at,
        now
    ];
    fetch_one::<Number>(tx, sql, values)
        .await
        .map(|row| row.value)
}

/// Gives a live version another content, as when a branch or a tag moved; `published_at` stays.
pub async fn update(tx: &mut Transaction, id: i64, content: Content<'_>, now: i64) -> Result<()> {
    let sql = sql!(
        "UPDATE versions SET version = $2, version_normalized = $3, stability = $4, ref_name = $5, reference = $6,
             manifest = $7, default_branch = $8, released_at = $9, updated_at = $10
         WHERE id = $1 AND removed_at IS NULL"
    );
    let Content {
        version,
        version_normalized,
        stability,
        ref_name,
        ..
    } = content;
    let Content {
        reference,
        manifest,
        default_branch,
        released_at,
        ..
    } = content;
    let values = values![
        id,
        version,
        version_normalized,
        stability,
        ref_name,
        reference,
        manifest,
        default_branch,
        released_at,
        now
    ];
    execute_one(tx, sql, values, "versions", id).await
}

/// Makes a live version the default branch or not.
pub async fn set_default_branch(
    tx: &mut Transaction,
    id: i64,
    default_branch: bool,
    now: i64,
) -> Result<()> {
    let sql = sql!(
        "UPDATE versions SET default_branch = $2, updated_at = $3 WHERE id = $1 AND removed_at IS NULL"
    );
    execute_one(tx, sql, values![id, default_branch, now], "versions", id).await
}

/// Hides a live version.
pub async fn remove(tx: &mut Transaction, id: i64, now: i64) -> Result<()> {
    let sql = sql!(
        "UPDATE versions SET removed_at = $2, updated_at = $2 WHERE id = $1 AND removed_at IS NULL"
    );
    execute_one(tx, sql, values![id, now], "versions", id).await
}

/// Deletes versions and tombstones of a package for a purge, at most `limit`, and says how many.
pub async fn purge(tx: &mut Transaction, package_id: i64, limit: i64) -> Result<u64> {
    let sql = sql!(
        "DELETE FROM versions WHERE id IN (SELECT id FROM versions WHERE package_id = $1 ORDER BY id LIMIT $2)"
    );
    execute(tx, sql, values![package_id, limit]).await
}
