//! The queue: who does what next, who does it now, and what came of it.
//!
//! A job is queued, running, or over (`success`, `error`, `cancelled`). Whoever runs one holds a lease and writes with
//! the attempt number that [`claim`] gave it; a write with an old number finds no row and says so.

use super::{Flag, Number};
use crate::Result;
use crate::handle::{Handle, Transaction, execute, fetch_all, fetch_one, fetch_optional};
use crate::row::columns;
use crate::statement::sql;
use crate::value::values;

/// A job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// Key.
    pub id: i64,
    /// What is to be done: `SyncPackage`.
    pub kind: String,
    /// With what: JSON.
    pub payload: String,
    /// For which organization.
    pub organization_id: Option<i64>,
    /// For which package.
    pub package_id: Option<i64>,
    /// `queued`, `running`, `success`, `error` or `cancelled`.
    pub state: String,
    /// At most one job with this key is queued, and one running.
    pub exclusive_key: Option<String>,
    /// How often it was begun; the fence of every write.
    pub attempt: i64,
    /// How often it may be begun.
    pub max_attempts: i64,
    /// When it may be begun.
    pub run_at: i64,
    /// The node that runs it.
    pub owner: Option<String>,
    /// Until when the owner must give a sign of life.
    pub lease_until: Option<i64>,
    /// Whether the owner is asked to stop.
    pub cancel_requested: bool,
    /// How much is done.
    pub progress_done: i64,
    /// Of how much; 0: not known.
    pub progress_total: i64,
    /// For people.
    pub message: String,
    /// When it was queued first.
    pub created_at: i64,
    /// When the last attempt began.
    pub started_at: Option<i64>,
    /// When it was over.
    pub finished_at: Option<i64>,
}
columns!(
    Job: id, kind, payload, organization_id, package_id, state, exclusive_key, attempt, max_attempts, run_at, owner,
    lease_until, cancel_requested, progress_done, progress_total, message, created_at, started_at, finished_at
);

/// What a new job is made of; the fields are [`Job`]'s.
#[derive(Debug, Clone, Copy)]
pub struct NewJob<'n> {
    pub kind: &'n str,
    pub payload: &'n str,
    pub organization_id: Option<i64>,
    pub package_id: Option<i64>,
    pub exclusive_key: Option<&'n str>,
    pub max_attempts: i64,
    pub run_at: i64,
    pub created_at: i64,
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

/// What [`cancel`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cancelled {
    /// It was queued and will not run.
    AtOnce,
    /// It is running and was asked to stop.
    Requested,
    /// It was over already, or there is no such job.
    TooLate,
}

/// Queues a job and returns its key. When a job with the same exclusive key is queued already, that one's key is
/// returned, and it runs at the earlier of both times; its payload stays.
pub async fn enqueue(tx: &mut Transaction, new: NewJob<'_>) -> Result<i64> {
    let sql = sql!(
        "INSERT INTO jobs (kind, payload, organization_id, package_id, state, exclusive_key, attempt, max_attempts,
             run_at, cancel_requested, progress_done, progress_total, message, created_at)
         VALUES ($1, $2, $3, $4, 'queued', $5, 0, $6, $7, FALSE, 0, 0, '', $8)
         ON CONFLICT (exclusive_key) WHERE state = 'queued' DO UPDATE SET
             run_at = CASE WHEN excluded.run_at < jobs.run_at THEN excluded.run_at ELSE jobs.run_at END
         RETURNING id AS value"
    );
    let NewJob {
        kind,
        payload,
        organization_id,
        package_id,
        exclusive_key,
        max_attempts,
        run_at,
        created_at,
    } = new;
    let values = values![
        kind,
        payload,
        organization_id,
        package_id,
        exclusive_key,
        max_attempts,
        run_at,
        created_at
    ];
    fetch_one::<Number>(tx, sql, values)
        .await
        .map(|row| row.value)
}

