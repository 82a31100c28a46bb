//! Jobs for people to look at.

use super::Job;
use crate::Result;
use crate::db::Flag;
use crate::handle::{Handle, fetch_all, fetch_one, fetch_optional};
use crate::row::columns;
use crate::statement::sql;
use crate::value::values;

/// Which jobs [`list`] gives; `None` means any.
#[derive(Debug, Clone, Copy, Default)]
pub struct Filter<'f> {
    /// Of this organization.
    pub organization_id: Option<i64>,
    /// In this state.
    pub state: Option<&'f str>,
    /// For this package.
    pub package_id: Option<i64>,
    /// Of this kind.
    pub kind: Option<&'f str>,
    /// Older than this one: the last key of the page before.
    pub before_id: Option<i64>,
}

/// The job with this key.
pub async fn find(on: &mut impl Handle, id: i64) -> Result<Option<Job>> {
    let sql = sql!(
        "SELECT id, kind, payload, organization_id, package_id, state, exclusive_key, attempt, max_attempts, run_at,
             owner, lease_until, cancel_requested, progress_done, progress_total, message, created_at, started_at,
             finished_at, priority
         FROM jobs WHERE id = $1"
    );
    fetch_optional(on, sql, values![id]).await
}

/// A page of jobs, newest first.
pub async fn list(on: &mut impl Handle, filter: Filter<'_>, limit: i64) -> Result<Vec<Job>> {
    let sql = sql!(
        "SELECT id, kind, payload, organization_id, package_id, state, exclusive_key, attempt, max_attempts, run_at,
             owner, lease_until, cancel_requested, progress_done, progress_total, message, created_at, started_at,
             finished_at, priority
         FROM jobs
         WHERE (CAST($1 AS BIGINT) IS NULL OR organization_id = $1)
             AND (CAST($2 AS TEXT) IS NULL OR state = $2)
             AND (CAST($3 AS BIGINT) IS NULL OR package_id = $3)
             AND (CAST($4 AS TEXT) IS NULL OR kind = $4)
             AND (CAST($5 AS BIGINT) IS NULL OR id < $5)
         ORDER BY id DESC LIMIT $6"
    );
    let Filter {
        organization_id,
        state,
        package_id,
        kind,
        before_id,
    } = filter;
    fetch_all(
        on,
        sql,
        values![organization_id, state, package_id, kind, before_id, limit],
    )
    .await
}

/// Whether a job for a package waits or runs.
pub async fn has_open(on: &mut impl Handle, package_id: i64) -> Result<bool> {
    let sql = sql!(
        "SELECT EXISTS (SELECT 1 FROM jobs WHERE package_id = $1 AND state IN ('queued', 'running')) AS value"
    );
    fetch_one::<Flag>(on, sql, values![package_id])
        .await
        .map(|row| row.value)
}

/// How many jobs are in each of the states that are not over: `(state, how many)`.
pub async fn count_open(on: &mut impl Handle) -> Result<Vec<(String, i64)>> {
    let sql = sql!(
        "SELECT state, COUNT(*) AS jobs FROM jobs WHERE state IN ('queued', 'running') GROUP BY state"
    );
    let rows: Vec<Count> = fetch_all(on, sql, values![]).await?;
    Ok(rows.into_iter().map(|row| (row.state, row.jobs)).collect())
}

struct Count {
    state: String,
    jobs: i64,
}
columns!(Count: state, jobs);
