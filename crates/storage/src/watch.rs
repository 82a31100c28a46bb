//! Waking up when rows may have changed, in this process or another.

use std::fmt;
use std::time::Duration;

use sqlx::postgres::{PgListener, PgPoolOptions};
use sqlx::{ConnectOptions, Connection as _, SqliteConnection};
use tokio::time::{Instant, sleep_until, timeout_at};

use crate::database::Pools;
use crate::{Result, StorageError, sqlite};

/// The channel that [`crate::db::changes::append`] notifies on.
pub(crate) const CHANNEL: &str = "kapelle";
const SQLITE_POLL: Duration = Duration::from_millis(200);
const POSTGRES_POLL: Duration = Duration::from_secs(1);

/// A wake-up, from [`Database::watch`](crate::Database::watch). It is a **hint only**: it may wake for nothing, and it
/// may be late; the truth is [`changes::since`](crate::db::changes::since).
pub struct Watcher(Source);

enum Source {
    /// `data_version` moves when another connection commits; this one never writes.
    Sqlite {
        connection: SqliteConnection,
        version: i64,
    },
    Postgres(PgListener),
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
                let own = PgPoolOptions::new()
                    .max_connections(1)
                    .max_lifetime(None)
                    .idle_timeout(None);
                let mut listener =
                    PgListener::connect_with(&own.connect_lazy_with(pools.options.clone())).await?;
                listener.ignore_pool_close_event(true);
                listener.listen(CHANNEL).await?;
                Source::Postgres(listener)
            }
        }))
    }

    /// Waits until something may have changed since the last call (or since [`Database::watch`](crate::Database::watch)),
    /// at most `timeout`. `false` means that nothing was seen. On SQLite a change is seen within 200 ms; PostgreSQL
    /// notifies at once, and the wait ends as `true` after a second in case a notification was lost. After an error the next call connects again.
    pub async fn changed(&mut self, timeout: Duration) -> Result<bool> {
        let deadline = Instant::now() + timeout;
        match &mut self.0 {
            Source::Sqlite {
                connection,
                version,
            } => sqlite_changed(connection, version, deadline).await,
            Source::Postgres(listener) => postgres_changed(listener, deadline).await,
        }
        .map_err(|source| StorageError::query("LISTEN or data_version", source))
    }

    /// Closes the watcher's connection.
    pub async fn close(self) -> Result<()> {
        match self.0 {
            Source::Sqlite { connection, .. } => connection.close().await,
            Source::Postgres(mut listener) => listener.unlisten_all().await,
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
    deadline: Instant,
) -> Result<bool, sqlx::Error> {
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
