//! Jobs before they run, and those that come back.

use super::Job;
use crate::db::Number;
use crate::handle::{Handle, Transaction, execute, fetch_one, fetch_optional};
use crate::row::columns;
use crate::statement::sql;
use crate::value::values;
use crate::{Engine, Result};

/// Workers that a job may lose before it ends: within half an hour, when each takes it up as soon as it may.
const MOST_LOSSES: i64 = 20;

/// How much longer a job waits after each loss, in milliseconds.
const WAIT_AFTER_LOSS: i64 = 10_000;

/// What a new job is made of; the fields are [`Job`](super::Job)'s.
#[derive(Debug, Clone, Copy)]
pub struct NewJob<'n> {
    pub kind: &'n str,
    pub payload: &'n str,
    pub organization_id: Option<i64>,
    pub package_id: Option<i64>,
    pub exclusive_key: Option<&'n str>,
    pub priority: i64,
    pub max_attempts: i64,
    pub run_at: i64,
    pub created_at: i64,
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
/// returned, and it runs at the earlier of both times with the more urgent priority; its payload stays.
pub async fn enqueue(tx: &mut Transaction, new: NewJob<'_>) -> Result<i64> {
    let sql = sql!(
        "INSERT INTO jobs (kind, payload, organization_id, package_id, state, exclusive_key, attempt, max_attempts,
             run_at, cancel_requested, progress_done, progress_total, message, created_at, priority)
         VALUES ($1, $2, $3, $4, 'queued', $5, 0, $6, $7, FALSE, 0, 0, '', $8, $9)
         ON CONFLICT (exclusive_key) WHERE state = 'queued' DO UPDATE SET
             priority = CASE WHEN excluded.priority < jobs.priority THEN excluded.priority ELSE jobs.priority END,
             run_at = CASE WHEN excluded.run_at < jobs.run_at THEN excluded.run_at ELSE jobs.run_at END
         RETURNING id AS value"
    );
    let NewJob {
        kind,
        payload,
        organization_id,
        package_id,
        exclusive_key,
        priority,
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
        created_at,
        priority
    ];
    fetch_one::<Number>(tx, sql, values)
        .await
        .map(|row| row.value)
}

/// Who claims jobs.
#[derive(Debug, Clone, Copy)]
pub struct Claimant<'c> {
    /// The node.
    pub owner: &'c str,
    /// Its [depot](crate::db::depots).
    pub depot: &'c str,
    /// Jobs of another depot are left to it if somebody who works there has given a sign of life since then.
    pub present_since: i64,
}

/// What a worker would find.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Due {
    /// Leases that [`reclaim_expired`] would end.
    pub leases: bool,
    /// Jobs for [`claim`], as far as that can be told: one that has to wait for another one of its key, or for another
    /// depot, counts.
    pub jobs: bool,
}
columns!(Due: leases, jobs);

/// Whether it is worth while to begin a transaction for [`reclaim_expired`] or [`claim`].
pub async fn due(on: &mut impl Handle, least_urgent: i64, now: i64) -> Result<Due> {
    // One priority after the other, as in `claim`.
    let sql = sql!(
        "SELECT EXISTS (SELECT 1 FROM jobs WHERE state = 'running' AND lease_until < $2) AS leases,
             (EXISTS (SELECT 1 FROM jobs WHERE state = 'queued' AND priority = 0 AND run_at <= $2)
             OR ($1 >= 1 AND EXISTS (SELECT 1 FROM jobs WHERE state = 'queued' AND priority = 1 AND run_at <= $2))
             OR ($1 >= 2 AND EXISTS (SELECT 1 FROM jobs WHERE state = 'queued' AND priority = 2 AND run_at <= $2)))
             AS jobs"
    );
    fetch_one(on, sql, values![least_urgent, now]).await
}

/// Takes the most urgent job that is due, the longest waiting first, whose priority is 0 to `least_urgent` and whose
/// exclusive key no running job has. Commit at once, then run it.
pub async fn claim(
    tx: &mut Transaction,
    claimant: Claimant<'_>,
    least_urgent: i64,
    now: i64,
    lease_until: i64,
) -> Result<Option<Job>> {
    // One priority after the other: all at once, every job that is not due yet would be looked at on the way.
    for priority in 0..=least_urgent {
        let claimed = claim_of(tx, claimant, priority, now, lease_until).await?;
        if claimed.is_some() {
            return Ok(claimed);
        }
    }
    Ok(None)
}

