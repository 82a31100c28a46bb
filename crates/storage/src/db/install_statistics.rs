//! How often a version was installed, per day.

use crate::Result;
use crate::handle::{Handle, Transaction, execute, fetch_all, fetch_one};
use crate::row::columns;
use crate::statement::sql;
use crate::value::values;

/// The installs of a version on a day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Installs {
    /// Of which package.
    pub package_id: i64,
    /// Of which version.
    pub version_normalized: String,
    /// Days since 1970, UTC.
    pub day: i64,
    /// How many.
    pub installs: i64,
}
columns!(Installs: package_id, version_normalized, day, installs);

/// Adds to the counts. Sort a batch by package, version and day: two batches in different order can wait for each
/// other on PostgreSQL.
pub async fn add(tx: &mut Transaction, batch: &[Installs]) -> Result<()> {
    let sql = sql!(
        "INSERT INTO install_statistics (package_id, version_normalized, day, installs) VALUES ($1, $2, $3, $4)
         ON CONFLICT (package_id, version_normalized, day) DO UPDATE SET
             installs = install_statistics.installs + excluded.installs"
    );
    for Installs {
        package_id,
        version_normalized,
        day,
        installs,
    } in batch
    {
        execute(
            tx,
            sql,
            values![*package_id, version_normalized, *day, *installs],
        )
        .await?;
    }
    Ok(())
}

/// A package's installs from day `from` to day `to`, both included, by day and version.
pub async fn for_package(
    on: &mut impl Handle,
    package_id: i64,
    from: i64,
    to: i64,
) -> Result<Vec<Installs>> {
    let sql = sql!(
        "SELECT package_id, version_normalized, day, installs FROM install_statistics
         WHERE package_id = $1 AND day BETWEEN $2 AND $3 ORDER BY day, version_normalized"
    );
    fetch_all(on, sql, values![package_id, from, to]).await
}

/// How often a package was installed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Totals {
    /// In all.
    pub total: i64,
    /// Since the first of the two days.
    pub month: i64,
    /// Since the second.
    pub day: i64,
}
columns!(Totals: total, month, day);

/// How often a package was installed in all, and since two days.
pub async fn totals(on: &mut impl Handle, package_id: i64, month: i64, day: i64) -> Result<Totals> {
    let sql = sql!(
        "SELECT CAST(COALESCE(SUM(installs), 0) AS BIGINT) AS total,
             CAST(COALESCE(SUM(CASE WHEN day >= $2 THEN installs ELSE 0 END), 0) AS BIGINT) AS month,
             CAST(COALESCE(SUM(CASE WHEN day >= $3 THEN installs ELSE 0 END), 0) AS BIGINT) AS day
         FROM install_statistics WHERE package_id = $1"
    );
    fetch_one(on, sql, values![package_id, month, day]).await
}

/// How often a package was installed in all.
pub async fn total(on: &mut impl Handle, package_id: i64) -> Result<i64> {
    let sql = sql!(
        "SELECT CAST(COALESCE(SUM(installs), 0) AS BIGINT) AS value FROM install_statistics WHERE package_id = $1"
    );
    fetch_one::<super::Number>(on, sql, values![package_id])
        .await
        .map(|row| row.value)
}
