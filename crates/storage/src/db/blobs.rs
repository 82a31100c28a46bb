//! Which blobs exist, so that nobody deletes what somebody else is about to refer to.
//!
//! A writer first calls [`touch`], then stores the bytes, then refers to the blob in a transaction that fails when the
//! blob is no longer live ([`super::dists::insert_if_absent`]). The collector [claims](claim_deletable) rows that
//! nothing refers to and nobody touched for a while, commits, deletes the bytes and then [drops](drop_row) the row. Between
//! claim and drop a writer has to wait: only when the row is gone are its bytes sure not to be deleted behind its back.

use super::{Flag, Number};
use crate::Result;
use crate::handle::{Handle, Transaction, execute, fetch_all, fetch_one, fetch_optional};
use crate::row::columns;
use crate::rows::Rows;
use crate::statement::sql;
use crate::value::values;

/// A blob.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blob {
    /// Its name.
    pub sha256: Vec<u8>,
    /// Bytes.
    pub size: i64,
    /// `live` or `deleting`.
    pub state: String,
    /// When somebody last wanted to store or refer to it, or began to delete it.
    pub touched_at: i64,
}
columns!(Blob: sha256, size, state, touched_at);

/// What a writer found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Touched {
    /// The row is live and safe from the collector for a while: store the bytes unless they are there.
    Live,
    /// The collector is deleting it: try again in a moment.
    Deleting,
}

/// Announces that a blob is about to be stored and referred to. Commit before storing its bytes.
pub async fn touch(tx: &mut Transaction, sha256: &[u8], size: i64, now: i64) -> Result<Touched> {
    let sql = sql!(
        "INSERT INTO blobs (sha256, size, state, touched_at) VALUES ($1, $2, 'live', $3)
         ON CONFLICT (sha256) DO UPDATE SET touched_at =
             CASE WHEN blobs.state = 'live' AND blobs.touched_at < excluded.touched_at
                 THEN excluded.touched_at ELSE blobs.touched_at END
         RETURNING state = 'live' AS value"
    );
    let row: Flag = fetch_one(tx, sql, values![sha256, size, now]).await?;
    Ok(if row.value {
        Touched::Live
    } else {
        Touched::Deleting
    })
}

/// Announces blobs, each with its size, that no collector can know of yet: for who fills a database at once.
pub async fn insert_all<'b>(
    tx: &mut Transaction,
    blobs: impl IntoIterator<Item = (&'b [u8], i64)>,
    now: i64,
) -> Result<()> {
    let sql = sql!(
        sqlite: "INSERT INTO blobs (sha256, size, state, touched_at)
             SELECT unhex(value ->> 0), value ->> 1, 'live', $2 FROM jsonb_each($1)",
        postgres: "INSERT INTO blobs (sha256, size, state, touched_at)
             SELECT decode(value ->> 0, 'hex'), CAST(value ->> 1 AS BIGINT), 'live', CAST($2 AS BIGINT)
             FROM jsonb_array_elements(CAST($1 AS JSONB))",
    );
    let mut rows = Rows::default();
    for (sha256, size) in blobs {
        rows.push(values![sha256, size])?;
    }
    for text in rows.texts() {
        execute(tx, sql, values![&text, now]).await?;
    }
    Ok(())
}

/// The blob with this name.
pub async fn find(on: &mut impl Handle, sha256: &[u8]) -> Result<Option<Blob>> {
    let sql = sql!("SELECT sha256, size, state, touched_at FROM blobs WHERE sha256 = $1");
    fetch_optional(on, sql, values![sha256]).await
}

/// A blob, and whether something refers to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedBlob {
    /// Its name.
    pub sha256: Vec<u8>,
    /// Bytes.
    pub size: i64,
    /// See [`Blob::state`].
    pub state: String,
    /// See [`Blob::touched_at`].
    pub touched_at: i64,
    /// Whether it is a dist's or an artifact's.
    pub referred: bool,
}
columns!(ListedBlob: sha256, size, state, touched_at, referred);