/// Takes the next job that is due, whose kind is among `kinds` (empty: any) and whose exclusive key no running job
/// has. Commit at once, then run it.
pub async fn claim(
    tx: &mut Transaction,
    owner: &str,
    kinds: &[&str],
    now: i64,
    lease_until: i64,
) -> Result<Option<Job>> {
    let kinds = match kinds {
        [] => None,
        _ => Some(format!(",{},", kinds.join(","))),
    };
    let sql = sql!(
        sqlite: "UPDATE jobs SET state = 'running', attempt = attempt + 1, owner = $1, lease_until = $4,
                 started_at = $3, message = ''
             WHERE id = (
                 SELECT next.id FROM jobs AS next
                 WHERE next.state = 'queued' AND next.run_at <= $3
                     AND ($2 IS NULL OR instr($2, ',' || next.kind || ',') > 0)
                     AND NOT EXISTS (SELECT 1 FROM jobs AS other
                         WHERE other.state = 'running' AND other.exclusive_key = next.exclusive_key)
                 ORDER BY next.run_at, next.id LIMIT 1)
             RETURNING id, kind, payload, organization_id, package_id, state, exclusive_key, attempt, max_attempts,
                 run_at, owner, lease_until, cancel_requested, progress_done, progress_total, message, created_at,
                 started_at, finished_at",
        postgres: "UPDATE jobs SET state = 'running', attempt = attempt + 1, owner = $1, lease_until = $4,
                 started_at = $3, message = ''
             WHERE id = (
                 SELECT next.id FROM jobs AS next
                 WHERE next.state = 'queued' AND next.run_at <= $3
                     AND (CAST($2 AS TEXT) IS NULL OR position(',' || next.kind || ',' IN $2) > 0)
                     AND NOT EXISTS (SELECT 1 FROM jobs AS other
                         WHERE other.state = 'running' AND other.exclusive_key = next.exclusive_key)
                 ORDER BY next.run_at, next.id LIMIT 1
                 FOR UPDATE SKIP LOCKED)
             RETURNING id, kind, payload, organization_id, package_id, state, exclusive_key, attempt, max_attempts,
                 run_at, owner, lease_until, cancel_requested, progress_done, progress_total, message, created_at,
                 started_at, finished_at",
    );
    fetch_optional(tx, sql, values![owner, kinds.as_deref(), now, lease_until]).await
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

/// Queues a running job again for another attempt at `run_at`; `false`: it is no longer this attempt's. When another
/// job with its exclusive key is queued meanwhile, that one goes on instead and this one ends as an error.
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
         WHERE id = $1 AND attempt = $2 AND state = 'running'
             AND EXISTS (SELECT 1 FROM jobs AS twin
                 WHERE twin.state = 'queued' AND twin.exclusive_key = jobs.exclusive_key)"
    );
    let ended = format!("{message} (superseded: the same job is queued again)");
    if execute(tx, superseded, values![id, attempt, &ended, now]).await? > 0 {
        return Ok(true);
    }
    let sql = sql!(
        "UPDATE jobs SET state = 'queued', run_at = $3, message = $4, owner = NULL, lease_until = NULL
         WHERE id = $1 AND attempt = $2 AND state = 'running'"
    );
    Ok(execute(tx, sql, values![id, attempt, run_at, message]).await? > 0)
}

/// Takes back the running jobs whose lease ran out and says how many. Each is queued again, or ends: as cancelled
/// when that was asked for, as an error when its attempts are used up or the same job is queued anyway.
pub async fn reclaim_expired(tx: &mut Transaction, now: i64) -> Result<u64> {
    let over = sql!(
        "UPDATE jobs SET finished_at = $1, owner = NULL, lease_until = NULL,
             state = CASE WHEN cancel_requested THEN 'cancelled' ELSE 'error' END,
             message = CASE WHEN cancel_requested THEN 'cancelled'
                 WHEN attempt >= max_attempts THEN 'its worker was lost, and no attempts are left'
                 ELSE 'its worker was lost (superseded: the same job is queued again)' END
         WHERE state = 'running' AND lease_until < $1
             AND (cancel_requested OR attempt >= max_attempts
                 OR EXISTS (SELECT 1 FROM jobs AS twin
                     WHERE twin.state = 'queued' AND twin.exclusive_key = jobs.exclusive_key))"
    );
    let again = sql!(
        "UPDATE jobs SET state = 'queued', run_at = $1, message = 'its worker was lost', owner = NULL,
             lease_until = NULL
         WHERE state = 'running' AND lease_until < $1"
    );
    let over = execute(tx, over, values![now]).await?;
    Ok(over + execute(tx, again, values![now]).await?)
}

