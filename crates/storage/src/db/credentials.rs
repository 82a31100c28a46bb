//! Credentials: our way to reach others.

use super::{Number, Text};
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
    /// `http-basic`, `token`, `ssh-key`, or another of the kinds that the registry names.
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
    /// Whether it is used for every repository of its host, and not only for packages that name it.
    pub automatic: bool,
}
columns!(Credential: id, organization_id, kind, host, username, secret: Hidden, description, created_at,
    automatic);

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
    pub automatic: bool,
}

/// Adds a credential.
pub async fn insert(tx: &mut Transaction, new: NewCredential<'_>) -> Result<i64> {
    let sql = sql!(
        "INSERT INTO credentials (organization_id, kind, host, username, secret, description, created_at, automatic)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8) RETURNING id AS value"
    );
    let NewCredential {
        organization_id,
        kind,
        host,
        username,
        secret,
        description,
        created_at,
        automatic,
    } = new;
    let values = values![
        organization_id,
        kind,
        host,
        username,
        secret,
        description,
        created_at,
        automatic
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
        "SELECT id, organization_id, kind, host, username, secret, description, created_at, automatic
         FROM credentials WHERE organization_id = $1 AND id = $2"
    );
    fetch_optional(on, sql, values![organization_id, id]).await
}

/// The same, for who is going to change it: on PostgreSQL the row stays his until the transaction ends.
pub async fn lock(
    tx: &mut Transaction,
    organization_id: i64,
    id: i64,
) -> Result<Option<Credential>> {
    let sql = sql!(
        sqlite: "SELECT id, organization_id, kind, host, username, secret, description, created_at, automatic
             FROM credentials WHERE organization_id = $1 AND id = $2",
        postgres: "SELECT id, organization_id, kind, host, username, secret, description, created_at, automatic
             FROM credentials WHERE organization_id = $1 AND id = $2 FOR UPDATE",
    );
    fetch_optional(tx, sql, values![organization_id, id]).await
}

/// The organization's credentials for every repository of a host, newest first.
pub async fn find_by_host(
    on: &mut impl Handle,
    organization_id: i64,
    host: &str,
) -> Result<Vec<Credential>> {
    let sql = sql!(
        "SELECT id, organization_id, kind, host, username, secret, description, created_at, automatic
         FROM credentials WHERE organization_id = $1 AND host = $2 AND automatic ORDER BY id DESC"
    );
    fetch_all(on, sql, values![organization_id, host]).await
}

/// An organization's credentials, oldest first.
pub async fn list(on: &mut impl Handle, organization_id: i64) -> Result<Vec<Credential>> {
    let sql = sql!(
        "SELECT id, organization_id, kind, host, username, secret, description, created_at, automatic
         FROM credentials WHERE organization_id = $1 ORDER BY id"
    );
    fetch_all(on, sql, values![organization_id]).await
}

/// Changes what is sent.
pub async fn update(
    tx: &mut Transaction,
    id: i64,
    kind: &str,
    username: &str,
    secret: &[u8],
) -> Result<()> {
    let sql = sql!("UPDATE credentials SET kind = $2, username = $3, secret = $4 WHERE id = $1");
    execute_one(
        tx,
        sql,
        values![id, kind, username, secret],
        "credentials",
        id,
    )
    .await
}

/// Deletes an organization's credential and says whether it was there. One that a live package or a mirrored repository uses stays:
/// [`StorageError::CredentialInUse`]. Removed packages forget it.
pub async fn delete(tx: &mut Transaction, organization_id: i64, id: i64) -> Result<bool> {
    let user = sql!(
        "SELECT COALESCE(name, repository_url) AS value FROM packages
         WHERE credential_id = $1 AND organization_id = $2 AND removed_at IS NULL
         UNION ALL SELECT name AS value FROM mirrored_repositories
         WHERE credential_id = $1 AND organization_id = $2 LIMIT 1"
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

/// Puts an encrypted secret in the place of another one; `false`: it is no longer that.
pub async fn exchange_secret(
    tx: &mut Transaction,
    id: i64,
    from: &[u8],
    to: &[u8],
) -> Result<bool> {
    let sql = sql!("UPDATE credentials SET secret = $3 WHERE id = $1 AND secret = $2");
    Ok(execute(tx, sql, values![id, from, to]).await? > 0)
}
