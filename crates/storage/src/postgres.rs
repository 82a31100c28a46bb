//! How a PostgreSQL server is connected to: pools whose every wait has an end, on both sides.
//!
//! A network that loses packets without a word makes a connection look alive for a quarter of an hour. So nothing here
//! waits for the server without a limit of its own, and a connection is asked whether it lives whenever it changes hands.

use std::io;
use std::time::Duration;

use futures::future::BoxFuture;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{Connection as _, PgConnection, PgPool, Postgres, Transaction};
use tokio::time::timeout;

use crate::sqlite::STATEMENTS;
use crate::{Result, StorageError};

const CONNECTIONS: u32 = 10;
/// How long anybody waits for a connection.
pub(crate) const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long anybody waits for the answer to a statement: more than `statement_timeout`, after which the server says
/// by itself that it will not come.
pub(crate) const ANSWER_TIMEOUT: Duration = Duration::from_secs(35);
/// How long a connection may take to say that it lives.
const SIGN_OF_LIFE: Duration = Duration::from_secs(2);
/// How the server treats us. Transactions here are short; what lasts longer is a fault or a lost client, whose locks
/// others wait for.
const OPTIONS: [(&str, &str); 9] = [
    ("statement_timeout", "30s"),
    ("lock_timeout", "20s"),
    ("idle_in_transaction_session_timeout", "15s"),
    ("tcp_keepalives_idle", "10"),
    ("tcp_keepalives_interval", "5"),
    ("tcp_keepalives_count", "3"),
    ("tcp_user_timeout", "20000"),
    ("default_transaction_isolation", "read committed"),
    // A migration that finds its table there already is no news for the log.
    ("client_min_messages", "warning"),
];

pub(crate) struct Pools {
    /// Host, port and database, without user and password.
    pub(crate) name: String,
    pub(crate) pool: PgPool,
    /// For whoever must not wait behind others.
    pub(crate) aside: PgPool,
    pub(crate) options: PgConnectOptions,
}

impl Pools {
    pub(crate) async fn open(url: &str) -> Result<Self> {
        let options = options(url)?;
        let name = format!(
            "postgres://{}:{}/{}",
            options.get_host(),
            options.get_port(),
            options.get_database().unwrap_or_default()
        );
        let pool = bounded(CONNECTIONS)
            .connect_with(options.clone())
            .await
            .map_err(|source| StorageError::Connect {
                database: name.clone(),
                source,
            })?;
        Ok(Self {
            name,
            pool,
            aside: bounded(1).connect_lazy_with(options.clone()),
            options,
        })
    }

    /// Begins a transaction for writing, also when nobody waits for it any more: cut off in the middle, its connection would
    /// go on in a transaction that nobody knows of.
    pub(crate) async fn begin(&self) -> sqlx::Result<Transaction<'static, Postgres>> {
        let pool = self.pool.clone();
        let begun = tokio::spawn(async move { within(CONNECT_TIMEOUT * 2, pool.begin()).await });
        begun.await.map_err(io::Error::other)?
    }
}

/// A pool of at most `connections`, none of which keeps anybody waiting because it is dead.
pub(crate) fn bounded(connections: u32) -> PgPoolOptions {
    PgPoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(CONNECT_TIMEOUT)
        // The pool's own tests have no limit.
        .test_before_acquire(false)
        .before_acquire(|connection, _| lives(connection))
        .after_release(|connection, _| lives(connection))
}

/// Also ends what the last user of the connection left undone.
fn lives(connection: &mut PgConnection) -> BoxFuture<'_, sqlx::Result<bool>> {
    Box::pin(async {
        match timeout(SIGN_OF_LIFE, connection.ping()).await {
            Ok(answered) => answered.map(|()| true),
            Err(_) => Err(silence(SIGN_OF_LIFE)),
        }
    })
}

/// The error of a server that did not answer within `limit`.
pub(crate) fn silence(limit: Duration) -> sqlx::Error {
    let said = format!("the server did not answer within {} s", limit.as_secs());
    sqlx::Error::Io(io::Error::new(io::ErrorKind::TimedOut, said))
}

/// Waits for a server's answer, but not longer than `limit`.
pub(crate) async fn within<T>(
    limit: Duration,
    work: impl Future<Output = sqlx::Result<T>>,
) -> sqlx::Result<T> {
    timeout(limit, work)
        .await
        .unwrap_or_else(|_| Err(silence(limit)))
}

fn options(url: &str) -> Result<PgConnectOptions> {
    let options: PgConnectOptions =
        url.parse()
            .map_err(|error: sqlx::Error| StorageError::Url {
                url: "postgres://…".to_owned(),
                reason: error.to_string(),
            })?;
    Ok(options
        .application_name("kapelle")
        .statement_cache_capacity(STATEMENTS)
        .options(OPTIONS))
}
