//! Mirrored repositories: Composer repositories of others.

use crate::Result;
use crate::handle::{
    Handle, Transaction, execute, execute_one, fetch_all, fetch_one, fetch_optional,
};
use crate::row::columns;
use crate::statement::sql;
use crate::value::values;

use super::Number;

/// A mirrored repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MirroredRepository {
    /// Key.
    pub id: i64,
    /// Whose it is.
    pub organization_id: i64,
    /// For people.
    pub name: String,
    /// Where it is.
    pub url: String,
    /// When its packages are mirrored: `add_on_use`, `add_by_name`, `add_by_admin` or `disabled`.
    pub behavior: String,
    /// The credential for it.
    pub credential_id: Option<i64>,
    /// When it was added.
    pub created_at: i64,
}
columns!(MirroredRepository: id, organization_id, name, url, behavior, credential_id, created_at);

/// Adds a mirrored repository and gives its key; `row.id` means nothing.
pub async fn insert(tx: &mut Transaction, row: &MirroredRepository) -> Result<i64> {
    let sql = sql!(
        "INSERT INTO mirrored_repositories (organization_id, name, url, behavior, credential_id, created_at)
         VALUES ($1, $2, $3, $4, $5, $6) RETURNING id AS value"
    );
    let values = values![
        row.organization_id,
        &row.name,
        &row.url,
        &row.behavior,
        row.credential_id,
        row.created_at
    ];
    fetch_one::<Number>(tx, sql, values)
        .await
        .map(|row| row.value)
}

/// Changes a mirrored repository.
pub async fn update(tx: &mut Transaction, row: &MirroredRepository) -> Result<()> {
    let sql = sql!(
        "UPDATE mirrored_repositories SET name = $2, url = $3, behavior = $4, credential_id = $5 WHERE id = $1"
    );
    let values = values![
        row.id,
        &row.name,
        &row.url,
        &row.behavior,
        row.credential_id
    ];
    execute_one(tx, sql, values, "mirrored_repositories", row.id).await
}

/// The organization's mirrored repository with this key.
pub async fn find(
    on: &mut impl Handle,
    organization_id: i64,
    id: i64,
) -> Result<Option<MirroredRepository>> {
    let sql = sql!(
        "SELECT id, organization_id, name, url, behavior, credential_id, created_at
         FROM mirrored_repositories WHERE organization_id = $1 AND id = $2"
    );
    fetch_optional(on, sql, values![organization_id, id]).await
}

/// An organization's mirrored repositories, oldest first.
pub async fn list(on: &mut impl Handle, organization_id: i64) -> Result<Vec<MirroredRepository>> {
    let sql = sql!(
        "SELECT id, organization_id, name, url, behavior, credential_id, created_at
         FROM mirrored_repositories WHERE organization_id = $1 ORDER BY id"
    );
    fetch_all(on, sql, values![organization_id]).await
}

/// Deletes an organization's mirrored repository and says whether it was there.
pub async fn delete(tx: &mut Transaction, organization_id: i64, id: i64) -> Result<bool> {
    let sql = sql!("DELETE FROM mirrored_repositories WHERE organization_id = $1 AND id = $2");
    Ok(execute(tx, sql, values![organization_id, id]).await? > 0)
}
