//! Folders of git mirrors, and who has given a sign of life on them.

use crate::Result;
use crate::handle::{Handle, Transaction, execute, fetch_all, fetch_optional};
use crate::row::columns;
use crate::statement::sql;
use crate::value::values;

/// A folder of git mirrors.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Depot {
    /// Its name, which is kept in it.
    pub name: String,
    /// The node that spoke for it last.
    pub node: String,
    /// The last sign of life of any process on it.
    pub seen_at: i64,
    /// The last sign of life of a process on it that runs jobs; 0: never.
    pub works_at: i64,
}
columns!(Depot: name, node, seen_at, works_at);

/// Notes a sign of life on a depot; `works`: of a process that runs jobs.
pub async fn beat(
    tx: &mut Transaction,
    name: &str,
    node: &str,
    works: bool,
    now: i64,
) -> Result<()> {
    let sql = sql!(
        "INSERT INTO depots (name, node, seen_at, works_at) VALUES ($1, $2, $3, $4)
         ON CONFLICT (name) DO UPDATE SET node = excluded.node, seen_at = excluded.seen_at,
             works_at = CASE WHEN excluded.works_at > 0 THEN excluded.works_at ELSE depots.works_at END"
    );
    let works_at = if works { now } else { 0 };
    execute(tx, sql, values![name, node, now, works_at])
        .await
        .map(|_| ())
}

/// The depot of that name.
pub async fn find(on: &mut impl Handle, name: &str) -> Result<Option<Depot>> {
    let sql = sql!("SELECT name, node, seen_at, works_at FROM depots WHERE name = $1");
    fetch_optional(on, sql, values![name]).await
}

/// Every depot, by name.
pub async fn list(on: &mut impl Handle) -> Result<Vec<Depot>> {
    let sql = sql!("SELECT name, node, seen_at, works_at FROM depots ORDER BY name");
    fetch_all(on, sql, values![]).await
}

/// Forgets the depots on which nobody has given a sign of life since `before`, and says how many.
pub async fn prune(tx: &mut Transaction, before: i64) -> Result<u64> {
    let sql = sql!("DELETE FROM depots WHERE seen_at < $1");
    execute(tx, sql, values![before]).await
}
