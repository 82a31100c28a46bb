//! Small facts of this installation, such as the public URL it was last served under.

use super::Text;
use crate::Result;
use crate::handle::{Handle, Transaction, execute, fetch_optional};
use crate::statement::sql;
use crate::value::values;

/// The value of a fact.
pub async fn get(on: &mut impl Handle, name: &str) -> Result<Option<String>> {
    let sql = sql!("SELECT value FROM facts WHERE name = $1");
    let row: Option<Text> = fetch_optional(on, sql, values![name]).await?;
    Ok(row.map(|row| row.value))
}

/// Writes a fact.
pub async fn set(tx: &mut Transaction, name: &str, value: &str) -> Result<()> {
    let sql = sql!(
        "INSERT INTO facts (name, value) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET value = excluded.value"
    );
    execute(tx, sql, values![name, value]).await.map(|_| ())
}
