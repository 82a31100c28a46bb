//! What the last synchronization saw upstream: refs, their commits, and why one gives no version.

use crate::Result;
use crate::handle::{Handle, Transaction, execute, fetch_all};
use crate::row::columns;
use crate::statement::sql;
use crate::value::values;

/// A ref.
#[derive(Debug, Clone, PartialEq, Eq)]
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
    let sql =
        sql!("SELECT name, commit_id, error FROM package_refs WHERE package_id = $1 ORDER BY name");
    fetch_all(on, sql, values![package_id]).await
}

/// Adds or replaces refs of a package.
pub async fn upsert(tx: &mut Transaction, package_id: i64, refs: &[PackageRef]) -> Result<()> {
    let sql = sql!(
        "INSERT INTO package_refs (package_id, name, commit_id, error) VALUES ($1, $2, $3, $4)
         ON CONFLICT (package_id, name) DO UPDATE SET commit_id = excluded.commit_id, error = excluded.error"
    );
    for PackageRef {
        name,
        commit_id,
        error,
    } in refs
    {
        execute(
            tx,
            sql,
            values![package_id, name, commit_id, error.as_deref()],
        )
        .await?;
    }
    Ok(())
}

/// Deletes refs of a package; what is not there is passed over.
pub async fn delete(tx: &mut Transaction, package_id: i64, names: &[String]) -> Result<()> {
    let sql = sql!("DELETE FROM package_refs WHERE package_id = $1 AND name = $2");
    for name in names {
        execute(tx, sql, values![package_id, name]).await?;
    }
    Ok(())
}

/// Deletes every ref of a package, so that the next synchronization reads all of them, and says how many.
pub async fn delete_all(tx: &mut Transaction, package_id: i64) -> Result<u64> {
    let sql = sql!("DELETE FROM package_refs WHERE package_id = $1");
    execute(tx, sql, values![package_id]).await
}
