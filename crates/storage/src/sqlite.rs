//! How an SQLite file is opened: write-ahead log, one writer, several readers.

use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sqlx::SqlitePool;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};

use crate::{Result, StorageError};

/// How long a statement waits for another process that writes.
const BUSY: Duration = Duration::from_secs(10);
const READERS: u32 = 8;
/// More than there are statements, so that each is prepared once per connection.
pub(crate) const STATEMENTS: usize = 300;

pub(crate) struct Pools {
    pub(crate) path: PathBuf,
    pub(crate) writer: SqlitePool,
    pub(crate) readers: SqlitePool,
}

impl Pools {
    pub(crate) async fn open(path: PathBuf) -> Result<Self> {
        create(&path)?;
        let connect = |source| StorageError::Connect {
            database: format!("sqlite:{}", path.display()),
            source,
        };
        let writer = SqlitePoolOptions::new()
            .max_connections(1)
            .acquire_timeout(BUSY * 3)
            .connect_with(options(&path))
            .await
            .map_err(connect)?;
        let readers = SqlitePoolOptions::new()
            .max_connections(READERS)
            .acquire_timeout(BUSY)
            .connect_with(reader_options(&path))
            .await
            .map_err(connect)?;
        Ok(Self {
            path,
            writer,
            readers,
        })
    }
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
    options(path).pragma("query_only", "ON")
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

/// Creates the file for its owner only; SQLite gives its log files the same mode.
fn create(path: &Path) -> Result<()> {
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
