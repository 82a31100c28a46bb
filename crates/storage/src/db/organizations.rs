//! Organizations: the owners of everything else.

use super::Number;
use crate::handle::{Handle, Transaction, fetch_all, fetch_one, fetch_optional};
use crate::row::columns;
use crate::statement::sql;
use crate::value::values;
use crate::{Hidden, Result};

/// An organization.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Organization {
    /// Key.
    pub id: i64,
    /// Its name in URLs, lower case.
    pub slug: String,
    /// Its name for people.
    pub name: String,
    /// The secret of its incoming hooks, encrypted.
    pub hook_secret: Hidden,
    /// When it was made.
    pub created_at: i64,
}
columns!(Organization: id, slug, name, hook_secret: Hidden, created_at);

/// Adds an organization; a taken slug is [`StorageError::Duplicate`](crate::StorageError::Duplicate).
pub async fn insert(
    tx: &mut Transaction,
    slug: &str,
    name: &str,
    hook_secret: &[u8],
    now: i64,
) -> Result<i64> {
    let sql = sql!(
        "INSERT INTO organizations (slug, name, hook_secret, created_at) VALUES ($1, $2, $3, $4) RETURNING id AS value"
    );
    fetch_one::<Number>(tx, sql, values![slug, name, hook_secret, now])
        .await
        .map(|row| row.value)
}

/// The organization with this slug.
pub async fn find_by_slug(on: &mut impl Handle, slug: &str) -> Result<Option<Organization>> {
    let sql =
        sql!("SELECT id, slug, name, hook_secret, created_at FROM organizations WHERE slug = $1");
    fetch_optional(on, sql, values![slug]).await
}

/// The organization with this key.
pub async fn find_by_id(on: &mut impl Handle, id: i64) -> Result<Option<Organization>> {
    let sql =
        sql!("SELECT id, slug, name, hook_secret, created_at FROM organizations WHERE id = $1");
    fetch_optional(on, sql, values![id]).await
}

/// Every organization, by slug.
pub async fn list(on: &mut impl Handle) -> Result<Vec<Organization>> {
    let sql =
        sql!("SELECT id, slug, name, hook_secret, created_at FROM organizations ORDER BY slug");
    fetch_all(on, sql, values![]).await
}

/// Puts an encrypted hook secret in the place of another one; `false`: it is no longer that.
pub async fn exchange_secret(
    tx: &mut Transaction,
    id: i64,
    from: &[u8],
    to: &[u8],
) -> Result<bool> {
    let sql = sql!("UPDATE organizations SET hook_secret = $3 WHERE id = $1 AND hook_secret = $2");
    Ok(crate::handle::execute(tx, sql, values![id, from, to]).await? > 0)
}

/// Replaces an organization's encrypted hook secret.
pub async fn replace_secret(tx: &mut Transaction, id: i64, hook_secret: &[u8]) -> Result<()> {
    let sql = sql!("UPDATE organizations SET hook_secret = $2 WHERE id = $1");
    crate::handle::execute_one(tx, sql, values![id, hook_secret], "organizations", id).await
}
