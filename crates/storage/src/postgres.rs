//! How a PostgreSQL server is connected to: a pool with time limits on the server's side too.

use std::time::Duration;

use sqlx::PgPool;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};

use crate::sqlite::STATEMENTS;
use crate::{Result, StorageError};

const CONNECTIONS: u32 = 10;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How the server treats us. Transactions here are short; what lasts longer is a fault or a lost client.
const OPTIONS: [(&str, &str); 5] = [
    ("statement_timeout", "30s"),
    ("lock_timeout", "20s"),
    ("idle_in_transaction_session_timeout", "60s"),
    ("default_transaction_isolation", "read committed"),
    // A migration that finds its table there already is no news for the log.
    ("client_min_messages", "warning"),
];

pub(crate) struct Pools {
    /// Host, port and database, without user and password.
    pub(crate) name: String,
    pub(crate) pool: PgPool,
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
        let pool = PgPoolOptions::new()
            .max_connections(CONNECTIONS)
            .acquire_timeout(CONNECT_TIMEOUT)
            .connect_with(options.clone())
            .await
            .map_err(|source| StorageError::Connect {
                database: name.clone(),
                source,
            })?;
        Ok(Self {
            name,
            pool,
            options,
        })
    }
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
