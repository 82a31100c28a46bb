//! When recurring work is due next.

use crate::Result;
use crate::handle::{Handle, Transaction, execute, fetch_all};
use crate::row::columns;
use crate::statement::sql;
use crate::value::values;

/// A schedule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule {
    /// What recurs.
    pub name: String,
    /// When it is due.
    pub next_run_at: i64,
}
columns!(Schedule: name, next_run_at);

/// Adds a schedule; one that is there keeps its time.
pub async fn ensure(tx: &mut Transaction, name: &str, next_run_at: i64) -> Result<()> {
    let sql = sql!(
        "INSERT INTO schedules (name, next_run_at) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING"
    );
    execute(tx, sql, values![name, next_run_at])
        .await
        .map(|_| ())
}

/// Moves a due schedule on to `next`; `true` for exactly one of those who try, who then does the work. Due is also what
/// is planned for later than `never`, by a clock that was ahead.
pub async fn claim_due(
    tx: &mut Transaction,
    name: &str,
    now: i64,
    next: i64,
    never: i64,
) -> Result<bool> {
    let sql = sql!(
        "UPDATE schedules SET next_run_at = $3 WHERE name = $1 AND (next_run_at <= $2 OR next_run_at > $4)"
    );
    Ok(execute(tx, sql, values![name, now, next, never]).await? > 0)
}

/// Every schedule, by name.
pub async fn list(on: &mut impl Handle) -> Result<Vec<Schedule>> {
    let sql = sql!("SELECT name, next_run_at FROM schedules ORDER BY name");
    fetch_all(on, sql, values![]).await
}
