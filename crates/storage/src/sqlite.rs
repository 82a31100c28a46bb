//! How an SQLite file is opened: write-ahead log, one writer, several readers.

use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use futures::future::try_join_all;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{Sqlite, SqlitePool, Transaction};
use tokio::time::{Instant, sleep};

use crate::error::is_busy;
use crate::{Result, StorageError};

/// How long a statement waits for another process that writes.
const BUSY: Duration = Duration::from_secs(10);
/// How soon somebody who found the file busy where SQLite itself does not wait comes back.
const AGAIN: Duration = Duration::from_millis(20);
/// The same for somebody who wants to write: as long as a small transaction takes.
const MOMENT: Duration = Duration::from_millis(1);
const READERS: u32 = 8;
/// Half a megabyte of pages, as SQLite wants it said: what it has not, the system has.
const READER_CACHE: &str = "-512";
/// Begins a transaction that is on the disk when it is committed.
pub(crate) const DURABLE: &str = "PRAGMA synchronous = FULL; BEGIN IMMEDIATE";
/// Begins one that is on the disk with the next durable one: the log is written in one order.
pub(crate) const REDOABLE: &str = "PRAGMA synchronous = NORMAL; BEGIN IMMEDIATE";
/// More than there are statements, so that each is prepared once per connection.
pub(crate) const STATEMENTS: usize = 300;

pub(crate) struct Pools {
    pub(crate) path: PathBuf,
    pub(crate) writer: SqlitePool,
    pub(crate) readers: SqlitePool,
    /// For whoever must not wait behind others.
    pub(crate) aside: SqlitePool,
    /// Which file all of them have open.
    file: FileId,
}

/// Device and number of a file, which stay with it wherever it goes.
type FileId = (u64, u64);

impl Pools {
    pub(crate) async fn open(path: PathBuf) -> Result<Self> {
        create(&path)?;
        let connect = |source| StorageError::Connect {
            database: format!("sqlite:{}", path.display()),
            source,
        };
        let writer = open_writer(&path).await.map_err(connect)?;
        let readers = pool(READERS)
            .acquire_timeout(BUSY)
            .connect_with(reader_options(&path))
            .await
            .map_err(connect)?;
        let aside = pool(1)
            .acquire_timeout(BUSY)
            .connect_lazy_with(reader_options(&path));
        let file = identify(&path).map_err(|source| StorageError::File {
            path: path.clone(),
            source,
        })?;
        Ok(Self {
            path,
            writer,
            readers,
            aside,
            file,
        })
    }

    /// Opens all connections for reading that there may be; they stay.
    pub(crate) async fn open_readers(&self) -> Result<(), sqlx::Error> {
        let opened = (0..READERS).map(|_| self.readers.acquire());
        try_join_all(opened).await.map(drop)
    }

    /// Begins a transaction for writing; waits while another process has one. SQLite's own way of waiting is to look again
    /// after ever longer pauses: whoever has just begun to wait comes first.
    ///
    /// A commit that the disk refused leaves the connection in a state from which sqlx does not find back: SQLite has
    /// rolled back by itself, so the rollback fails, and the depth of transactions stays. Another one takes its place.
    pub(crate) async fn begin(
        &self,
        kind: &'static str,
    ) -> Result<Transaction<'static, Sqlite>, sqlx::Error> {
        let deadline = Instant::now() + BUSY;
        loop {
            match self.writer.begin_with(kind).await {
                Err(sqlx::Error::InvalidSavePointStatement) => {
                    self.writer.acquire().await?.close().await?;
                }
                Err(error) if is_busy(&error) && Instant::now() < deadline => sleep(MOMENT).await,
                begun => return begun,
            }
        }
    }

    /// Fails when another file, or none, is where ours was. What we would write into ours then, nobody would ever find;
    /// and who opens the other one finds our log beside it.
    pub(crate) fn check(&self) -> Result<()> {
        if identify(&self.path).is_ok_and(|file| file == self.file) {
            return Ok(());
        }
        Err(StorageError::FileMoved {
            path: self.path.clone(),
        })
    }
}

