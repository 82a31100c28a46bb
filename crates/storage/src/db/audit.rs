//! Who did what to what.

use super::Number;
use crate::Result;
use crate::handle::{Handle, Transaction, fetch_all, fetch_one};
use crate::row::columns;
use crate::statement::sql;
use crate::value::values;

/// An entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditEntry {
    /// Key.
    pub id: i64,
    /// In which organization; `None`: in the installation.
    pub organization_id: Option<i64>,
    /// When.
    pub at: i64,
    /// Who: `cli`, `hook:github`, `token:12`, `job:SyncPackage`.
    pub actor: String,
    /// What: `package.add`.
    pub action: String,
    /// To what: `acme/lib`.
    pub subject: String,
    /// JSON without secrets.
    pub detail: String,
}
columns!(AuditEntry: id, organization_id, at, actor, action, subject, detail);

/// What a new entry is made of; the fields are [`AuditEntry`]'s.
#[derive(Debug, Clone, Copy)]
pub struct NewAuditEntry<'n> {
    pub organization_id: Option<i64>,
    pub at: i64,
    pub actor: &'n str,
    pub action: &'n str,
    pub subject: &'n str,
    pub detail: &'n str,
}

/// Adds an entry.
pub async fn insert(tx: &mut Transaction, new: NewAuditEntry<'_>) -> Result<i64> {
    let sql = sql!(
        "INSERT INTO audit (organization_id, at, actor, action, subject, detail)
         VALUES ($1, $2, $3, $4, $5, $6) RETURNING id AS value"
    );
    let NewAuditEntry {
        organization_id,
        at,
        actor,
        action,
        subject,
        detail,
    } = new;
    let values = values![organization_id, at, actor, action, subject, detail];
    fetch_one::<Number>(tx, sql, values)
        .await
        .map(|row| row.value)
}

/// A page of entries, newest first: of one organization or of all, before the last key of the page before.
pub async fn list(
    on: &mut impl Handle,
    organization_id: Option<i64>,
    before_id: Option<i64>,
    limit: i64,
) -> Result<Vec<AuditEntry>> {
    let sql = sql!(
        "SELECT id, organization_id, at, actor, action, subject, detail FROM audit
         WHERE (CAST($1 AS BIGINT) IS NULL OR organization_id = $1) AND (CAST($2 AS BIGINT) IS NULL OR id < $2)
         ORDER BY id DESC LIMIT $3"
    );
    fetch_all(on, sql, values![organization_id, before_id, limit]).await
}