async fn claim_of(
    tx: &mut Transaction,
    claimant: Claimant<'_>,
    priority: i64,
    now: i64,
    lease_until: i64,
) -> Result<Option<Job>> {
    let sql = sql!(
        sqlite: "UPDATE jobs SET state = 'running', attempt = attempt + 1, owner = $1, lease_until = $4,
                 started_at = $3, message = ''
             WHERE id = (
                 SELECT next.id FROM jobs AS next
                 WHERE next.state = 'queued' AND next.priority = $2 AND next.run_at <= $3
                     AND (next.depot IS NULL OR next.depot = $5 OR NOT EXISTS (SELECT 1 FROM depots
                         WHERE depots.name = next.depot AND depots.works_at > $6))
                     AND NOT EXISTS (SELECT 1 FROM jobs AS other
                         WHERE other.state = 'running' AND other.exclusive_key = next.exclusive_key)
                 ORDER BY next.run_at, next.id LIMIT 1)
             RETURNING id, kind, payload, organization_id, package_id, state, exclusive_key, attempt, max_attempts,
                 run_at, owner, lease_until, cancel_requested, progress_done, progress_total, message, created_at,
                 started_at, finished_at, priority",
        postgres: "UPDATE jobs SET state = 'running', attempt = attempt + 1, owner = $1, lease_until = $4,
                 started_at = $3, message = ''
             WHERE id = (
                 SELECT next.id FROM jobs AS next
                 WHERE next.state = 'queued' AND next.priority = $2 AND next.run_at <= $3
                     AND (next.depot IS NULL OR next.depot = $5 OR NOT EXISTS (SELECT 1 FROM depots
                         WHERE depots.name = next.depot AND depots.works_at > $6))
                     AND NOT EXISTS (SELECT 1 FROM jobs AS other
                         WHERE other.state = 'running' AND other.exclusive_key = next.exclusive_key)
                 ORDER BY next.run_at, next.id LIMIT 1
                 FOR UPDATE SKIP LOCKED)
             RETURNING id, kind, payload, organization_id, package_id, state, exclusive_key, attempt, max_attempts,
                 run_at, owner, lease_until, cancel_requested, progress_done, progress_total, message, created_at,
                 started_at, finished_at, priority",
    );
    let Claimant {
        owner,
        depot,
        present_since,
    } = claimant;
    let values = values![owner, priority, now, lease_until, depot, present_since];
    fetch_optional(tx, sql, values).await
}

/// Leaves a queued job to the workers of a depot, as long as there are any.
pub async fn leave_to(tx: &mut Transaction, id: i64, depot: &str) -> Result<()> {
    let sql = sql!("UPDATE jobs SET depot = $2 WHERE id = $1 AND state = 'queued'");
    execute(tx, sql, values![id, depot]).await.map(|_| ())
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
             started_at, finished_at, priority"
    );
    fetch_optional(tx, sql, values![id, owner, now, lease_until]).await
}

/// Keeps others from queueing until the transaction ends: whoever queues a running job again would otherwise meet a twin that
/// was queued after it looked for one. Call it before the transaction writes jobs. On SQLite nobody else writes anyway.
pub(super) async fn hold(tx: &mut Transaction) -> Result<()> {
    if tx.engine() == Engine::Sqlite {
        return Ok(());
    }
    let lock = sql!(sqlite: "SELECT 0", postgres: "LOCK TABLE jobs IN SHARE ROW EXCLUSIVE MODE");
    execute(tx, lock, values![]).await.map(|_| ())
}

