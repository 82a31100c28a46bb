//! The sequence of changes: the truth between processes, and Composer's `metadata-changes-url`.

use super::Number;
use crate::handle::{Handle, Transaction, execute, fetch_all, fetch_one};
use crate::row::columns;
use crate::rows::Rows;
use crate::statement::sql;
use crate::value::values;
use crate::{Engine, Result};

/// One change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Its place: grows with every change in the order of commits, and is at least ten times the milliseconds.
    pub seq: i64,
    /// In which organization.
    pub organization_id: i64,
    /// `package`, `token` or `organization`.
    pub subject: String,
    /// `update` or `delete`.
    pub action: String,
    /// The package's name (with `~dev` for its branches), the token's key or the organization's slug.
    pub name: String,
}
columns!(Change: seq, organization_id, subject, action, name);

impl Change {
    /// A change that has no place yet.
    pub fn new(organization_id: i64, subject: &str, action: &str, name: &str) -> Self {
        Self {
            seq: 0,
            organization_id,
            subject: subject.to_owned(),
            action: action.to_owned(),
            name: name.to_owned(),
        }
    }
}

/// Notes a change as [`append_all`] does. Returns its place, max(previous + 1, `now` × 10).
pub async fn append(
    tx: &mut Transaction,
    now: i64,
    organization_id: i64,
    subject: &str,
    action: &str,
    name: &str,
) -> Result<i64> {
    let change = Change::new(organization_id, subject, action, name);
    append_all(tx, now, &[change]).await
}

/// Notes changes, giving them one place after the other, and wakes those who watch when the transaction commits. Returns the place
/// of the last one.
///
/// Append **last** before the commit: on PostgreSQL this takes a lock until then, so that places are handed out in
/// the order in which they become visible.
pub async fn append_all(tx: &mut Transaction, now: i64, changes: &[Change]) -> Result<i64> {
    if changes.is_empty() {
        return latest(tx).await;
    }
    hold(tx).await?;
    let sql = sql!(
        sqlite: "INSERT INTO changes (seq, organization_id, subject, action, name)
             SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4 FROM jsonb_each($1)",
        postgres: "INSERT INTO changes (seq, organization_id, subject, action, name)
             SELECT CAST(value ->> 0 AS BIGINT), CAST(value ->> 1 AS BIGINT), value ->> 2, value ->> 3, value ->> 4
             FROM jsonb_array_elements(CAST($1 AS JSONB))",
    );
    let mut place = latest(tx).await?;
    let mut rows = Rows::default();
    for change in changes {
        place = (place + 1).max(now.saturating_mul(10));
        rows.push(values![
            place,
            change.organization_id,
            &change.subject,
            &change.action,
            &change.name
        ])?;
    }
    for text in rows.texts() {
        execute(tx, sql, values![&text]).await?;
    }
    if tx.engine() == Engine::Postgres {
        let wake = sql!(sqlite: "SELECT 0", postgres: "SELECT pg_notify('kapelle', '')");
        execute(tx, wake, values![]).await?;
    }
    Ok(place)
}

/// Keeps others from appending until the transaction ends: who then reads the changes has seen all that come before
/// what this transaction writes. [`append`] does so by itself. On SQLite nobody else writes anyway.
pub async fn hold(tx: &mut Transaction) -> Result<()> {
    if tx.engine() == Engine::Sqlite {
        return Ok(());
    }
    let lock = sql!(sqlite: "SELECT 0", postgres: "SELECT pg_advisory_xact_lock(5713024002)");
    execute(tx, lock, values![]).await.map(|_| ())
}

/// The changes after `seq`, oldest first.
pub async fn since(on: &mut impl Handle, seq: i64, limit: i64) -> Result<Vec<Change>> {
    let sql = sql!(
        "SELECT seq, organization_id, subject, action, name FROM changes WHERE seq > $1 ORDER BY seq LIMIT $2"
    );
    fetch_all(on, sql, values![seq, limit]).await
}

/// An organization's changes after `seq` and not after `until`, oldest first.
pub async fn since_for_organization(
    on: &mut impl Handle,
    organization_id: i64,
    seq: i64,
    until: Option<i64>,
    limit: i64,
) -> Result<Vec<Change>> {
    let sql = sql!(
        "SELECT seq, organization_id, subject, action, name FROM changes
         WHERE organization_id = $1 AND seq > $2 AND (CAST($3 AS BIGINT) IS NULL OR seq <= $3)
         ORDER BY seq LIMIT $4"
    );
    fetch_all(on, sql, values![organization_id, seq, until, limit]).await
}

/// The place of the newest change; 0 before the first.
pub async fn latest(on: &mut impl Handle) -> Result<i64> {
    let sql = sql!("SELECT COALESCE(MAX(seq), 0) AS value FROM changes");
    fetch_one::<Number>(on, sql, values![])
        .await
        .map(|row| row.value)
}

/// How many changes there are from `first` to `last`, both included.
pub async fn count(on: &mut impl Handle, first: i64, last: i64) -> Result<i64> {
    let sql = sql!("SELECT COUNT(*) AS value FROM changes WHERE seq >= $1 AND seq <= $2");
    fetch_one::<Number>(on, sql, values![first, last])
        .await
        .map(|row| row.value)
}

/// The place of the oldest change that was not pruned; 0 before the first. Who stands before it has to start anew.
pub async fn oldest(on: &mut impl Handle) -> Result<i64> {
    let sql = sql!("SELECT COALESCE(MIN(seq), 0) AS value FROM changes");
    fetch_one::<Number>(on, sql, values![])
        .await
        .map(|row| row.value)
}

/// Deletes the changes before `seq`, at most `limit` of them and never the newest, and says how many.
pub async fn prune(tx: &mut Transaction, seq: i64, limit: i64) -> Result<u64> {
    let sql = sql!(
        "DELETE FROM changes WHERE seq IN (
             SELECT seq FROM changes WHERE seq < $1 AND seq < (SELECT MAX(seq) FROM changes) ORDER BY seq LIMIT $2)"
    );
    execute(tx, sql, values![seq, limit]).await
}
