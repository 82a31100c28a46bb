//! Names that a package's versions stand in for, or need.

use super::Text;
use crate::Result;
use crate::handle::{Handle, Transaction, execute, fetch_all};
use crate::rows::Rows;
use crate::statement::sql;
use crate::value::values;

/// What a name is to a package.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Relation {
    /// One of its versions provides or replaces it.
    Provides,
    /// One of its versions requires it.
    Requires,
}

impl Relation {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Provides => "provides",
            Self::Requires => "requires",
        }
    }
}

/// The names of one relation to a package, sorted by the database.
pub async fn list(
    on: &mut impl Handle,
    package_id: i64,
    relation: Relation,
) -> Result<Vec<String>> {
    let sql = sql!(
        "SELECT name AS value FROM linked_names WHERE package_id = $1 AND relation = $2 ORDER BY name"
    );
    let rows: Vec<Text> = fetch_all(on, sql, values![package_id, relation.as_str()]).await?;
    Ok(rows.into_iter().map(|row| row.value).collect())
}

/// Makes `names` the only ones of a relation to a package; a name may be there twice.
pub async fn replace(
    tx: &mut Transaction,
    package_id: i64,
    relation: Relation,
    names: &[String],
) -> Result<()> {
    let clear = sql!("DELETE FROM linked_names WHERE package_id = $1 AND relation = $2");
    execute(tx, clear, values![package_id, relation.as_str()]).await?;
    let names = names.iter().map(|name| (package_id, name.as_str()));
    add(tx, relation, names).await
}

/// Adds names of one relation, each with its package's key; one may be there already.
pub async fn add<'n>(
    tx: &mut Transaction,
    relation: Relation,
    names: impl IntoIterator<Item = (i64, &'n str)>,
) -> Result<()> {
    let sql = sql!(
        sqlite: "INSERT INTO linked_names (package_id, relation, name)
             SELECT value ->> 0, value ->> 1, value ->> 2 FROM jsonb_each($1) WHERE true
             ON CONFLICT (package_id, relation, name) DO NOTHING",
        postgres: "INSERT INTO linked_names (package_id, relation, name)
             SELECT CAST(value ->> 0 AS BIGINT), value ->> 1, value ->> 2
             FROM jsonb_array_elements(CAST($1 AS JSONB))
             ON CONFLICT (package_id, relation, name) DO NOTHING",
    );
    let mut rows = Rows::default();
    for (package_id, name) in names {
        rows.push(values![package_id, relation.as_str(), name])?;
    }
    for text in rows.texts() {
        execute(tx, sql, values![&text]).await?;
    }
    Ok(())
}