/// Takes back the running jobs whose lease ran out and says how many. Each is queued again, or ends: as cancelled
/// when that was asked for, as an error when it has lost twenty workers or the same job is queued anyway.
///
/// A loss is no attempt: the job gets another one for it. The first two times it goes on at once; after that it waits
/// longer each time, so that a job that takes its process down with it leaves room for others.
pub async fn reclaim_expired(tx: &mut Transaction, now: i64) -> Result<u64> {
    let over = sql!(
        "UPDATE jobs SET finished_at = $1, owner = NULL, lease_until = NULL,
             state = CASE WHEN cancel_requested THEN 'cancelled' ELSE 'error' END,
             message = CASE WHEN cancel_requested THEN 'cancelled'
                 WHEN losses + 1 >= $2 THEN 'its worker was lost once too often'
                 ELSE 'its worker was lost (superseded: the same job is queued again)' END
         WHERE state = 'running' AND lease_until < $1
             AND (cancel_requested OR losses + 1 >= $2
                 OR EXISTS (SELECT 1 FROM jobs AS twin
                     WHERE twin.state = 'queued' AND twin.exclusive_key = jobs.exclusive_key))"
    );
    let again = sql!(
        "UPDATE jobs SET state = 'queued', message = 'its worker was lost', owner = NULL, lease_until = NULL,
             losses = losses + 1, max_attempts = max_attempts + 1,
             run_at = $1 + CASE WHEN losses < 2 THEN 0 ELSE (losses - 1) * $2 END
         WHERE state = 'running' AND lease_until < $1"
    );
    hold(tx).await?;
    let over = execute(tx, over, values![now, MOST_LOSSES]).await?;
    Ok(over + execute(tx, again, values![now, WAIT_AFTER_LOSS]).await?)
}

/// Brings forward what a clock that was ahead has put off: leases that end after `lease_until` end then, queued jobs that
/// are due after `never` are due `now`.
pub async fn bring_forward(
    tx: &mut Transaction,
    now: i64,
    lease_until: i64,
    never: i64,
) -> Result<u64> {
    let leases =
        sql!("UPDATE jobs SET lease_until = $1 WHERE state = 'running' AND lease_until > $1");
    let queued = sql!("UPDATE jobs SET run_at = $1 WHERE state = 'queued' AND run_at > $2");
    let leases = execute(tx, leases, values![lease_until]).await?;
    Ok(leases + execute(tx, queued, values![now, never]).await?)
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

/// When the next queued job is due, possibly in the past; `None`: nothing is queued.
pub async fn next_run_at(on: &mut impl Handle) -> Result<Option<i64>> {
    let sql =
        sql!("SELECT MIN(run_at) AS value FROM jobs WHERE state = 'queued' HAVING COUNT(*) > 0");
    let row: Option<Number> = fetch_optional(on, sql, values![]).await?;
    Ok(row.map(|row| row.value))
}

/// Ends the leases of everything that `owner` runs, so that [`reclaim_expired`] gives it back at once; that is no loss.
pub async fn release(tx: &mut Transaction, owner: &str, now: i64) -> Result<u64> {
    let sql = sql!(
        "UPDATE jobs SET lease_until = $2 - 1, losses = losses - 1 WHERE owner = $1 AND state = 'running'"
    );
    hold(tx).await?;
    execute(tx, sql, values![owner, now]).await
}

/// Ends the lease of a job that was claimed and that nobody will run, so that [`reclaim_expired`] gives it back at once. It is
/// none any more, or another claim of it, if anything has happened to it since then.
pub async fn give_up(tx: &mut Transaction, claimed: &Job, now: i64) -> Result<()> {
    let sql = sql!(
        "UPDATE jobs SET lease_until = $5 - 1, losses = losses - 1
         WHERE id = $1 AND attempt = $2 AND owner = $3 AND lease_until = $4 AND state = 'running'"
    );
    let Job {
        id,
        attempt,
        owner,
        lease_until,
        ..
    } = claimed;
    hold(tx).await?;
    let values = values![*id, *attempt, owner.as_deref(), *lease_until, now];
    execute(tx, sql, values).await.map(|_| ())
}

/// How many queued jobs of a priority are due.
pub async fn count_due(on: &mut impl Handle, priority: i64, now: i64) -> Result<i64> {
    let sql = sql!(
        "SELECT COUNT(*) AS value FROM jobs WHERE state = 'queued' AND priority = $1 AND run_at <= $2"
    );
    fetch_one::<Number>(on, sql, values![priority, now])
        .await
        .map(|row| row.value)
}

/// Deletes up to `limit` jobs that ended before `before`, with their logs.
pub async fn prune(tx: &mut Transaction, before: i64, limit: i64) -> Result<u64> {
    let logs = sql!(
        "DELETE FROM job_log WHERE job_id IN (
             SELECT id FROM jobs WHERE finished_at < $1 ORDER BY finished_at, id LIMIT $2)"
    );
    execute(tx, logs, values![before, limit]).await?;
    let jobs = sql!(
        "DELETE FROM jobs WHERE id IN (
             SELECT id FROM jobs WHERE finished_at < $1 ORDER BY finished_at, id LIMIT $2)"
    );
    execute(tx, jobs, values![before, limit]).await
}
