//! Users: people, known by their address.

use super::Number;
use crate::Result;
use crate::handle::{Handle, Transaction, fetch_all, fetch_one, fetch_optional};
use crate::row::columns;
use crate::statement::sql;
use crate::value::values;

/// A user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// Key.
    pub id: i64,
    /// Address, lower case.
    pub email: String,
    /// When it was first named.
    pub created_at: i64,
}
columns!(User: id, email, created_at);

/// The key of the user with this address, who is added when new.
pub async fn upsert(tx: &mut Transaction, email: &str, now: i64) -> Result<i64> {
    let sql = sql!(
        "INSERT INTO users (email, created_at) VALUES ($1, $2)
         ON CONFLICT (email) DO UPDATE SET email = excluded.email
         RETURNING id AS value"
    );
    fetch_one::<Number>(tx, sql, values![email, now])
        .await
        .map(|row| row.value)
}

/// The user with this address.
pub async fn find_by_email(on: &mut impl Handle, email: &str) -> Result<Option<User>> {
    let sql = sql!("SELECT id, email, created_at FROM users WHERE email = $1");
    fetch_optional(on, sql, values![email]).await
}

/// Every user, by address.
pub async fn list(on: &mut impl Handle) -> Result<Vec<User>> {
    let sql = sql!("SELECT id, email, created_at FROM users ORDER BY email");
    fetch_all(on, sql, values![]).await
}
