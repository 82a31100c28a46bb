//! What the owner of a running job may write, fenced by the attempt.

use super::queue::hold;
use crate::Result;
use crate::db::{Flag, Number};
use crate::handle::{Transaction, execute, fetch_optional};
use crate::statement::sql;
use crate::value::values;

/// What [`heartbeat`] tells the owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lease {
    /// Go on.
    Held,
    /// Stop, and [`finish`] as [`Outcome::Cancelled`].
    CancelRequested,
    /// Stop at once: the job is no longer yours.
    Lost,
}

/// How a job ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It did what it should.
    Success,
    /// It did not and will not.
    Error,
    /// It was asked to stop and did.
    Cancelled,
}

impl Outcome {
    fn state(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Error => "error",
            Self::Cancelled => "cancelled",
        }
    }
}

/// Prolongs the lease of a running job.
pub async fn heartbeat(
    tx: &mut Transaction,
    id: i64,
    attempt: i64,
    owner: &str,
    lease_until: i64,
) -> Result<Lease> {
    let sql = sql!(
        "UPDATE jobs SET lease_until = $4 WHERE id = $1 AND attempt = $2 AND owner = $3 AND state = 'running'
         RETURNING cancel_requested AS value"
    );
    let row: Option<Flag> =
        fetch_optional(tx, sql, values![id, attempt, owner, lease_until]).await?;
    Ok(match row {
        None => Lease::Lost,
        Some(Flag { value: false }) => Lease::Held,
        Some(_) => Lease::CancelRequested,
    })
}

/// Whether this attempt still runs, asked in the transaction that publishes its work; on PostgreSQL the row stays
/// locked until the end, so that nobody can take the job over meanwhile.
pub async fn is_held(tx: &mut Transaction, id: i64, attempt: i64) -> Result<bool> {
    let sql = sql!(
        sqlite: "SELECT id AS value FROM jobs WHERE id = $1 AND attempt = $2 AND state = 'running'",
        postgres: "SELECT id AS value FROM jobs WHERE id = $1 AND attempt = $2 AND state = 'running' FOR UPDATE",
    );
    let row: Option<Number> = fetch_optional(tx, sql, values![id, attempt]).await?;
    Ok(row.is_some())
}

/// Notes how far a running job is; `false`: it is no longer this attempt's.
pub async fn progress(
    tx: &mut Transaction,
    id: i64,
    attempt: i64,
    done: i64,
    total: i64,
    message: &str,
) -> Result<bool> {
    let sql = sql!(
        "UPDATE jobs SET progress_done = $3, progress_total = $4, message = $5
         WHERE id = $1 AND attempt = $2 AND state = 'running'"
    );
    Ok(execute(tx, sql, values![id, attempt, done, total, message]).await? > 0)
}

/// Ends a running job; `false`: it is no longer this attempt's to end.
pub async fn finish(
    tx: &mut Transaction,
    id: i64,
    attempt: i64,
    outcome: Outcome,
    message: &str,
    now: i64,
) -> Result<bool> {
    let sql = sql!(
        "UPDATE jobs SET state = $3, message = $4, finished_at = $5, owner = NULL, lease_until = NULL
         WHERE id = $1 AND attempt = $2 AND state = 'running'"
    );
    Ok(execute(tx, sql, values![id, attempt, outcome.state(), message, now]).await? > 0)
}

/// Ends a running job well, or, if it has the priority `forgotten`, without a trace; `false`: it is no longer this
/// attempt's to end.
pub async fn finish_or_forget(
    tx: &mut Transaction,
    id: i64,
    attempt: i64,
    forgotten: i64,
    message: &str,
    now: i64,
) -> Result<bool> {
    let finish = sql!(
        "UPDATE jobs SET state = 'success', message = $4, finished_at = $5, owner = NULL, lease_until = NULL
         WHERE id = $1 AND attempt = $2 AND state = 'running' AND priority <> $3"
    );
    if execute(tx, finish, values![id, attempt, forgotten, message, now]).await? > 0 {
        return Ok(true);
    }
    let logs = sql!(
        "DELETE FROM job_log WHERE job_id IN (
             SELECT id FROM jobs WHERE id = $1 AND attempt = $2 AND state = 'running' AND priority = $3)"
    );
    execute(tx, logs, values![id, attempt, forgotten]).await?;
    let forget = sql!(
        "DELETE FROM jobs WHERE id = $1 AND attempt = $2 AND state = 'running' AND priority = $3"
    );
    Ok(execute(tx, forget, values![id, attempt, forgotten]).await? > 0)
}

/// Queues a running job again for another attempt at `run_at`; `false`: it is no longer this attempt's, or somebody
/// asked for it to stop. When another job with its exclusive key is queued meanwhile, that one goes on instead and
/// this one ends as an error.
pub async fn retry_later(
    tx: &mut Transaction,
    id: i64,
    attempt: i64,
    run_at: i64,
    message: &str,
    now: i64,
) -> Result<bool> {
    let superseded = sql!(
        "UPDATE jobs SET state = 'error', message = $3, finished_at = $4, owner = NULL, lease_until = NULL
         WHERE id = $1 AND attempt = $2 AND state = 'running' AND NOT cancel_requested
             AND EXISTS (SELECT 1 FROM jobs AS twin
                 WHERE twin.state = 'queued' AND twin.exclusive_key = jobs.exclusive_key)"
    );
    hold(tx).await?;
    let ended = format!("{message} (superseded: the same job is queued again)");
    if execute(tx, superseded, values![id, attempt, &ended, now]).await? > 0 {
        return Ok(true);
    }
    let sql = sql!(
        "UPDATE jobs SET state = 'queued', run_at = $3, message = $4, owner = NULL, lease_until = NULL
         WHERE id = $1 AND attempt = $2 AND state = 'running' AND NOT cancel_requested"
    );
    Ok(execute(tx, sql, values![id, attempt, run_at, message]).await? > 0)
}
