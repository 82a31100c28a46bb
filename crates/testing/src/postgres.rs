//! A PostgreSQL database of its own for one test.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, Connection, PgConnection};

use crate::tcp_proxy::TcpProxy;

/// Names the server that tests use: the URL of a user who may create databases.
const VARIABLE: &str = "KAPELLE_TEST_POSTGRES";

/// An empty database that is dropped with this value.
#[derive(Debug)]
pub struct TestPostgres {
    admin: String,
    name: String,
    url: String,
}

impl TestPostgres {
    /// Creates a database on the server of `KAPELLE_TEST_POSTGRES`.
    ///
    /// # Panics
    /// When the variable is missing or the server does not answer: tests on PostgreSQL are never skipped.
    pub async fn create() -> Self {
        let admin = admin_url();
        let name = unused_name();
        run(&admin, format!("CREATE DATABASE {name} TEMPLATE template0")).await;
        let url = with_database(&admin, &name);
        Self { admin, name, url }
    }

    /// Where it is, user and password included.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// A proxy in front of the server, and the URL of this database through it.
    pub async fn proxied(&self) -> (TcpProxy, String) {
        let server: PgConnectOptions = self.url.parse().expect("the URL of a server");
        let place = (server.get_host().to_owned(), server.get_port());
        let mut found = tokio::net::lookup_host(&place)
            .await
            .expect("the test server's host has an address");
        let proxy = TcpProxy::to(found.next().expect("an address")).await;
        let url = with_place(&self.url, &proxy.address().to_string());
        (proxy, url)
    }

    /// Ends every session on this database with the words of a server that stops.
    pub async fn end_sessions(&self) {
        let sql = format!(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{}'",
            self.name
        );
        run(&self.admin, sql).await;
    }
}

impl Drop for TestPostgres {
    /// Drops the database although a connection may still be open. On a thread, as a runtime cannot wait for itself.
    fn drop(&mut self) {
        let (admin, name) = (self.admin.clone(), self.name.clone());
        let dropped = std::thread::spawn(move || {
            tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .expect("a runtime for dropping a test database")
                .block_on(run(&admin, format!("DROP DATABASE {name} WITH (FORCE)")));
        });
        let gone = dropped.join().is_ok();
        assert!(
            gone || std::thread::panicking(),
            "the test database {} could not be dropped",
            self.name
        );
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "tests are configured by the environment"
)]
fn admin_url() -> String {
    std::env::var(VARIABLE).unwrap_or_else(|_| {
        panic!("{VARIABLE} is not set: run the tests with `scripts/test`, which starts a PostgreSQL server for them")
    })
}

/// A name that no other test takes, in this process, in another one or left over from an earlier one.
#[expect(clippy::disallowed_methods, reason = "not a time but a name")]
fn unused_name() -> String {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let since = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    format!(
        "kapelle_test_{:x}_{:x}_{count}",
        since.as_nanos(),
        std::process::id()
    )
}

async fn run(admin: &str, sql: String) {
    let mut connection = PgConnection::connect(admin).await.unwrap_or_else(|error| {
        panic!("the PostgreSQL server of {VARIABLE} cannot be reached: {error}")
    });
    sqlx::raw_sql(AssertSqlSafe(sql.clone()))
        .execute(&mut connection)
        .await
        .unwrap_or_else(|error| panic!("{sql}: {error}"));
    connection
        .close()
        .await
        .expect("closing a connection to the test server");
}

/// The URL with another database's name in it.
fn with_database(url: &str, name: &str) -> String {
    let (base, query) = url
        .split_once('?')
        .map_or((url, None), |(base, query)| (base, Some(query)));
    let (server, _) = base
        .rsplit_once('/')
        .expect("KAPELLE_TEST_POSTGRES ends in a database's name");
    match query {
        Some(query) => format!("{server}/{name}?{query}"),
        None => format!("{server}/{name}"),
    }
}

/// The URL with another server's host and port in it.
fn with_place(url: &str, place: &str) -> String {
    let (scheme, rest) = url.split_once("://").expect("a URL has a scheme");
    let (authority, path) = rest.split_once('/').expect("a URL names a database");
    match authority.rsplit_once('@') {
        Some((user, _)) => format!("{scheme}://{user}@{place}/{path}"),
        None => format!("{scheme}://{place}/{path}"),
    }
}

#[cfg(test)]
mod tests {
    use super::{with_database, with_place};

    #[test]
    fn the_database_in_a_url_is_replaced_and_the_parameters_stay() {
        let url = with_database("postgres://u:p@h:1/postgres?sslmode=disable", "mine");
        assert_eq!(url, "postgres://u:p@h:1/mine?sslmode=disable");
    }

    #[test]
    fn the_server_in_a_url_is_replaced_and_the_user_stays() {
        let url = with_place("postgres://u:p@h:1/mine?sslmode=disable", "127.0.0.1:2");
        assert_eq!(url, "postgres://u:p@127.0.0.1:2/mine?sslmode=disable");
    }
}
