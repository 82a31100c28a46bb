//! Versions of packages, live or tombstones.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Deserializer};

use super::{Number, Text};
use crate::handle::{
    Handle, Transaction, execute, execute_one, fetch_all, fetch_one, fetch_optional,
};
use crate::row::columns;
use crate::rows::{Rows, fetch_packed};
use crate::statement::sql;
use crate::value::values;
use crate::{Result, StorageError};

/// A version.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
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
    /// composer.json as committed; shared, as it is by far the largest.
    #[serde(deserialize_with = "shared_text")]
    pub manifest: Arc<str>,
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
    Version: id, package_id, version, version_normalized, stability, ref_name, reference, manifest: shared, default_branch,
    released_at, published_at, updated_at, removed_at
);

fn shared(text: String) -> Arc<str> {
    text.into()
}

fn shared_text<'de, D: Deserializer<'de>>(text: D) -> std::result::Result<Arc<str>, D::Error> {
    String::deserialize(text).map(shared)
}

/// A package's live versions in the order they were added.
pub async fn list_live(on: &mut impl Handle, package_id: i64) -> Result<Vec<Version>> {
    // Packed by 32: all composer.json of a package in one text might be too much.
    let sql = sql!(
        sqlite: "WITH numbered AS (
                 SELECT id, (row_number() OVER (ORDER BY id) - 1) / 32 AS pack FROM versions
                 WHERE package_id = $1 AND removed_at IS NULL),
             packs AS (SELECT MIN(id) AS first, MAX(id) AS last FROM numbered GROUP BY pack ORDER BY pack)
             SELECT (SELECT json_group_array(json_array(id, package_id, version, version_normalized, stability, ref_name,
                     reference, manifest, json(CASE WHEN default_branch THEN 'true' ELSE 'false' END), released_at,
                     published_at, updated_at, removed_at) ORDER BY id)
                 FROM versions WHERE package_id = $1 AND removed_at IS NULL AND id BETWEEN first AND last) AS value
             FROM packs ORDER BY first",
        postgres: "SELECT id, package_id, version, version_normalized, stability, ref_name, reference, manifest,
                 default_branch, released_at, published_at, updated_at, removed_at
             FROM versions WHERE package_id = $1 AND removed_at IS NULL ORDER BY id",
    );
    fetch_packed(on, sql, values![package_id]).await
}

/// A version without its composer.json.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outline {
    /// As its author writes it.
    pub version: String,
    /// As Composer compares it.
    pub version_normalized: String,
    /// Its commit.
    pub reference: String,
    /// Whether it is the default branch.
    pub default_branch: bool,
    /// The commit's time.
    pub released_at: i64,
}
columns!(Outline: version, version_normalized, reference, default_branch, released_at);

/// The outlines of a package's live versions in the order they were added.
pub async fn outlines(on: &mut impl Handle, package_id: i64) -> Result<Vec<Outline>> {
    let sql = sql!(
        "SELECT version, version_normalized, reference, default_branch, released_at FROM versions
         WHERE package_id = $1 AND removed_at IS NULL ORDER BY id"
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
        sqlite: "SELECT json_group_array(json_array(version_normalized, first)) AS value FROM (
                 SELECT version_normalized, MIN(published_at) AS first FROM versions
                 WHERE package_id = $1 GROUP BY version_normalized)",
        postgres: "SELECT version_normalized, MIN(published_at) AS published_at FROM versions
             WHERE package_id = $1 GROUP BY version_normalized",
    );
    let rows: Vec<FirstPublished> = fetch_packed(on, sql, values![package_id]).await?;
    Ok(rows
        .into_iter()
        .map(|row| (row.version_normalized, row.published_at))
        .collect())
}

#[derive(Deserialize)]
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

/// Adds versions in their order, without their `id`, as changed at `now` and live; when a package has a live one with the
/// same normalized form, that is [`StorageError::Duplicate`]. `published_at` is ours, not
/// the commit's.
pub async fn insert<'v>(
    tx: &mut Transaction,
    versions: impl IntoIterator<Item = &'v Version>,
    now: i64,
) -> Result<()> {
    let sql = sql!(
        sqlite: "INSERT INTO versions (package_id, version, version_normalized, stability, ref_name, reference, manifest,
                 default_branch, released_at, published_at, updated_at)
             SELECT value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, value ->> 6, value ->> 7, value ->> 8,
                 value ->> 9, value ->> 10, $2
             FROM jsonb_each($1)",
        postgres: "INSERT INTO versions (package_id, version, version_normalized, stability, ref_name, reference, manifest,
                 default_branch, released_at, published_at, updated_at)
             SELECT CAST(value ->> 1 AS BIGINT), value ->> 2, value ->> 3, value ->> 4, value ->> 5, value ->> 6,
                 value ->> 7, CAST(value ->> 8 AS BOOLEAN), CAST(value ->> 9 AS BIGINT), CAST(value ->> 10 AS BIGINT),
                 CAST($2 AS BIGINT)
             FROM jsonb_array_elements(CAST($1 AS JSONB))",
    );
    for text in rows(versions)?.texts() {
        execute(tx, sql, values![&text, now]).await?;
    }
    Ok(())
}

