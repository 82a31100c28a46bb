//! Finished answers: derived data with a date that only moves forward.

use super::Number;
use crate::Result;
use crate::handle::{Handle, Transaction, fetch_all, fetch_one, fetch_optional};
use crate::row::columns;
use crate::statement::sql;
use crate::value::values;

/// A document, or the date of a deleted one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// `packages.json`, `p2/acme/lib.json`, `p2/acme/lib~dev.json`.
    pub path: String,
    /// The public URL its links were made for.
    pub base_url: String,
    /// Its gzip form; `None`: the document is deleted.
    pub gzip: Option<Vec<u8>>,
    /// Its zstd form; `None`: the document is deleted.
    pub zstd: Option<Vec<u8>>,
    /// What the writer tied both forms and the body itself together with.
    pub seal: Option<Vec<u8>>,
    /// **Seconds** since 1970; together with the URL it stands for these bytes for ever.
    pub last_modified: i64,
}
columns!(Document: path, base_url, gzip, zstd, seal, last_modified);

/// A document's body; the fields are [`Document`]'s.
#[derive(Debug, Clone, Copy)]
pub struct Body<'b> {
    pub base_url: &'b str,
    pub gzip: &'b [u8],
    pub zstd: &'b [u8],
    pub seal: &'b [u8],
}

/// A document without its bodies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    /// See [`Document::path`].
    pub path: String,
    /// See [`Document::base_url`].
    pub base_url: String,
    /// Whether only its date is left.
    pub deleted: bool,
    /// See [`Document::last_modified`].
    pub last_modified: i64,
}
columns!(Summary: path, base_url, deleted, last_modified);

/// The organization's document at this path; a deleted one is given too, without bodies.
pub async fn find(
    on: &mut impl Handle,
    organization_id: i64,
    path: &str,
) -> Result<Option<Document>> {
    let sql = sql!(
        "SELECT path, base_url, gzip, zstd, seal, last_modified FROM documents WHERE organization_id = $1 AND path = $2"
    );
    fetch_optional(on, sql, values![organization_id, path]).await
}

/// The organization's document at this path without its bodies; a deleted one is given too.
pub async fn summary(
    on: &mut impl Handle,
    organization_id: i64,
    path: &str,
) -> Result<Option<Summary>> {
    let sql = sql!(
        "SELECT path, base_url, gzip IS NULL AS deleted, last_modified
         FROM documents WHERE organization_id = $1 AND path = $2"
    );
    fetch_optional(on, sql, values![organization_id, path]).await
}

/// An organization's documents and deleted ones by path.
pub async fn list(on: &mut impl Handle, organization_id: i64) -> Result<Vec<Summary>> {
    let sql = sql!(
        "SELECT path, base_url, gzip IS NULL AS deleted, last_modified
         FROM documents WHERE organization_id = $1 ORDER BY path"
    );
    fetch_all(on, sql, values![organization_id]).await
}

/// A document of any organization, without its bodies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedDocument {
    /// Whose it is.
    pub organization_id: i64,
    /// See [`Document::path`].
    pub path: String,
    /// Whether only its date is left.
    pub deleted: bool,
    /// See [`Document::last_modified`].
    pub last_modified: i64,
}
columns!(ListedDocument: organization_id, path, deleted, last_modified);

/// A page of the documents of all organizations, deleted ones included, after the one at `after`; an organization
/// of 0 comes before all.
pub async fn list_all(
    on: &mut impl Handle,
    after: (i64, &str),
    limit: i64,
) -> Result<Vec<ListedDocument>> {
    let sql = sql!(
        "SELECT organization_id, path, gzip IS NULL AS deleted, last_modified FROM documents
         WHERE (organization_id, path) > ($1, $2) ORDER BY organization_id, path LIMIT $3"
    );
    fetch_all(on, sql, values![after.0, after.1, limit]).await
}

/// How many documents all organizations have, deleted ones included.
pub async fn count_all(on: &mut impl Handle) -> Result<i64> {
    let sql = sql!("SELECT COUNT(*) AS value FROM documents");
    fetch_one::<Number>(on, sql, values![])
        .await
        .map(|row| row.value)
}

/// Stores a document and returns its `last_modified`: `now_seconds`, or one more than the path had before.
pub async fn put(
    tx: &mut Transaction,
    organization_id: i64,
    path: &str,
    body: Body<'_>,
    now_seconds: i64,
) -> Result<i64> {
    let sql = sql!(
        "INSERT INTO documents (organization_id, path, base_url, gzip, zstd, seal, last_modified)
         VALUES ($1, $2, $3, $4, $5, $6, $7)
         ON CONFLICT (organization_id, path) DO UPDATE SET
             base_url = excluded.base_url, gzip = excluded.gzip, zstd = excluded.zstd, seal = excluded.seal,
             last_modified = CASE WHEN documents.last_modified >= excluded.last_modified
                 THEN documents.last_modified + 1 ELSE excluded.last_modified END
         RETURNING last_modified AS value"
    );
    let Body {
        base_url,
        gzip,
        zstd,
        seal,
    } = body;
    let values = values![
        organization_id,
        path,
        base_url,
        gzip,
        zstd,
        seal,
        now_seconds
    ];
    fetch_one::<Number>(tx, sql, values)
        .await
        .map(|row| row.value)
}

/// Deletes a document's bodies and moves its date forward, so that it can come back with a newer one. Returns that
/// date, or `None` when there was no such document.
pub async fn clear(
    tx: &mut Transaction,
    organization_id: i64,
    path: &str,
    now_seconds: i64,
) -> Result<Option<i64>> {
    let sql = sql!(
        "UPDATE documents SET gzip = NULL, zstd = NULL, seal = NULL,
             last_modified = CASE WHEN last_modified >= $3 THEN last_modified + 1 ELSE $3 END
         WHERE organization_id = $1 AND path = $2 AND gzip IS NOT NULL
         RETURNING last_modified AS value"
    );
    let row: Option<Number> =
        fetch_optional(tx, sql, values![organization_id, path, now_seconds]).await?;
    Ok(row.map(|row| row.value))
}
