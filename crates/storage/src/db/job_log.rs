//! What jobs said while they ran.

use super::Text;
use crate::Result;
use crate::handle::{Handle, Transaction, execute, fetch_all, fetch_optional};
use crate::row::columns;
use crate::rows::Rows;
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
    let sql = sql!(
        sqlite: "INSERT INTO job_log (job_id, logged_at, line)
             SELECT value ->> 0, value ->> 1, value ->> 2 FROM jsonb_each($1)",
        postgres: "INSERT INTO job_log (job_id, logged_at, line)
             SELECT CAST(value ->> 0 AS BIGINT), CAST(value ->> 1 AS BIGINT), value ->> 2
             FROM jsonb_array_elements(CAST($1 AS JSONB))",
    );
    let mut rows = Rows::default();
    for LogLine {
        job_id,
        logged_at,
        line,
    } in lines
    {
        rows.push(values![*job_id, *logged_at, line])?;
    }
    for text in rows.texts() {
        execute(tx, sql, values![&text]).await?;
    }
    Ok(())
}

/// The last line about `text` that a job of a package wrote; `text` stands for itself.
pub async fn last_about(
    on: &mut impl Handle,
    package_id: i64,
    text: &str,
) -> Result<Option<String>> {
    let sql = sql!(
        sqlite: "SELECT line AS value FROM job_log
             WHERE job_id IN (SELECT id FROM jobs WHERE package_id = $1) AND instr(line, $2) > 0
             ORDER BY id DESC LIMIT 1",
        postgres: "SELECT line AS value FROM job_log
             WHERE job_id IN (SELECT id FROM jobs WHERE package_id = $1) AND position($2 IN line) > 0
             ORDER BY id DESC LIMIT 1",
    );
    let row: Option<Text> = fetch_optional(on, sql, values![package_id, text]).await?;
    Ok(row.map(|row| row.value))
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
