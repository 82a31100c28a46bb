//! Every (package, commit) that was ever published: its dist may be asked for for ever.

use super::{Flag, Text};
use crate::Result;
use crate::handle::{
    Handle, Transaction, execute, execute_one, fetch_all, fetch_one, fetch_optional,
};
use crate::row::columns;
use crate::rows::Rows;
use crate::statement::sql;
use crate::value::values;

/// A published commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PackageReference {
    /// The commit.
    pub reference: String,
    /// When it was first published.
    pub published_at: i64,
    /// When it was purged: it is refused for ever.
    pub purged_at: Option<i64>,
    /// The [depot](super::depots) whose mirror had it when it was published last.
    pub depot: Option<String>,
    /// Since when neither upstream nor any mirror has it, and there is no dist.
    pub lost_at: Option<i64>,
}
columns!(PackageReference: reference, published_at, purged_at, depot, lost_at);

/// Notes that commits of packages are published, out of mirrors of `depot`; a commit may be there twice.
pub async fn publish<'c>(
    tx: &mut Transaction,
    commits: impl IntoIterator<Item = (i64, &'c str)>,
    depot: &str,
    now: i64,
) -> Result<()> {
    let sql = sql!(
        sqlite: "INSERT INTO package_references (package_id, reference, published_at, depot)
             SELECT DISTINCT value ->> 0, value ->> 1, $2, $3 FROM jsonb_each($1) WHERE true
             ON CONFLICT (package_id, reference) DO UPDATE SET depot = excluded.depot, lost_at = NULL",
        postgres: "INSERT INTO package_references (package_id, reference, published_at, depot)
             SELECT DISTINCT CAST(value ->> 0 AS BIGINT), value ->> 1, CAST($2 AS BIGINT), CAST($3 AS TEXT)
             FROM jsonb_array_elements(CAST($1 AS JSONB))
             ON CONFLICT (package_id, reference) DO UPDATE SET depot = excluded.depot, lost_at = NULL",
    );
    let mut rows = Rows::default();
    for (package_id, reference) in commits {
        rows.push(values![package_id, reference])?;
    }
    for text in rows.texts() {
        execute(tx, sql, values![&text, now, depot]).await?;
    }
    Ok(())
}

/// The package's published commit.
pub async fn find(
    on: &mut impl Handle,
    package_id: i64,
    reference: &str,
) -> Result<Option<PackageReference>> {
    let sql = sql!(
        "SELECT reference, published_at, purged_at, depot, lost_at FROM package_references
         WHERE package_id = $1 AND reference = $2"
    );
    fetch_optional(on, sql, values![package_id, reference]).await
}

/// A published commit, and the checksum of its dist.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedReference {
    /// See [`PackageReference::reference`].
    pub reference: String,
    /// See [`PackageReference::purged_at`].
    pub purged_at: Option<i64>,
    /// Composer's `shasum`; `None`: it has no dist.
    pub sha1: Option<String>,
}
columns!(ListedReference: reference, purged_at, sha1);

/// A page of a package's published commits, after that of `after`; an empty text comes before all.
pub async fn list(
    on: &mut impl Handle,
    package_id: i64,
    after: &str,
    limit: i64,
) -> Result<Vec<ListedReference>> {
    let sql = sql!(
        "SELECT package_references.reference, purged_at, dists.sha1
         FROM package_references LEFT JOIN dists
             ON dists.package_id = package_references.package_id AND dists.reference = package_references.reference
         WHERE package_references.package_id = $1 AND package_references.reference > $2
         ORDER BY package_references.reference LIMIT $3"
    );
    fetch_all(on, sql, values![package_id, after, limit]).await
}

/// Like [`find`], and keeps a purge of that commit waiting until the transaction ends.
pub async fn lock(
    tx: &mut Transaction,
    package_id: i64,
    reference: &str,
) -> Result<Option<PackageReference>> {
    let sql = sql!(
        sqlite: "SELECT reference, published_at, purged_at, depot, lost_at FROM package_references
             WHERE package_id = $1 AND reference = $2",
        postgres: "SELECT reference, published_at, purged_at, depot, lost_at FROM package_references
             WHERE package_id = $1 AND reference = $2 FOR UPDATE",
    );
    fetch_optional(tx, sql, values![package_id, reference]).await
}