/// Gives live versions, by their `id`, another content, as when a branch or a tag moved; `published_at` stays.
pub async fn update<'v>(
    tx: &mut Transaction,
    versions: impl IntoIterator<Item = &'v Version>,
    now: i64,
) -> Result<()> {
    let sql = sql!(
        sqlite: "UPDATE versions SET version = given.value ->> 2, version_normalized = given.value ->> 3,
                 stability = given.value ->> 4, ref_name = given.value ->> 5, reference = given.value ->> 6,
                 manifest = given.value ->> 7, default_branch = given.value ->> 8, released_at = given.value ->> 9,
                 updated_at = $2
             FROM jsonb_each($1) AS given
             WHERE versions.id = given.value ->> 0 AND removed_at IS NULL",
        postgres: "UPDATE versions SET version = given.value ->> 2, version_normalized = given.value ->> 3,
                 stability = given.value ->> 4, ref_name = given.value ->> 5, reference = given.value ->> 6,
                 manifest = given.value ->> 7, default_branch = CAST(given.value ->> 8 AS BOOLEAN),
                 released_at = CAST(given.value ->> 9 AS BIGINT), updated_at = $2
             FROM jsonb_array_elements(CAST($1 AS JSONB)) AS given
             WHERE versions.id = CAST(given.value ->> 0 AS BIGINT) AND removed_at IS NULL",
    );
    let versions: Vec<&Version> = versions.into_iter().collect();
    let mut changed = 0;
    for text in rows(versions.iter().copied())?.texts() {
        changed += execute(tx, sql, values![&text, now]).await?;
    }
    hit(changed, versions.iter().map(|version| version.id))
}

/// Every column that is written, in the order of [`Version`]'s fields.
fn rows<'v>(versions: impl IntoIterator<Item = &'v Version>) -> Result<Rows> {
    let mut rows = Rows::default();
    for version in versions {
        rows.push(values![
            version.id,
            version.package_id,
            &version.version,
            &version.version_normalized,
            &version.stability,
            &version.ref_name,
            &version.reference,
            &*version.manifest,
            version.default_branch,
            version.released_at,
            version.published_at,
        ])?;
    }
    Ok(rows)
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

/// Hides live versions.
pub async fn remove(tx: &mut Transaction, ids: &[i64], now: i64) -> Result<()> {
    let sql = sql!(
        sqlite: "UPDATE versions SET removed_at = $2, updated_at = $2
             WHERE id IN (SELECT value ->> 0 FROM jsonb_each($1)) AND removed_at IS NULL",
        postgres: "UPDATE versions SET removed_at = $2, updated_at = $2
             WHERE id IN (SELECT CAST(value ->> 0 AS BIGINT) FROM jsonb_array_elements(CAST($1 AS JSONB)))
                 AND removed_at IS NULL",
    );
    let mut rows = Rows::default();
    for id in ids {
        rows.push(values![*id])?;
    }
    let mut changed = 0;
    for text in rows.texts() {
        changed += execute(tx, sql, values![&text, now]).await?;
    }
    hit(changed, ids.iter().copied())
}

/// That as many rows were changed as had to be.
fn hit(changed: u64, ids: impl Iterator<Item = i64>) -> Result<()> {
    let ids: Vec<i64> = ids.collect();
    if usize::try_from(changed) == Ok(ids.len()) {
        return Ok(());
    }
    Err(StorageError::RowMissing {
        table: "versions",
        key: format!("for each of {ids:?}"),
    })
}

/// Deletes versions and tombstones of a package for a purge, at most `limit`, and says how many.
pub async fn purge(tx: &mut Transaction, package_id: i64, limit: i64) -> Result<u64> {
    let sql = sql!(
        "DELETE FROM versions WHERE id IN (SELECT id FROM versions WHERE package_id = $1 ORDER BY id LIMIT $2)"
    );
    execute(tx, sql, values![package_id, limit]).await
}
