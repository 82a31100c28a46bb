//! Connections and transactions, and the few functions that run a statement on either.

use std::fmt;
use std::panic::Location;
use std::time::Duration;

use futures::StreamExt;
use kapelle_failpoint::reach_from;
use sqlx::pool::PoolConnection;
use sqlx::{PgConnection, Postgres, Sqlite, SqliteConnection};

use crate::database::Engine;
use crate::postgres::{ANSWER_TIMEOUT, within};
use crate::row::{FromRow, Row};
use crate::statement::Statement;
use crate::value::{self, Value};
use crate::{Result, StorageError};

/// A limit that is none.
const FOR_EVER: Duration = Duration::MAX;

/// Where a statement can run: a [`Connection`] or a [`Transaction`].
pub trait Handle: private::HasSession + Send {}

/// A connection for reading, from [`Database::read`](crate::Database::read); every statement sees what is committed.
pub struct Connection(pub(crate) ReadConnection);

/// A transaction for writing, from [`Database::write`](crate::Database::write). Dropped without
/// [`commit`](Self::commit), it is rolled back.
pub struct Transaction {
    inner: WriteTransaction,
    /// How long PostgreSQL may take to answer.
    patience: Duration,
}

pub(crate) enum ReadConnection {
    Sqlite(PoolConnection<Sqlite>),
    Postgres(PoolConnection<Postgres>),
}

pub(crate) enum WriteTransaction {
    Sqlite(sqlx::Transaction<'static, Sqlite>),
    Postgres(sqlx::Transaction<'static, Postgres>),
}

mod private {
    /// What a handle lends for the time of one statement.
    #[allow(missing_debug_implementations, reason = "never leaves the crate")]
    pub enum Session<'h> {
        Sqlite(&'h mut super::SqliteConnection),
        /// With how long its server may take to answer.
        Postgres(&'h mut super::PgConnection, super::Duration),
    }

    pub trait HasSession {
        fn session(&mut self) -> Session<'_>;
    }
}
pub(crate) use private::{HasSession, Session};

impl Handle for Connection {}
impl Handle for Transaction {}

impl HasSession for Connection {
    fn session(&mut self) -> Session<'_> {
        match &mut self.0 {
            ReadConnection::Sqlite(connection) => Session::Sqlite(connection),
            ReadConnection::Postgres(connection) => Session::Postgres(connection, ANSWER_TIMEOUT),
        }
    }
}

impl HasSession for Transaction {
    fn session(&mut self) -> Session<'_> {
        match &mut self.inner {
            WriteTransaction::Sqlite(transaction) => Session::Sqlite(transaction),
            WriteTransaction::Postgres(transaction) => {
                Session::Postgres(transaction, self.patience)
            }
        }
    }
}

impl Transaction {
    pub(crate) fn new(inner: WriteTransaction) -> Self {
        Self {
            inner,
            patience: ANSWER_TIMEOUT,
        }
    }

    /// Makes everything written durable and visible to others.
    #[track_caller]
    pub fn commit(self) -> impl Future<Output = Result<()>> + Send {
        let caller = Location::caller();
        async move {
            reach_from("before commit", caller);
            match self.inner {
                WriteTransaction::Sqlite(transaction) => transaction.commit().await,
                WriteTransaction::Postgres(transaction) => {
                    within(self.patience, transaction.commit()).await
                }
            }
            .map_err(|source| StorageError::query("COMMIT", source))?;
            reach_from("after commit", caller);
            Ok(())
        }
    }

    /// Which database this runs on.
    pub fn engine(&self) -> Engine {
        match self.inner {
            WriteTransaction::Sqlite(_) => Engine::Sqlite,
            WriteTransaction::Postgres(_) => Engine::Postgres,
        }
    }

    /// Lets the server take as long as it needs from now on.
    pub(crate) fn wait_for_ever(&mut self) {
        self.patience = FOR_EVER;
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Connection")
    }
}

impl fmt::Debug for Transaction {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Transaction")
    }
}

