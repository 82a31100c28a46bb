//! Names that a package's versions provide or replace.

use super::Text;
use crate::Result;
use crate::handle::{Handle, Transaction, execute, fetch_all};
use crate::statement::sql;
use crate::value::values;

/// The names that a package's versions provide or replace, sorted by the database.
pub async fn list(on: &mut impl Handle, package_id: i64) -> Result<Vec<String>> {
    let sql = sql!("SELECT name AS value FROM provided_names WHERE package_id = $1 ORDER BY name");
    let rows: Vec<Text> = fetch_all(on, sql, values![package_id]).await?;
    Ok(rows.into_iter().map(|row| row.value).collect())
}

/// Makes `names` the only ones of a package; a name may be there twice.
pub async fn replace(tx: &mut Transaction, package_id: i64, names: &[String]) -> Result<()> {
    let clear = sql!("DELETE FROM provided_names WHERE package_id = $1");
    execute(tx, clear, values![package_id]).await?;
    let sql = sql!(
        "INSERT INTO provided_names (package_id, name) VALUES ($1, $2) ON CONFLICT (package_id, name) DO NOTHING"
    );
    for name in names {
        execute(tx, sql, values![package_id, name]).await?;
    }
    Ok(())
}