/// Opens the connection that writes. Several processes may be the first on a new file: each of them gives it its
/// write-ahead log, and for that SQLite lets nobody wait, whatever the timeout is.
async fn open_writer(path: &Path) -> Result<SqlitePool, sqlx::Error> {
    let deadline = Instant::now() + BUSY;
    loop {
        let opened = pool(1)
            .acquire_timeout(BUSY * 3)
            .connect_with(options(path).busy_timeout(Duration::ZERO))
            .await;
        match opened {
            Err(error) if is_busy(&error) && Instant::now() < deadline => sleep(AGAIN).await,
            outcome => return outcome,
        }
    }
}

/// A pool of connections that stay, and that nobody asks whether they live: a file does not hang up, and asking takes as
/// long as a query.
fn pool(connections: u32) -> SqlitePoolOptions {
    SqlitePoolOptions::new()
        .max_connections(connections)
        .idle_timeout(None)
        .max_lifetime(None)
        .test_before_acquire(false)
}

fn identify(path: &Path) -> io::Result<FileId> {
    let about = std::fs::metadata(path)?;
    Ok((about.dev(), about.ino()))
}

/// The path of an SQLite URL, or `None` when the URL is another database's.
pub(crate) fn path_of(url: &str) -> Result<Option<PathBuf>> {
    let Some(rest) = url.strip_prefix("sqlite:") else {
        return Ok(None);
    };
    let path = rest.strip_prefix("//").unwrap_or(rest);
    let reason = match path {
        "" => "it names no file",
        ":memory:" => "a database in memory has one connection, and several are needed",
        _ if path.contains('?') => "parameters are not known",
        _ => return Ok(Some(PathBuf::from(path))),
    };
    Err(StorageError::Url {
        url: url.to_owned(),
        reason: reason.to_owned(),
    })
}

pub(crate) fn reader_options(path: &Path) -> SqliteConnectOptions {
    options(path)
        .pragma("query_only", "ON")
        .pragma("cache_size", READER_CACHE)
}

fn options(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        .busy_timeout(BUSY)
        .statement_cache_capacity(STATEMENTS)
}

/// Creates the file for its owner only; SQLite gives its log files the same mode. Where there is a log without its
/// database, nothing is created: SQLite would delete that log, and what was last committed is in it.
fn create(path: &Path) -> Result<()> {
    let log = PathBuf::from(format!("{}-wal", path.display()));
    let has_log = std::fs::metadata(&log).is_ok_and(|log| log.len() > 0);
    if has_log && !path.exists() {
        return Err(StorageError::FileMissing {
            path: path.to_owned(),
            log,
        });
    }
    let created = std::fs::OpenOptions::new()
        .create_new(true)
        .write(true)
        .mode(0o600)
        .open(path);
    match created {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => {
            Err(StorageError::File {
                path: path.to_owned(),
                source: error,
            })
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_what_would_be_done_again_does_not_wait_for_the_disk() {
        let folder = tempfile::tempdir().unwrap();
        let pools = Pools::open(folder.path().join("a.sqlite")).await.unwrap();
        for (kind, expected) in [(DURABLE, 2), (REDOABLE, 1), (DURABLE, 2)] {
            let mut transaction = pools.begin(kind).await.unwrap();
            let level = sqlx::query_scalar::<_, i64>("PRAGMA synchronous");
            let level = level.fetch_one(&mut *transaction).await.unwrap();
            assert_eq!(level, expected, "{kind}");
        }
    }

    #[tokio::test]
    async fn a_disk_that_was_full_does_not_end_writing() {
        let folder = tempfile::tempdir().unwrap();
        let pools = Pools::open(folder.path().join("full.sqlite"))
            .await
            .unwrap();
        let run = async |sql: &'static str| sqlx::query(sql).execute(&pools.writer).await.map(drop);
        run("CREATE TABLE filled (bytes BLOB)").await.unwrap();
        run("PRAGMA max_page_count = 10").await.unwrap();
        let mut transaction = pools.begin(DURABLE).await.unwrap();
        let filled = sqlx::query("INSERT INTO filled VALUES (zeroblob(1000000))");
        assert!(filled.execute(&mut *transaction).await.is_err());
        drop(transaction);
        run("PRAGMA max_page_count = 100000").await.ok();

        let mut transaction = pools.begin(DURABLE).await.unwrap();
        let small = sqlx::query("INSERT INTO filled VALUES (zeroblob(10))");
        small.execute(&mut *transaction).await.unwrap();
        transaction.commit().await.unwrap();
    }
}
