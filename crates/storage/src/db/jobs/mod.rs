//! The queue: who does what next, who does it now, and what came of it.
//!
//! A job is queued, running, or over (`success`, `error`, `cancelled`). Whoever runs one holds a lease and writes with
//! the attempt number that [`claim`] gave it; a write with an old number finds no row and says so.

mod list;
mod queue;
mod running;

pub use list::{Filter, count_open, find, has_open, list};
pub use queue::{
    Cancelled, Claimant, Due, NewJob, bring_forward, cancel, claim, claim_one, count_due, due,
    enqueue, give_up, leave_to, next_run_at, prune, reclaim_expired, release,
};
pub use running::{
    Lease, Outcome, finish, finish_or_forget, heartbeat, is_held, progress, retry_later,
};

use crate::row::columns;

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
    /// The smaller, the more urgent.
    pub priority: i64,
}
columns!(
    Job: id, kind, payload, organization_id, package_id, state, exclusive_key, attempt, max_attempts, run_at, owner,
    lease_until, cancel_requested, progress_done, progress_total, message, created_at, started_at, finished_at, priority
);
