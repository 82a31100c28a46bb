//! Keys of the management API. The secret signs requests, so it is encrypted, not hashed.

use super::Number;
use crate::handle::{Handle, Transaction, execute, fetch_all, fetch_one, fetch_optional};
use crate::row::columns;
use crate::statement::sql;
use crate::value::values;
use crate::{Hidden, Result};

/// An API key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiKey {
    /// Key of the row.
    pub id: i64,
    /// Whose it is.
    pub organization_id: i64,
    /// The public half.
    pub key: String,
    /// The secret half, encrypted.
    pub secret: Hidden,
    /// What it is for, in its owner's words.
    pub description: String,
    /// `read` or `admin`.
    pub access: String,
    /// When it was made.
    pub created_at: i64,
    /// When it was last seen, a few seconds late.
    pub last_used_at: Option<i64>,
}
columns!(ApiKey: id, organization_id, key, secret: Hidden, description, access, created_at, last_used_at);

/// What a new API key is made of; the fields are [`ApiKey`]'s.
#[derive(Clone, Copy)]
#[expect(
    missing_debug_implementations,
    reason = "holds a secret, and is only passed on"
)]
pub struct NewApiKey<'n> {
    pub organization_id: i64,
    pub key: &'n str,
    pub secret: &'n [u8],
    pub description: &'n str,
    pub access: &'n str,
    pub created_at: i64,
}

/// Adds an API key.
pub async fn insert(tx: &mut Transaction, new: NewApiKey<'_>) -> Result<i64> {
    let sql = sql!(
        "INSERT INTO api_keys (organization_id, key, secret, description, access, created_at)
         VALUES ($1, $2, $3, $4, $5, $6) RETURNING id AS value"
    );
    let NewApiKey {
        organization_id,
        key,
        secret,
        description,
        access,
        created_at,
    } = new;
    let values = values![
        organization_id,
        key,
        secret,
        description,
        access,
        created_at
    ];
    fetch_one::<Number>(tx, sql, values)
        .await
        .map(|row| row.value)
}

/// The API key with this public half.
pub async fn find_by_key(on: &mut impl Handle, key: &str) -> Result<Option<ApiKey>> {
    let sql = sql!(
        "SELECT id, organization_id, key, secret, description, access, created_at, last_used_at
         FROM api_keys WHERE key = $1"
    );
    fetch_optional(on, sql, values![key]).await
}

/// An organization's API keys, oldest first.
pub async fn list(on: &mut impl Handle, organization_id: i64) -> Result<Vec<ApiKey>> {
    let sql = sql!(
        "SELECT id, organization_id, key, secret, description, access, created_at, last_used_at
         FROM api_keys WHERE organization_id = $1 ORDER BY id"
    );
    fetch_all(on, sql, values![organization_id]).await
}

/// Deletes an organization's API key and says whether it was there.
pub async fn delete(tx: &mut Transaction, organization_id: i64, id: i64) -> Result<bool> {
    let sql = sql!("DELETE FROM api_keys WHERE organization_id = $1 AND id = $2");
    Ok(execute(tx, sql, values![organization_id, id]).await? > 0)
}

/// Notes `(key of the row, when)` pairs; an older time than the stored one and a deleted key are passed over.
pub async fn touch_last_used(tx: &mut Transaction, used: &[(i64, i64)]) -> Result<()> {
    let sql = sql!(
        "UPDATE api_keys SET last_used_at = $2 WHERE id = $1 AND (last_used_at IS NULL OR last_used_at < $2)"
    );
    for &(id, at) in used {
        execute(tx, sql, values![id, at]).await?;
    }
    Ok(())
}

/// Puts an encrypted secret in the place of another one; `false`: it is no longer that.
pub async fn exchange_secret(
    tx: &mut Transaction,
    id: i64,
    from: &[u8],
    to: &[u8],
) -> Result<bool> {
    let sql = sql!("UPDATE api_keys SET secret = $3 WHERE id = $1 AND secret = $2");
    Ok(execute(tx, sql, values![id, from, to]).await? > 0)
}