/// Cancels a queued job, or asks the owner of a running one to stop.
pub async fn cancel(tx: &mut Transaction, id: i64, now: i64) -> Result<Cancelled> {
    let queued = sql!(
        "UPDATE jobs SET state = 'cancelled', message = 'cancelled', finished_at = $2
         WHERE id = $1 AND state = 'queued'"
    );
    if execute(tx, queued, values![id, now]).await? > 0 {
        return Ok(Cancelled::AtOnce);
    }
    let running =
        sql!("UPDATE jobs SET cancel_requested = TRUE WHERE id = $1 AND state = 'running'");
    Ok(match execute(tx, running, values![id]).await? {
        0 => Cancelled::TooLate,
        _ => Cancelled::Requested,
    })
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

/// The job with this key.
pub async fn find(on: &mut impl Handle, id: i64) -> Result<Option<Job>> {
    let sql = sql!(
        "SELECT id, kind, payload, organization_id, package_id, state, exclusive_key, attempt, max_attempts, run_at,
             owner, lease_until, cancel_requested, progress_done, progress_total, message, created_at, started_at,
             finished_at
         FROM jobs WHERE id = $1"
    );
    fetch_optional(on, sql, values![id]).await
}

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

/// A page of jobs, newest first.
pub async fn list(on: &mut impl Handle, filter: Filter<'_>, limit: i64) -> Result<Vec<Job>> {
    let sql = sql!(
        "SELECT id, kind, payload, organization_id, package_id, state, exclusive_key, attempt, max_attempts, run_at,
             owner, lease_until, cancel_requested, progress_done, progress_total, message, created_at, started_at,
             finished_at
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

/// When the next queued job is due, possibly in the past; `None`: nothing is queued.
pub async fn next_run_at(on: &mut impl Handle) -> Result<Option<i64>> {
    let sql =
        sql!("SELECT MIN(run_at) AS value FROM jobs WHERE state = 'queued' HAVING COUNT(*) > 0");
    let row: Option<Number> = fetch_optional(on, sql, values![]).await?;
    Ok(row.map(|row| row.value))
}

/// Makes one queued job run under `owner`, due or not, unless another job of its exclusive key runs.
pub async fn claim_one(
    tx: &mut Transaction,
    id: i64,
    owner: &str,
    now: i64,
    lease_until: i64,
) -> Result<Option<Job>> {
    let sql = sql!(
        "UPDATE jobs SET state = 'running', attempt = attempt + 1, owner = $2, lease_until = $4,
             started_at = $3, message = ''
         WHERE id = $1 AND state = 'queued'
             AND NOT EXISTS (SELECT 1 FROM jobs AS other
                 WHERE other.state = 'running' AND other.exclusive_key = jobs.exclusive_key)
         RETURNING id, kind, payload, organization_id, package_id, state, exclusive_key, attempt, max_attempts,
             run_at, owner, lease_until, cancel_requested, progress_done, progress_total, message, created_at,
             started_at, finished_at"
    );
    fetch_optional(tx, sql, values![id, owner, now, lease_until]).await
}

/// Deletes up to `limit` jobs that ended before `before`, with their logs.
pub async fn prune(tx: &mut Transaction, before: i64, limit: i64) -> Result<u64> {
    let logs = sql!(
        "DELETE FROM job_log WHERE job_id IN (SELECT id FROM jobs WHERE finished_at < $1 ORDER BY id LIMIT $2)"
    );
    execute(tx, logs, values![before, limit]).await?;
    let jobs = sql!(
        "DELETE FROM jobs WHERE id IN (SELECT id FROM jobs WHERE finished_at < $1 ORDER BY id LIMIT $2)"
    );
    execute(tx, jobs, values![before, limit]).await
}

/// Ends the leases of everything that `owner` runs, so that [`reclaim_expired`] gives it back at once.
pub async fn release(tx: &mut Transaction, owner: &str, now: i64) -> Result<u64> {
    let sql = sql!("UPDATE jobs SET lease_until = $2 - 1 WHERE owner = $1 AND state = 'running'");
    execute(tx, sql, values![owner, now]).await
}