/// A page of blobs by name, after the one named `after`; an empty name comes before all.
pub async fn list(on: &mut impl Handle, after: &[u8], limit: i64) -> Result<Vec<ListedBlob>> {
    let sql = sql!(
        "SELECT sha256, size, state, touched_at,
             EXISTS (SELECT 1 FROM dists WHERE dists.sha256 = blobs.sha256)
                 OR EXISTS (SELECT 1 FROM artifacts WHERE artifacts.sha256 = blobs.sha256) AS referred
         FROM blobs WHERE sha256 > $1 ORDER BY sha256 LIMIT $2"
    );
    fetch_all(on, sql, values![after, limit]).await
}

/// The blob with this name, and whether something refers to it.
pub async fn find_listed(on: &mut impl Handle, sha256: &[u8]) -> Result<Option<ListedBlob>> {
    let sql = sql!(
        "SELECT sha256, size, state, touched_at,
             EXISTS (SELECT 1 FROM dists WHERE dists.sha256 = blobs.sha256)
                 OR EXISTS (SELECT 1 FROM artifacts WHERE artifacts.sha256 = blobs.sha256) AS referred
         FROM blobs WHERE sha256 = $1"
    );
    fetch_optional(on, sql, values![sha256]).await
}

/// How many blobs there are.
pub async fn count(on: &mut impl Handle) -> Result<i64> {
    let sql = sql!("SELECT COUNT(*) AS value FROM blobs");
    fetch_one::<Number>(on, sql, values![])
        .await
        .map(|row| row.value)
}

/// Marks a blob as being deleted that nothing refers to and nobody touched since `before`, and returns it: delete its
/// bytes after the commit, then drop its row. One that was claimed before then and never dropped, because its collector
/// was lost, is claimed again. [`list`] finds those to try; there are few among many.
pub async fn claim_deletable(
    tx: &mut Transaction,
    sha256: &[u8],
    before: i64,
    now: i64,
) -> Result<Option<Blob>> {
    let sql = sql!(
        "UPDATE blobs SET state = 'deleting', touched_at = $3
         WHERE sha256 = $1 AND touched_at < $2
             AND NOT EXISTS (SELECT 1 FROM dists WHERE dists.sha256 = blobs.sha256)
             AND NOT EXISTS (SELECT 1 FROM artifacts WHERE artifacts.sha256 = blobs.sha256)
         RETURNING sha256, size, state, touched_at"
    );
    fetch_optional(tx, sql, values![sha256, before, now]).await
}

/// Like [`claim_deletable`] for one blob, however lately it was touched; `None`: something refers to it.
pub async fn claim(tx: &mut Transaction, sha256: &[u8], now: i64) -> Result<Option<Blob>> {
    // A writer that refers to the blob right now holds its row: wait for it in a statement of its own, as one that
    // waits would still look at the dists of before.
    let wait = sql!(
        sqlite: "SELECT touched_at FROM blobs WHERE sha256 = $1",
        postgres: "SELECT touched_at FROM blobs WHERE sha256 = $1 FOR UPDATE",
    );
    execute(tx, wait, values![sha256]).await?;
    let sql = sql!(
        "UPDATE blobs SET state = 'deleting', touched_at = $2
         WHERE sha256 = $1 AND NOT EXISTS (SELECT 1 FROM dists WHERE dists.sha256 = blobs.sha256)
             AND NOT EXISTS (SELECT 1 FROM artifacts WHERE artifacts.sha256 = blobs.sha256)
         RETURNING sha256, size, state, touched_at"
    );
    fetch_optional(tx, sql, values![sha256, now]).await
}

/// Claims a blob anew that was claimed before `before` and never dropped, because its collector was lost; `None`: there
/// is no such claim.
pub async fn take_over(
    tx: &mut Transaction,
    sha256: &[u8],
    before: i64,
    now: i64,
) -> Result<Option<Blob>> {
    let sql = sql!(
        "UPDATE blobs SET touched_at = $3
         WHERE sha256 = $1 AND state = 'deleting' AND touched_at < $2
         RETURNING sha256, size, state, touched_at"
    );
    fetch_optional(tx, sql, values![sha256, before, now]).await
}

/// Drops the row of a blob whose bytes are deleted; `false`: it was not being deleted.
pub async fn drop_row(tx: &mut Transaction, sha256: &[u8]) -> Result<bool> {
    let sql = sql!("DELETE FROM blobs WHERE sha256 = $1 AND state = 'deleting'");
    Ok(execute(tx, sql, values![sha256]).await? > 0)
}