/// Runs a statement and says how many rows it changed.
pub(crate) async fn execute(
    on: &mut impl Handle,
    sql: Statement,
    values: &[Value<'_>],
) -> Result<u64> {
    match on.session() {
        Session::Sqlite(connection) => {
            sqlx::query_with(sql.sqlite, value::arguments::<Sqlite>(sql.sqlite, values)?)
                .execute(connection)
                .await
                .map(|done| done.rows_affected())
                .map_err(|source| StorageError::query(sql.sqlite, source))
        }
        Session::Postgres(connection, patience) => {
            let arguments = value::arguments::<Postgres>(sql.postgres, values)?;
            let work = sqlx::query_with(sql.postgres, arguments).execute(connection);
            within(patience, work)
                .await
                .map(|done| done.rows_affected())
                .map_err(|source| StorageError::query(sql.postgres, source))
        }
    }
}

/// Runs an update that must hit a row of `table`; `key` names that row in the error.
pub(crate) async fn execute_one(
    on: &mut impl Handle,
    sql: Statement,
    values: &[Value<'_>],
    table: &'static str,
    key: impl fmt::Display,
) -> Result<()> {
    match execute(on, sql, values).await? {
        0 => Err(StorageError::RowMissing {
            table,
            key: key.to_string(),
        }),
        _ => Ok(()),
    }
}

/// Runs a query and reads all its rows; those of SQLite one by one, so that memory does not hold all of them twice.
pub(crate) async fn fetch_all<T: FromRow + Send>(
    on: &mut impl Handle,
    sql: Statement,
    values: &[Value<'_>],
) -> Result<Vec<T>> {
    match on.session() {
        Session::Sqlite(connection) => {
            let arguments = value::arguments::<Sqlite>(sql.sqlite, values)?;
            let mut rows = sqlx::query_with(sql.sqlite, arguments).fetch(connection);
            let mut all = Vec::new();
            while let Some(row) = rows.next().await {
                let row = row.map_err(|source| StorageError::query(sql.sqlite, source))?;
                all.push(T::from_row(&Row::Sqlite(row))?);
            }
            Ok(all)
        }
        session @ Session::Postgres(..) => rows(session, sql, values)
            .await?
            .iter()
            .map(T::from_row)
            .collect(),
    }
}

/// Runs a query and reads its first row, if there is one.
pub(crate) async fn fetch_optional<T: FromRow>(
    on: &mut impl Handle,
    sql: Statement,
    values: &[Value<'_>],
) -> Result<Option<T>> {
    rows(on.session(), sql, values)
        .await?
        .first()
        .map(T::from_row)
        .transpose()
}

/// Runs a query that gives at least one row whatever the tables hold: an aggregate, or `RETURNING`.
pub(crate) async fn fetch_one<T: FromRow>(
    on: &mut impl Handle,
    sql: Statement,
    values: &[Value<'_>],
) -> Result<T> {
    match rows(on.session(), sql, values).await?.first() {
        Some(row) => T::from_row(row),
        None => Err(StorageError::query(sql.sqlite, sqlx::Error::RowNotFound)),
    }
}

async fn rows(session: Session<'_>, sql: Statement, values: &[Value<'_>]) -> Result<Vec<Row>> {
    match session {
        Session::Sqlite(connection) => {
            sqlx::query_with(sql.sqlite, value::arguments::<Sqlite>(sql.sqlite, values)?)
                .fetch_all(connection)
                .await
                .map(|rows| rows.into_iter().map(Row::Sqlite).collect())
                .map_err(|source| StorageError::query(sql.sqlite, source))
        }
        Session::Postgres(connection, patience) => {
            let arguments = value::arguments::<Postgres>(sql.postgres, values)?;
            let work = sqlx::query_with(sql.postgres, arguments).fetch_all(connection);
            within(patience, work)
                .await
                .map(|rows| rows.into_iter().map(Row::Postgres).collect())
                .map_err(|source| StorageError::query(sql.postgres, source))
        }
    }
}
