//! What can go wrong between us and the database.

use std::path::PathBuf;
use std::sync::Arc;

use sqlx::postgres::PgDatabaseError;

/// The result of everything that talks to the database.
pub type Result<T, E = StorageError> = std::result::Result<T, E>;

/// Why the database did not do what it was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StorageError {
    /// The URL names no database that we know.
    #[error(
        "the database URL {url:?} cannot be used: {reason}; write sqlite:PATH or postgres://USER:PASSWORD@HOST/DATABASE"
    )]
    Url {
        /// The URL without its password.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The file of an SQLite database could not be created.
    #[error("the SQLite database {} cannot be created: {source}; its folder must exist and be writable", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// The file of an SQLite database is not there, but what was written last is.
    #[error(
        "the SQLite database {} is missing, and its log {} is there: put the file back, or remove the log to begin anew",
        path.display(),
        log.display()
    )]
    FileMissing {
        /// The file.
        path: PathBuf,
        /// Its write-ahead log.
        log: PathBuf,
    },
    /// The file of an SQLite database is no longer the one that was opened.
    #[error(
        "the SQLite database {} was moved away or replaced under a running process: put the very same file back, or \
         stop every process on it and start again",
        path.display()
    )]
    FileMoved {
        /// Where it was.
        path: PathBuf,
    },
    /// No connection could be opened or was free in time.
    #[error("no connection to the database {database}: {source}")]
    Connect {
        /// The database without its password.
        database: String,
        /// What the driver said.
        source: sqlx::Error,
    },
    /// Nothing is written at the moment; the sentence of [`Database::shut`](crate::Database::shut) says why.
    #[error("{reason}")]
    Shut {
        /// Why, and what to do.
        reason: Arc<str>,
    },
    /// The database's disk is full, broken or read-only. What was to be written was not.
    #[error(
        "the database cannot write to its disk, and nothing was changed: {source}; make room there, or make it writable"
    )]
    Unwritable {
        /// What the driver said.
        source: sqlx::Error,
    },
    /// A statement failed.
    #[error("a database statement failed: {source}; it was: {statement}")]
    Query {
        /// The SQL text, which never contains values.
        statement: &'static str,
        /// What the driver said.
        source: sqlx::Error,
    },
    /// A row with the same unique columns exists.
    #[error("the database already has such a row ({constraint})")]
    Duplicate {
        /// What the database calls the broken rule: a constraint's name, or table and columns.
        constraint: String,
    },
    /// A text contains a NUL character, which PostgreSQL cannot store.
    #[error("a text contains a NUL character, which cannot be stored: {text:?}")]
    NulInText {
        /// The beginning of the text.
        text: String,
    },
    /// A column is absent or has another type.
    #[error("the database column {column:?} cannot be read: {source}")]
    Column {
        /// The column as named in the statement.
        column: &'static str,
        /// What the driver said.
        source: sqlx::Error,
    },
    /// An update had to find a row, and there was none.
    #[error("the table {table:?} has no row {key}; it may have been deleted meanwhile")]
    RowMissing {
        /// The table.
        table: &'static str,
        /// The row's key.
        key: String,
    },
    /// A credential cannot go while a package needs it.
    #[error(
        "the credential {id} is still used by the package {package}; give that package another credential first"
    )]
    CredentialInUse {
        /// The credential.
        id: i64,
        /// The name, or before the first synchronization the URL, of one package that uses it.
        package: String,
    },
    /// A dist names a blob that the collector took, or is taking.
    #[error("the blob {sha256} is gone or being deleted; store it again")]
    BlobGone {
        /// The blob's SHA-256 in hexadecimal.
        sha256: String,
    },
    /// The database was made by a newer program.
    #[error(
        "the database has the migration {number:04}_{name}, which this version does not know; start a newer Kapelle or restore a backup"
    )]
    MigrationUnknown {
        /// The migration's number.
        number: i64,
        /// The migration's name.
        name: String,
    },
    /// A migration was edited after this database ran it.
    #[error(
        "the migration {number:04}_{name} differs from the one this database was made with; use the program that made it, or restore a backup"
    )]
    MigrationEdited {
        /// The migration's number.
        number: i64,
        /// The migration's name.
        name: String,
    },
    /// A migration failed and was rolled back.
    #[error("the migration {number:04}_{name} failed and was rolled back: {source}")]
    MigrationFailed {
        /// The migration's number.
        number: i64,
        /// The migration's name.
        name: &'static str,
        /// What the driver said.
        source: sqlx::Error,
    },
}

