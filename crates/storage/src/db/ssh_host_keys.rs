//! The keys by which ssh servers were recognised first.

use crate::Result;
use crate::handle::{Handle, Transaction, execute, fetch_all};
use crate::row::columns;
use crate::statement::sql;
use crate::value::values;

/// A server's key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SshHostKey {
    /// As in `known_hosts`: `host` or `[host]:port`.
    pub host: String,
    /// `ssh-ed25519`.
    pub algorithm: String,
    /// Base64.
    pub public_key: String,
    /// When it was first seen.
    pub accepted_at: i64,
}
columns!(SshHostKey: host, algorithm, public_key, accepted_at);

/// The keys of a host, by algorithm.
pub async fn list(on: &mut impl Handle, host: &str) -> Result<Vec<SshHostKey>> {
    let sql = sql!(
        "SELECT host, algorithm, public_key, accepted_at FROM ssh_host_keys WHERE host = $1 ORDER BY algorithm"
    );
    fetch_all(on, sql, values![host]).await
}

/// The keys of every host.
pub async fn list_all(on: &mut impl Handle) -> Result<Vec<SshHostKey>> {
    let sql = sql!(
        "SELECT host, algorithm, public_key, accepted_at FROM ssh_host_keys ORDER BY host, algorithm"
    );
    fetch_all(on, sql, values![]).await
}

/// Accepts a key; `false`: the host has one of this algorithm already, which stays as it is.
pub async fn insert(
    tx: &mut Transaction,
    host: &str,
    algorithm: &str,
    public_key: &str,
    now: i64,
) -> Result<bool> {
    let sql = sql!(
        "INSERT INTO ssh_host_keys (host, algorithm, public_key, accepted_at) VALUES ($1, $2, $3, $4)
         ON CONFLICT (host, algorithm) DO NOTHING"
    );
    Ok(execute(tx, sql, values![host, algorithm, public_key, now]).await? > 0)
}

/// Forgets a host's keys, so that the next ones are accepted, and says how many there were.
pub async fn delete(tx: &mut Transaction, host: &str) -> Result<u64> {
    let sql = sql!("DELETE FROM ssh_host_keys WHERE host = $1");
    execute(tx, sql, values![host]).await
}
