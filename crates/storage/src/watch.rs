//! Waking up when rows may have changed, in this process or another.

use std::fmt;
use std::time::Duration;

use sqlx::postgres::PgListener;
use sqlx::{ConnectOptions, Connection as _, Executor as _, SqliteConnection};
use tokio::time::{Instant, sleep_until, timeout_at};

use crate::database::Pools;
use crate::postgres::{self, CONNECT_TIMEOUT, within};
use crate::{Result, StorageError, sqlite};

/// The channel that [`crate::db::changes::append`] notifies on.
pub(crate) const CHANNEL: &str = "kapelle";
const SQLITE_POLL: Duration = Duration::from_millis(200);
/// Less than the second within which a change has to be known, also where notifications are lost.
const POSTGRES_POLL: Duration = Duration::from_millis(700);
/// How often PostgreSQL is asked whether it would still notify us, and how long it may take to say so.
const POSTGRES_TEST: Duration = Duration::from_secs(15);
const POSTGRES_ANSWER: Duration = Duration::from_secs(2);

/// A wake-up, from [`Database::watch`](crate::Database::watch). It is a **hint only**: it may wake for nothing, and it
/// may be late; the truth is [`changes::since`](crate::db::changes::since).
pub struct Watcher(Source);

enum Source {
    /// `data_version` moves when another connection commits; this one never writes.
    Sqlite {
        connection: SqliteConnection,
        version: i64,
    },
    Postgres {
        listener: Box<PgListener>,
        tested_at: Instant,
    },
}

impl Watcher {
    pub(crate) async fn new(pools: &Pools) -> Result<Self, sqlx::Error> {
        Ok(Self(match pools {
            Pools::Sqlite(pools) => {
                let mut connection = sqlite::reader_options(&pools.path).connect().await?;
                let version = data_version(&mut connection).await?;
                Source::Sqlite {
                    connection,
                    version,
                }
            }
            Pools::Postgres(pools) => {
                let own = postgres::bounded(1).max_lifetime(None).idle_timeout(None);
                let own = own.connect_lazy_with(pools.options.clone());
                let mut listener = Box::new(PgListener::connect_with(&own).await?);
                listener.ignore_pool_close_event(true);
                within(CONNECT_TIMEOUT, listener.listen(CHANNEL)).await?;
                Source::Postgres {
                    listener,
                    tested_at: Instant::now(),
                }
            }
        }))
    }

    /// Waits until something may have changed since the last call (or since [`Database::watch`](crate::Database::watch)),
    /// at most `timeout`. `false` means that nothing was seen. On SQLite a change is seen within 200 ms; PostgreSQL
    /// notifies at once, and the wait ends as `true` after 0.7 s in case a notification was lost. After an error, make
    /// another watcher.
    pub async fn changed(&mut self, timeout: Duration) -> Result<bool> {
        let deadline = Instant::now() + timeout;
        match &mut self.0 {
            Source::Sqlite {
                connection,
                version,
            } => sqlite_changed(connection, version, deadline).await,
            Source::Postgres {
                listener,
                tested_at,
            } => postgres_changed(listener, tested_at, deadline).await,
        }
        .map_err(|source| StorageError::query("LISTEN or data_version", source))
    }

    /// Closes the watcher's connection.
    pub async fn close(self) -> Result<()> {
        match self.0 {
            Source::Sqlite { connection, .. } => connection.close().await,
            Source::Postgres { mut listener, .. } => {
                within(POSTGRES_ANSWER, listener.unlisten_all()).await
            }
        }
        .map_err(|source| StorageError::query("UNLISTEN", source))
    }
}

impl fmt::Debug for Watcher {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Watcher")
    }
}

async fn sqlite_changed(
    connection: &mut SqliteConnection,
    version: &mut i64,
    deadline: Instant,
) -> Result<bool, sqlx::Error> {
    loop {
        let seen = data_version(connection).await?;
        if seen != *version {
            *version = seen;
            return Ok(true);
        }
        let now = Instant::now();
        if now >= deadline {
            return Ok(false);
        }
        sleep_until(deadline.min(now + SQLITE_POLL)).await;
    }
}

async fn postgres_changed(
    listener: &mut PgListener,
    tested_at: &mut Instant,
    deadline: Instant,
) -> Result<bool, sqlx::Error> {
    if tested_at.elapsed() > POSTGRES_TEST {
        // A connection on which nothing ever comes looks like one on which nothing happens.
        within(POSTGRES_ANSWER, listener.execute("VALUES (1)")).await?;
        *tested_at = Instant::now();
    }
    let poll = Instant::now() + POSTGRES_POLL;
    match timeout_at(deadline.min(poll), listener.try_recv()).await {
        Ok(received) => {
            received?;
            while listener.next_buffered().is_some() {}
            Ok(true)
        }
        Err(_) => Ok(poll <= deadline),
    }
}

async fn data_version(connection: &mut SqliteConnection) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar("PRAGMA data_version")
        .fetch_one(connection)
        .await
}
