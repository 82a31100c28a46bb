//! Composer tokens: others' way to reach us.

use super::Number;
use crate::handle::{Handle, Transaction, execute, fetch_all, fetch_one, fetch_optional};
use crate::row::columns;
use crate::statement::sql;
use crate::value::values;
use crate::{Hidden, Result};

/// A token; the token itself is not stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// Key.
    pub id: i64,
    /// Whose packages it opens.
    pub organization_id: i64,
    /// SHA-256 of the token.
    pub hash: Hidden,
    /// Its last four characters.
    pub hint: String,
    /// What it is for, in its owner's words.
    pub description: String,
    /// `read` or `update`.
    pub access: String,
    /// When it was made.
    pub created_at: i64,
    /// When it stops working; `None`: never.
    pub expires_at: Option<i64>,
    /// When it was last seen, a few seconds late.
    pub last_used_at: Option<i64>,
}
columns!(
    Token: id, organization_id, hash: Hidden, hint, description, access, created_at, expires_at, last_used_at
);

/// What a new token is made of; the fields are [`Token`]'s.
#[derive(Clone, Copy)]
#[expect(
    missing_debug_implementations,
    reason = "holds a hash, and is only passed on"
)]
pub struct NewToken<'n> {
    pub organization_id: i64,
    pub hash: &'n [u8],
    pub hint: &'n str,
    pub description: &'n str,
    pub access: &'n str,
    pub created_at: i64,
    pub expires_at: Option<i64>,
}

/// Adds a token.
pub async fn insert(tx: &mut Transaction, new: NewToken<'_>) -> Result<i64> {
    let sql = sql!(
        "INSERT INTO tokens (organization_id, hash, hint, description, access, created_at, expires_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7) RETURNING id AS value"
    );
    let NewToken {
        organization_id,
        hash,
        hint,
        description,
        access,
        created_at,
        expires_at,
    } = new;
    let values = values![
        organization_id,
        hash,
        hint,
        description,
        access,
        created_at,
        expires_at
    ];
    fetch_one::<Number>(tx, sql, values)
        .await
        .map(|row| row.value)
}

/// The token with this SHA-256, expired or not.
pub async fn find_by_hash(on: &mut impl Handle, hash: &[u8]) -> Result<Option<Token>> {
    let sql = sql!(
        "SELECT id, organization_id, hash, hint, description, access, created_at, expires_at, last_used_at
         FROM tokens WHERE hash = $1"
    );
    fetch_optional(on, sql, values![hash]).await
}

/// An organization's tokens, oldest first.
pub async fn list(on: &mut impl Handle, organization_id: i64) -> Result<Vec<Token>> {
    let sql = sql!(
        "SELECT id, organization_id, hash, hint, description, access, created_at, expires_at, last_used_at
         FROM tokens WHERE organization_id = $1 ORDER BY id"
    );
    fetch_all(on, sql, values![organization_id]).await
}

/// Deletes an organization's token and says whether it was there.
pub async fn delete(tx: &mut Transaction, organization_id: i64, id: i64) -> Result<bool> {
    let sql = sql!("DELETE FROM tokens WHERE organization_id = $1 AND id = $2");
    Ok(execute(tx, sql, values![organization_id, id]).await? > 0)
}

/// Notes `(token, when)` pairs; an older time than the stored one and a deleted token are passed over.
pub async fn touch_last_used(tx: &mut Transaction, used: &[(i64, i64)]) -> Result<()> {
    let sql = sql!(
        "UPDATE tokens SET last_used_at = $2 WHERE id = $1 AND (last_used_at IS NULL OR last_used_at < $2)"
    );
    for &(id, at) in used {
        execute(tx, sql, values![id, at]).await?;
    }
    Ok(())
}
