//! Credentials: our way to reach others.

use super::{Number, StoredSecret, Text};
use crate::handle::{
    Handle, Transaction, execute, execute_one, fetch_all, fetch_one, fetch_optional,
};
use crate::row::columns;
use crate::statement::sql;
use crate::value::values;
use crate::{Hidden, Result, StorageError};

/// A credential.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credential {
    /// Key.
    pub id: i64,
    /// Whose it is.
    pub organization_id: i64,
    /// `http-basic`, `token` or `ssh-key`.
    pub kind: String,
    /// Where it is sent, lower case, with `:port` when it has one.
    pub host: String,
    /// The user's name there.
    pub username: String,
    /// Password, token or private key, encrypted.
    pub secret: Hidden,
    /// What it is for, in its owner's words.
    pub description: String,
    /// When it was made.
    pub created_at: i64,
}
columns!(Credential: id, organization_id, kind, host, username, secret: Hidden, description, created_at);

/// What a new credential is made of; the fields are [`Credential`]'s.
#[derive(Clone, Copy)]
#[expect(
    missing_debug_implementations,
    reason = "holds a secret, and is only passed on"
)]
pub struct NewCredential<'n> {
    pub organization_id: i64,
    pub kind: &'n str,
    pub host: &'n str,
    pub username: &'n str,
    pub secret: &'n [u8],
    pub description: &'n str,
    pub created_at: i64,
}

/// Adds a credential.
pub async fn insert(tx: &mut Transaction, new: NewCredential<'_>) -> Result<i64> {
    let sql = sql!(
        "INSERT INTO credentials (organization_id, kind, host, username, secret, description, created_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7) RETURNING id AS value"
    );
    let NewCredential {
        organization_id,
        kind,
        host,
        username,
        secret,
        description,
        created_at,
    } = new;
    let values = values![
        organization_id,
        kind,
        host,
        username,
        secret,
        description,
        created_at
    ];
    fetch_one::<Number>(tx, sql, values)
        .await
        .map(|row| row.value)
}

/// The organization's credential with this key.
pub async fn find(
    on: &mut impl Handle,
    organization_id: i64,
    id: i64,
) -> Result<Option<Credential>> {
    let sql = sql!(
        "SELECT id, organization_id, kind, host, username, secret, description, created_at
         FROM credentials WHERE organization_id = $1 AND id = $2"
    );
    fetch_optional(on, sql, values![organization_id, id]).await
}

/// The organization's credentials for a host, newest first.
pub async fn find_by_host(
    on: &mut impl Handle,
    organization_id: i64,
    host: &str,
) -> Result<Vec<Credential>> {
    let sql = sql!(
        "SELECT id, organization_id, kind, host, username, secret, description, created_at
         FROM credentials WHERE organization_id = $1 AND host = $2 ORDER BY id DESC"
    );
    fetch_all(on, sql, values![organization_id, host]).await
}

/// An organization's credentials, oldest first.
pub async fn list(on: &mut impl Handle, organization_id: i64) -> Result<Vec<Credential>> {
    let sql = sql!(
        "SELECT id, organization_id, kind, host, username, secret, description, created_at
         FROM credentials WHERE organization_id = $1 ORDER BY id"
    );
    fetch_all(on, sql, values![organization_id]).await
}

/// Deletes an organization's credential and says whether it was there. One that a live package uses stays:
/// [`StorageError::CredentialInUse`]. Removed packages forget it.
pub async fn delete(tx: &mut Transaction, organization_id: i64, id: i64) -> Result<bool> {
    let user = sql!(
        "SELECT COALESCE(name, repository_url) AS value FROM packages
         WHERE credential_id = $1 AND organization_id = $2 AND removed_at IS NULL ORDER BY id LIMIT 1"
    );
    let user: Option<Text> = fetch_optional(tx, user, values![id, organization_id]).await?;
    if let Some(Text { value: package }) = user {
        return Err(StorageError::CredentialInUse { id, package });
    }
    let forget = sql!(
        "UPDATE packages SET credential_id = NULL WHERE credential_id = $1 AND organization_id = $2"
    );
    execute(tx, forget, values![id, organization_id]).await?;
    let sql = sql!("DELETE FROM credentials WHERE organization_id = $1 AND id = $2");
    Ok(execute(tx, sql, values![organization_id, id]).await? > 0)
}

/// Every encrypted secret, for a change of the encryption key.
pub async fn list_secrets(on: &mut impl Handle) -> Result<Vec<StoredSecret>> {
    let sql = sql!("SELECT id, secret FROM credentials ORDER BY id");
    fetch_all(on, sql, values![]).await
}

/// Replaces an encrypted secret.
pub async fn replace_secret(tx: &mut Transaction, id: i64, secret: &[u8]) -> Result<()> {
    let sql = sql!("UPDATE credentials SET secret = $2 WHERE id = $1");
    execute_one(tx, sql, values![id, secret], "credentials", id).await
}
