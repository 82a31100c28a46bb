//! A database chosen by URL: SQLite in one file, or PostgreSQL.

use std::fmt;
use std::sync::Arc;

use tokio::time::timeout;

use crate::error::is_unwritable;
use crate::gate::Gate;
use crate::handle::{self, Connection, ReadConnection, Transaction, WriteTransaction};
use crate::postgres::CONNECT_TIMEOUT;
use crate::row::columns;
use crate::statement::sql;
use crate::value::values;
use crate::watch::Watcher;
use crate::{Result, StorageError, migrate, postgres, sqlite};

/// Which database answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Engine {
    /// One file beside the program.
    Sqlite,
    /// A server.
    Postgres,
}

impl fmt::Display for Engine {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Sqlite => "SQLite",
            Self::Postgres => "PostgreSQL",
        })
    }
}

/// An open database; clones share its connections and whether it may be written.
#[derive(Clone)]
pub struct Database(Arc<Pools>, Arc<Gate>);

pub(crate) enum Pools {
    Sqlite(sqlite::Pools),
    Postgres(Box<postgres::Pools>),
}

impl Database {
    /// Opens `sqlite:PATH`, `sqlite://PATH`, `postgres://…` or `postgresql://…`.
    ///
    /// An SQLite file that is not there is created, readable by its owner only. The schema is made by
    /// [`migrate`](Self::migrate).
    pub async fn connect(url: &str) -> Result<Self> {
        let pools = if let Some(path) = sqlite::path_of(url)? {
            Pools::Sqlite(sqlite::Pools::open(path).await?)
        } else if url.starts_with("postgres://") || url.starts_with("postgresql://") {
            Pools::Postgres(Box::new(postgres::Pools::open(url).await?))
        } else {
            return Err(StorageError::Url {
                url: url.split("://").next().unwrap_or_default().to_owned(),
                reason: "its scheme is not known".to_owned(),
            });
        };
        Ok(Self(Arc::new(pools), Arc::default()))
    }

    /// Brings the schema up to date; `now` is noted beside each migration that ran. Any number of processes may do
    /// this at once. Returns how many migrations ran.
    pub async fn migrate(&self, now: i64) -> Result<usize> {
        migrate::run(self.write_reserved().await?, migrate::ALL, now).await
    }

    /// Which database this is.
    #[must_use]
    pub fn engine(&self) -> Engine {
        match &*self.0 {
            Pools::Sqlite(_) => Engine::Sqlite,
            Pools::Postgres(_) => Engine::Postgres,
        }
    }

    /// Checks that the database answers.
    pub async fn ping(&self) -> Result<()> {
        let mut on = self.read().await?;
        handle::execute(&mut on, sql!("SELECT CAST(1 AS BIGINT)"), values![])
            .await
            .map(|_| ())
    }

    /// The server's clock, to be compared with ours; `None` for SQLite, which has no other clock.
    pub async fn server_time(&self) -> Result<Option<i64>> {
        if self.engine() == Engine::Sqlite {
            return Ok(None);
        }
        let sql = sql!(
            sqlite: "SELECT 0 AS now",
            postgres: "SELECT CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT) AS now",
        );
        let mut on = self.read().await?;
        let ServerTime { now } = handle::fetch_one(&mut on, sql, values![]).await?;
        Ok(Some(now))
    }

    /// A connection for reading. On SQLite it cannot write.
    pub async fn read(&self) -> Result<Connection> {
        self.check_file()?;
        let connection = match &*self.0 {
            Pools::Sqlite(pools) => pools.readers.acquire().await.map(ReadConnection::Sqlite),
            Pools::Postgres(pools) => pools.pool.acquire().await.map(ReadConnection::Postgres),
        };
        connection
            .map(Connection)
            .map_err(|source| self.unreachable(source))
    }

    /// Opens every connection for reading that an SQLite file may have. Each of them has a thread, which keeps the priority
    /// of the thread that opened it.
    pub async fn open_readers(&self) -> Result<()> {
        let opened = match &*self.0 {
            Pools::Sqlite(pools) => pools.open_readers().await,
            Pools::Postgres(_) => Ok(()),
        };
        opened.map_err(|source| self.unreachable(source))
    }

