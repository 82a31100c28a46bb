//! What the last synchronization saw upstream: refs, their commits, and why one gives no version.

use serde::Deserialize;

use crate::Result;
use crate::handle::{Handle, Transaction, execute, fetch_one};
use crate::row::columns;
use crate::rows::{Rows, fetch_packed};
use crate::statement::sql;
use crate::value::values;

/// A ref.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct PackageRef {
    /// `refs/tags/1.0.0`, `refs/heads/main`.
    pub name: String,
    /// The commit, peeled.
    pub commit_id: String,
    /// Why this ref gives no version.
    pub error: Option<String>,
}
columns!(PackageRef: name, commit_id, error);

/// A package's refs, by name.
pub async fn list(on: &mut impl Handle, package_id: i64) -> Result<Vec<PackageRef>> {
    let sql = sql!(
        sqlite: "SELECT json_group_array(json_array(name, commit_id, error) ORDER BY name) AS value
             FROM package_refs WHERE package_id = $1",
        postgres: "SELECT name, commit_id, error FROM package_refs WHERE package_id = $1 ORDER BY name",
    );
    fetch_packed(on, sql, values![package_id]).await
}

/// What there is to compare with what upstream has now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// Name and commit of each ref, `refs/heads/main 0123… refs/tags/1.0.0 4567…`, in no order; `None`: there are none.
    pub refs: Option<String>,
    /// Whether every live version is of one of these refs, and that of the default branch says so: not so after a
    /// synchronization that was cut short, because refs are written last.
    pub settled: bool,
}
columns!(Seen: refs, settled);

/// The refs and versions of a package, as far as a look at its repository needs them, in one row.
pub async fn seen(
    on: &mut impl Handle,
    package_id: i64,
    default_ref: Option<&str>,
) -> Result<Seen> {
    let sql = sql!(
        "SELECT (SELECT STRING_AGG(name || ' ' || commit_id, ' ') FROM package_refs WHERE package_id = $1) AS refs,
             NOT EXISTS (SELECT 1 FROM versions WHERE package_id = $1 AND removed_at IS NULL
                 AND (NOT EXISTS (SELECT 1 FROM package_refs
                         WHERE package_refs.package_id = $1 AND package_refs.name = versions.ref_name)
                     OR (NOT default_branch AND ref_name = CAST($2 AS TEXT)))) AS settled"
    );
    fetch_one(on, sql, values![package_id, default_ref]).await
}

/// Adds or replaces refs of packages, each with its package's key; none may be there twice.
pub async fn upsert<'r>(
    tx: &mut Transaction,
    refs: impl IntoIterator<Item = (i64, &'r PackageRef)>,
) -> Result<()> {
    let sql = sql!(
        sqlite: "INSERT INTO package_refs (package_id, name, commit_id, error)
             SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3 FROM jsonb_each($1) WHERE true
             ON CONFLICT (package_id, name) DO UPDATE SET commit_id = excluded.commit_id, error = excluded.error",
        postgres: "INSERT INTO package_refs (package_id, name, commit_id, error)
             SELECT CAST(value ->> 0 AS BIGINT), value ->> 1, value ->> 2, value ->> 3
             FROM jsonb_array_elements(CAST($1 AS JSONB))
             ON CONFLICT (package_id, name) DO UPDATE SET commit_id = excluded.commit_id, error = excluded.error",
    );
    let mut rows = Rows::default();
    for (package_id, seen) in refs {
        rows.push(values![
            package_id,
            &seen.name,
            &seen.commit_id,
            seen.error.as_deref()
        ])?;
    }
    for text in rows.texts() {
        execute(tx, sql, values![&text]).await?;
    }
    Ok(())
}

/// Deletes refs of a package; what is not there is passed over.
pub async fn delete(tx: &mut Transaction, package_id: i64, names: &[String]) -> Result<()> {
    let sql = sql!(
        sqlite: "DELETE FROM package_refs
             WHERE package_id = $1 AND name IN (SELECT value ->> 0 FROM jsonb_each($2))",
        postgres: "DELETE FROM package_refs
             WHERE package_id = $1 AND name IN (SELECT value ->> 0 FROM jsonb_array_elements(CAST($2 AS JSONB)))",
    );
    let mut rows = Rows::default();
    for name in names {
        rows.push(values![name])?;
    }
    for text in rows.texts() {
        execute(tx, sql, values![package_id, &text]).await?;
    }
    Ok(())
}

/// Deletes every ref of a package, so that the next synchronization reads all of them, and says how many.
pub async fn delete_all(tx: &mut Transaction, package_id: i64) -> Result<u64> {
    let sql = sql!("DELETE FROM package_refs WHERE package_id = $1");
    execute(tx, sql, values![package_id]).await
}
