//! Definitions: the JSON that a custom package was given.

use crate::Result;
use crate::handle::{Handle, Transaction, execute, fetch_all, fetch_optional};
use crate::row::columns;
use crate::statement::sql;
use crate::value::values;

use super::{Number, Text};

/// A custom package's definition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Definition {
    /// Of which package.
    pub package_id: i64,
    /// One version, or a list of them, as it was given.
    pub json: String,
}
columns!(Definition: package_id, json);

/// The definition of a custom package.
pub async fn find(on: &mut impl Handle, package_id: i64) -> Result<Option<String>> {
    let sql = sql!("SELECT json AS value FROM definitions WHERE package_id = $1");
    let row: Option<Text> = fetch_optional(on, sql, values![package_id]).await?;
    Ok(row.map(|row| row.value))
}

/// The definitions of an organization's live packages whose keys lie between two, both included.
pub async fn list(
    on: &mut impl Handle,
    organization_id: i64,
    first: i64,
    last: i64,
) -> Result<Vec<Definition>> {
    let sql = sql!(
        "SELECT package_id, json FROM definitions
         WHERE package_id BETWEEN $2 AND $3
             AND EXISTS (SELECT 1 FROM packages WHERE packages.id = package_id AND organization_id = $1
                 AND removed_at IS NULL)
         ORDER BY package_id"
    );
    fetch_all(on, sql, values![organization_id, first, last]).await
}

/// How many characters [`list`] would read.
pub async fn weigh(
    on: &mut impl Handle,
    organization_id: i64,
    first: i64,
    last: i64,
) -> Result<i64> {
    let sql = sql!(
        "SELECT CAST(COALESCE(SUM(LENGTH(json)), 0) AS BIGINT) AS value FROM definitions
         WHERE package_id BETWEEN $2 AND $3
             AND EXISTS (SELECT 1 FROM packages WHERE packages.id = package_id AND organization_id = $1
                 AND removed_at IS NULL)"
    );
    let row: Option<Number> =
        fetch_optional(on, sql, values![organization_id, first, last]).await?;
    Ok(row.map_or(0, |row| row.value))
}

/// Writes a package's definition.
pub async fn put(tx: &mut Transaction, package_id: i64, json: &str) -> Result<()> {
    let sql = sql!(
        "INSERT INTO definitions (package_id, json) VALUES ($1, $2)
         ON CONFLICT (package_id) DO UPDATE SET json = excluded.json"
    );
    execute(tx, sql, values![package_id, json])
        .await
        .map(|_| ())
}

/// Forgets a purged package's definition.
pub async fn delete(tx: &mut Transaction, package_id: i64) -> Result<()> {
    let sql = sql!("DELETE FROM definitions WHERE package_id = $1");
    execute(tx, sql, values![package_id]).await.map(|_| ())
}
