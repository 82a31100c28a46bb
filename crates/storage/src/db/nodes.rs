//! Servers and workers that are alive.

use crate::Result;
use crate::handle::{Handle, Transaction, execute, fetch_all};
use crate::row::columns;
use crate::statement::sql;
use crate::value::values;

/// A process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// Its name, unique among those alive.
    pub name: String,
    /// `serve` or `worker`.
    pub kind: String,
    /// When it began.
    pub started_at: i64,
    /// Its last sign of life.
    pub seen_at: i64,
}
columns!(Node: name, kind, started_at, seen_at);

/// Notes a node's sign of life.
pub async fn beat(tx: &mut Transaction, node: &Node) -> Result<()> {
    let sql = sql!(
        "INSERT INTO nodes (name, kind, started_at, seen_at) VALUES ($1, $2, $3, $4)
         ON CONFLICT (name) DO UPDATE SET
             kind = excluded.kind, started_at = excluded.started_at, seen_at = excluded.seen_at"
    );
    let Node {
        name,
        kind,
        started_at,
        seen_at,
    } = node;
    execute(tx, sql, values![name, kind, *started_at, *seen_at])
        .await
        .map(|_| ())
}

/// The nodes seen at `since` or later, by name.
pub async fn list_alive(on: &mut impl Handle, since: i64) -> Result<Vec<Node>> {
    let sql =
        sql!("SELECT name, kind, started_at, seen_at FROM nodes WHERE seen_at >= $1 ORDER BY name");
    fetch_all(on, sql, values![since]).await
}

/// Forgets a node that stops.
pub async fn remove(tx: &mut Transaction, name: &str) -> Result<()> {
    let sql = sql!("DELETE FROM nodes WHERE name = $1");
    execute(tx, sql, values![name]).await.map(|_| ())
}