    /// Like [`read`](Self::read), beside those who wait there: there is one such connection, for whoever has to know
    /// in time what others have changed.
    pub async fn read_aside(&self) -> Result<Connection> {
        self.check_file()?;
        let connection = match &*self.0 {
            Pools::Sqlite(pools) => pools.aside.acquire().await.map(ReadConnection::Sqlite),
            Pools::Postgres(pools) => pools.aside.acquire().await.map(ReadConnection::Postgres),
        };
        connection
            .map(Connection)
            .map_err(|source| self.unreachable(source))
    }

    /// Refuses [`write`](Self::write) with this sentence from now on, in this process; `None` takes that back.
    pub fn shut(&self, reason: Option<Arc<str>>) {
        self.1.set(reason);
    }

    /// Whether [`write`](Self::write) is let through: [`StorageError::Shut`] if not.
    pub fn writable(&self) -> Result<()> {
        self.1.pass()
    }

    /// A transaction for writing. On SQLite there is one at a time: keep it under 50 ms and 500 rows, and do no
    /// network, archive or blob work inside.
    pub async fn write(&self) -> Result<Transaction> {
        self.writable()?;
        self.write_reserved().await
    }

    /// Like [`write`](Self::write), also while that is [shut](Self::shut): for the little without which a process
    /// cannot go on or stop in good order.
    pub async fn write_reserved(&self) -> Result<Transaction> {
        self.begin(sqlite::DURABLE).await
    }

    /// Like [`write`](Self::write), for what would be done again if it were lost: on SQLite the commit does not wait for the
    /// disk. Other processes see it at once; only a machine that fails, with every process on the file, takes it back.
    pub async fn write_redoable(&self) -> Result<Transaction> {
        self.writable()?;
        self.begin(sqlite::REDOABLE).await
    }

    async fn begin(&self, sqlite: &'static str) -> Result<Transaction> {
        self.check_file()?;
        let transaction = match &*self.0 {
            Pools::Sqlite(pools) => pools.begin(sqlite).await.map(WriteTransaction::Sqlite),
            Pools::Postgres(pools) => pools.begin().await.map(WriteTransaction::Postgres),
        };
        transaction
            .map(Transaction::new)
            .map_err(|source| self.unreachable(source))
    }

    /// Something that wakes up when rows may have changed, here or in another process.
    pub async fn watch(&self) -> Result<Watcher> {
        self.check_file()?;
        Watcher::new(&self.0)
            .await
            .map_err(|source| self.unreachable(source))
    }

    /// Closes every connection after what it is doing. On SQLite this also folds the write-ahead log into the file.
    pub async fn close(&self) {
        match &*self.0 {
            Pools::Sqlite(pools) => {
                pools.aside.close().await;
                pools.readers.close().await;
                pools.writer.close().await;
            }
            Pools::Postgres(pools) => {
                let closed = async {
                    pools.aside.close().await;
                    pools.pool.close().await;
                };
                if timeout(CONNECT_TIMEOUT, closed).await.is_err() {
                    tracing::warn!(database = %self, "connections stay open that are still in use or dead");
                }
            }
        }
    }

    /// Whether an SQLite file is where it was when it was opened.
    fn check_file(&self) -> Result<()> {
        match &*self.0 {
            Pools::Sqlite(pools) => pools.check(),
            Pools::Postgres(_) => Ok(()),
        }
    }

    fn unreachable(&self, source: sqlx::Error) -> StorageError {
        if is_unwritable(&source) {
            return StorageError::Unwritable { source };
        }
        StorageError::Connect {
            database: self.to_string(),
            source,
        }
    }
}

impl fmt::Display for Database {
    /// Where the database is, without a password.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &*self.0 {
            Pools::Sqlite(pools) => write!(out, "sqlite:{}", pools.path.display()),
            Pools::Postgres(pools) => out.write_str(&pools.name),
        }
    }
}

impl fmt::Debug for Database {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Database({self})")
    }
}

struct ServerTime {
    now: i64,
}
columns!(ServerTime: now);
