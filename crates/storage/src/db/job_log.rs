//! What jobs said while they ran.

use crate::Result;
use crate::handle::{Handle, Transaction, execute, fetch_all};
use crate::row::columns;
use crate::statement::sql;
use crate::value::values;

/// A line of a job's log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    /// Of which job.
    pub job_id: i64,
    /// When it was said.
    pub logged_at: i64,
    /// What was said.
    pub line: String,
}
columns!(LogLine: job_id, logged_at, line);

/// Appends lines of any jobs.
pub async fn append(tx: &mut Transaction, lines: &[LogLine]) -> Result<()> {
    let sql = sql!("INSERT INTO job_log (job_id, logged_at, line) VALUES ($1, $2, $3)");
    for LogLine {
        job_id,
        logged_at,
        line,
    } in lines
    {
        execute(tx, sql, values![*job_id, *logged_at, line]).await?;
    }
    Ok(())
}

/// The last `limit` lines of a job, oldest first.
pub async fn list(on: &mut impl Handle, job_id: i64, limit: i64) -> Result<Vec<LogLine>> {
    let sql = sql!(
        "SELECT job_id, logged_at, line FROM job_log WHERE id IN
             (SELECT id FROM job_log WHERE job_id = $1 ORDER BY id DESC LIMIT $2)
         ORDER BY id"
    );
    fetch_all(on, sql, values![job_id, limit]).await
}
