//! Names that a package's versions provide or replace.

use super::Text;
use crate::Result;
use crate::handle::{Handle, Transaction, execute, fetch_all};
use crate::rows::Rows;
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
    add(tx, names.iter().map(|name| (package_id, name.as_str()))).await
}

/// Adds names, each with its package's key; one may be there already.
pub async fn add<'n>(
    tx: &mut Transaction,
    names: impl IntoIterator<Item = (i64, &'n str)>,
) -> Result<()> {
    let sql = sql!(
        sqlite: "INSERT INTO provided_names (package_id, name)
             SELECT value ->> 0, value ->> 1 FROM jsonb_each($1) WHERE true
             ON CONFLICT (package_id, name) DO NOTHING",
        postgres: "INSERT INTO provided_names (package_id, name)
             SELECT CAST(value ->> 0 AS BIGINT), value ->> 1 FROM jsonb_array_elements(CAST($1 AS JSONB))
             ON CONFLICT (package_id, name) DO NOTHING",
    );
    let mut rows = Rows::default();
    for (package_id, name) in names {
        rows.push(values![package_id, name])?;
    }
    for text in rows.texts() {
        execute(tx, sql, values![&text]).await?;
    }
    Ok(())
}