/// The commits that were purged from any package of the organization, removed or not, that has this name or this
/// repository.
pub async fn list_purged(
    on: &mut impl Handle,
    organization_id: i64,
    name: &str,
    repository_key: &str,
) -> Result<Vec<String>> {
    let sql = sql!(
        "SELECT DISTINCT reference AS value FROM package_references
         WHERE purged_at IS NOT NULL AND package_id IN (
             SELECT id FROM packages WHERE organization_id = $1 AND name = $2
             UNION SELECT id FROM packages WHERE organization_id = $1 AND repository_key = $3 AND repository_key <> '')
         ORDER BY reference"
    );
    let rows: Vec<Text> =
        fetch_all(on, sql, values![organization_id, name, repository_key]).await?;
    Ok(rows.into_iter().map(|row| row.value).collect())
}

/// The package's published commits that have no dist yet and are not purged, newest first.
pub async fn list_without_dist(
    on: &mut impl Handle,
    package_id: i64,
    limit: i64,
) -> Result<Vec<String>> {
    let sql = sql!(
        "SELECT reference AS value FROM package_references
         WHERE package_id = $1 AND purged_at IS NULL
             AND NOT EXISTS (SELECT 1 FROM dists
                 WHERE dists.package_id = package_references.package_id
                     AND dists.reference = package_references.reference)
         ORDER BY published_at DESC, reference LIMIT $2"
    );
    let rows: Vec<Text> = fetch_all(on, sql, values![package_id, limit]).await?;
    Ok(rows.into_iter().map(|row| row.value).collect())
}

/// Notes that nobody has a commit any more, unless there is a dist of it; `false`: it is known, or not so.
pub async fn mark_lost(
    tx: &mut Transaction,
    package_id: i64,
    reference: &str,
    now: i64,
) -> Result<bool> {
    let sql = sql!(
        "UPDATE package_references SET lost_at = $3
         WHERE package_id = $1 AND reference = $2 AND lost_at IS NULL AND purged_at IS NULL
             AND NOT EXISTS (SELECT 1 FROM dists
                 WHERE dists.package_id = package_references.package_id
                     AND dists.reference = package_references.reference)"
    );
    Ok(execute(tx, sql, values![package_id, reference, now]).await? > 0)
}

/// Notes that a commit is there after all.
pub async fn mark_found(tx: &mut Transaction, package_id: i64, reference: &str) -> Result<()> {
    let sql = sql!(
        "UPDATE package_references SET lost_at = NULL
         WHERE package_id = $1 AND reference = $2 AND lost_at IS NOT NULL"
    );
    execute(tx, sql, values![package_id, reference])
        .await
        .map(|_| ())
}

/// The package's commits that are lost, the latest first.
pub async fn list_lost(on: &mut impl Handle, package_id: i64) -> Result<Vec<PackageReference>> {
    let sql = sql!(
        "SELECT reference, published_at, purged_at, depot, lost_at FROM package_references
         WHERE package_id = $1 AND lost_at IS NOT NULL AND purged_at IS NULL
         ORDER BY lost_at DESC, reference"
    );
    fetch_all(on, sql, values![package_id]).await
}

/// Whether anything of a package was purged.
pub async fn is_purged(on: &mut impl Handle, package_id: i64) -> Result<bool> {
    let sql = sql!(
        "SELECT EXISTS (SELECT 1 FROM package_references WHERE package_id = $1 AND purged_at IS NOT NULL) AS value"
    );
    fetch_one::<Flag>(on, sql, values![package_id])
        .await
        .map(|row| row.value)
}

/// Refuses a published commit for ever.
pub async fn mark_purged(
    tx: &mut Transaction,
    package_id: i64,
    reference: &str,
    now: i64,
) -> Result<()> {
    let sql = sql!(
        "UPDATE package_references SET purged_at = COALESCE(purged_at, $3) WHERE package_id = $1 AND reference = $2"
    );
    let key = format_args!("({package_id}, {reference})");
    execute_one(
        tx,
        sql,
        values![package_id, reference, now],
        "package_references",
        key,
    )
    .await
}

/// Refuses every published commit of a package for ever and says how many are new to that.
pub async fn mark_all_purged(tx: &mut Transaction, package_id: i64, now: i64) -> Result<u64> {
    let sql = sql!(
        "UPDATE package_references SET purged_at = $2 WHERE package_id = $1 AND purged_at IS NULL"
    );
    execute(tx, sql, values![package_id, now]).await
}