impl StorageError {
    /// Turns a driver's error into ours; a broken unique rule becomes [`StorageError::Duplicate`].
    pub(crate) fn query(statement: &'static str, source: sqlx::Error) -> Self {
        match &source {
            sqlx::Error::Database(error) if error.is_unique_violation() => Self::Duplicate {
                constraint: error.constraint().unwrap_or(error.message()).to_owned(),
            },
            _ if is_unwritable(&source) => Self::Unwritable { source },
            _ => Self::Query { statement, source },
        }
    }

    /// Whether a row with the same unique columns was in the way.
    #[must_use]
    pub fn is_duplicate(&self) -> bool {
        matches!(self, Self::Duplicate { .. })
    }

    /// Whether the database could not be asked, or was too busy to answer: the same may go well in a moment.
    #[must_use]
    pub fn is_outage(&self) -> bool {
        match self {
            Self::Connect { .. } | Self::FileMissing { .. } | Self::FileMoved { .. } => true,
            Self::Query { source, .. } => is_outage(source),
            _ => false,
        }
    }
}

/// SQLite's primary codes for a database that others keep busy, or that is not there.
const SQLITE_OUTAGE: [i64; 3] = [SQLITE_BUSY, 6, 14];
const SQLITE_BUSY: i64 = 5;
/// PostgreSQL's: connection lost, no resources, stopping or starting, too slow, waited too long for a lock, a deadlock
/// or a conflict that is over now, a standby.
const POSTGRES_OUTAGE: [&str; 11] = [
    "08", "53", "57P01", "57P02", "57P03", "57P05", "57014", "55P03", "25P03", "40", "25006",
];

fn is_outage(error: &sqlx::Error) -> bool {
    let error = match error {
        sqlx::Error::Io(_)
        | sqlx::Error::Tls(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed => return true,
        sqlx::Error::Database(error) => error,
        _ => return false,
    };
    let code = error.code().unwrap_or_default();
    if error.try_downcast_ref::<PgDatabaseError>().is_some() {
        return POSTGRES_OUTAGE.iter().any(|class| code.starts_with(class));
    }
    let code: Option<i64> = code.parse().ok();
    code.is_some_and(|code| SQLITE_OUTAGE.contains(&(code & 0xff)))
}

/// Whether an SQLite file is busy with another connection.
pub(crate) fn is_busy(error: &sqlx::Error) -> bool {
    let code = error
        .as_database_error()
        .and_then(|error| error.code()?.parse::<i64>().ok());
    code.is_some_and(|code| code & 0xff == SQLITE_BUSY)
}

/// SQLite's primary codes for a file that cannot be written: read-only, input or output error, full.
const SQLITE_UNWRITABLE: [i64; 3] = [8, 10, 13];
/// Input errors among those: a read that failed or was too short, a wrong checksum, a damaged file system.
const SQLITE_UNREADABLE: [i64; 4] = [266, 522, 8202, 8458];
/// PostgreSQL's: disk full, input or output error.
const POSTGRES_UNWRITABLE: [&str; 2] = ["53100", "58030"];

/// Whether the disk under the database is what failed. SQLite's codes have their details above the lowest byte.
pub(crate) fn is_unwritable(error: &sqlx::Error) -> bool {
    let sqlx::Error::Database(error) = error else {
        return false;
    };
    let code = error.code().unwrap_or_default();
    if error.try_downcast_ref::<PgDatabaseError>().is_some() {
        return POSTGRES_UNWRITABLE.contains(&&*code);
    }
    let code: Option<i64> = code.parse().ok();
    code.is_some_and(|code| {
        SQLITE_UNWRITABLE.contains(&(code & 0xff)) && !SQLITE_UNREADABLE.contains(&code)
    })
}
