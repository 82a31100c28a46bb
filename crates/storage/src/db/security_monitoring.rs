//! What of a package is to be looked at for security advisories.

use crate::Result;
use crate::handle::{Handle, Transaction, execute, fetch_optional};
use crate::row::columns;
use crate::statement::sql;
use crate::value::values;

/// What was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Monitoring {
    /// Every branch.
    pub all_branches: bool,
    /// A JSON list of the branches besides the default one.
    pub branches: String,
}
columns!(Monitoring: all_branches, branches);

/// What was asked for of a package; `None`: nothing.
pub async fn find(on: &mut impl Handle, package_id: i64) -> Result<Option<Monitoring>> {
    let sql = sql!("SELECT all_branches, branches FROM security_monitoring WHERE package_id = $1");
    fetch_optional(on, sql, values![package_id]).await
}

/// Notes what is asked for of a package.
pub async fn put(tx: &mut Transaction, package_id: i64, monitoring: &Monitoring) -> Result<()> {
    let sql = sql!(
        "INSERT INTO security_monitoring (package_id, all_branches, branches) VALUES ($1, $2, $3)
         ON CONFLICT (package_id) DO UPDATE SET
             all_branches = excluded.all_branches, branches = excluded.branches"
    );
    let Monitoring {
        all_branches,
        branches,
    } = monitoring;
    execute(tx, sql, values![package_id, *all_branches, branches])
        .await
        .map(|_| ())
}
