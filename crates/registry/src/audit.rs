//! Who changed what: one row per change, written in the change's own transaction.

use kapelle_storage::db::audit as rows;
use kapelle_storage::{StorageError, Transaction};
use serde_json::Value;

use crate::actor::Actor;
use crate::registry::Registry;

/// What an audit row says besides who and when.
#[derive(Debug)]
pub struct Entry<'a> {
    /// Whose log it belongs to; `None` for the whole installation.
    pub organization_id: Option<i64>,
    /// Noun and verb: `package.add`.
    pub action: &'a str,
    /// What was changed: `acme/lib`.
    pub subject: &'a str,
    /// The rest, without secrets.
    pub detail: Value,
}

/// Writes one row.
pub(crate) async fn record(
    registry: &Registry,
    transaction: &mut Transaction,
    actor: &Actor,
    entry: Entry<'_>,
) -> Result<(), StorageError> {
    let row = rows::NewAuditEntry {
        organization_id: entry.organization_id,
        at: registry.now(),
        actor: &actor.to_string(),
        action: entry.action,
        subject: entry.subject,
        detail: &entry.detail.to_string(),
    };
    rows::insert(transaction, row).await?;
    Ok(())
}
