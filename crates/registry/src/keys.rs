//! Changing the key that encrypts secrets at rest, while everything goes on.
//!
//! First a new key is put in front of the old one, and everything is sealed anew with it; each process takes notice by itself. Only when
//! nothing needs it any more is the old key dropped: until then backups and processes that were not looking can be read.

use kapelle_storage::db::{api_keys, changes, credentials, organizations};
use kapelle_storage::{StorageError, Transaction};
use serde_json::json;

use crate::access::{self, Denied};
use crate::actor::Actor;
use crate::installation;
use crate::registry::Registry;
use crate::secrets::{Secrets, SecretsError};
use crate::{api_key, audit, credential, organization};

/// Secrets that one transaction seals anew.
const BATCH: usize = 500;

/// Why the key could not be changed.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    /// Not allowed.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// The key file could not be read or written.
    #[error(transparent)]
    Secrets(#[from] SecretsError),
    /// The old key is all that opens these, or nothing does.
    #[error(
        "{} secrets cannot be decrypted, such as {}: nothing was dropped. `kapelle verify` says what to do about them",
        .0.len(), .0[0]
    )]
    Unreadable(Vec<String>),
    /// There is nothing to drop.
    #[error("there is no older key: `kapelle keys rotate` makes a new one")]
    OneKey,
    /// The database failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// Makes a new key and seals every secret with it; says how many. What cannot be opened stays as it is.
pub async fn rotate(registry: &Registry, actor: &Actor) -> Result<u64, KeysError> {
    access::administer(actor, 0)?;
    match registry.parts.secrets.add_key() {
        // A key that was configured in front of another one is as good as a new one.
        Err(SecretsError::Configured) if registry.parts.secrets.has_older() => {}
        added => added?,
    }
    let (sealed, _) = seal_anew(registry).await?;
    note(registry, actor, "keys.rotate", sealed).await?;
    Ok(sealed)
}

/// Drops all keys but the newest, once nothing needs them any more.
pub async fn retire(registry: &Registry, actor: &Actor) -> Result<(), KeysError> {
    access::administer(actor, 0)?;
    if !registry.parts.secrets.has_older() {
        return Err(KeysError::OneKey);
    }
    let (_, unreadable) = seal_anew(registry).await?;
    if !unreadable.is_empty() {
        return Err(KeysError::Unreadable(unreadable));
    }
    registry.parts.secrets.drop_older()?;
    note(registry, actor, "keys.retire", 0).await
}

async fn note(
    registry: &Registry,
    actor: &Actor,
    action: &str,
    sealed: u64,
) -> Result<(), KeysError> {
    let mut transaction = registry.database().write().await?;
    let entry = audit::Entry {
        organization_id: None,
        action,
        subject: "secrets",
        detail: json!({ "sealed": sealed }),
    };
    audit::record(registry, &mut transaction, actor, entry).await?;
    Ok(transaction.commit().await?)
}

/// A secret of some table.
struct Stored {
    table: Table,
    id: i64,
    place: String,
    sealed: Vec<u8>,
}

#[derive(Clone, Copy)]
enum Table {
    ApiKeys,
    Credentials,
    Organizations,
}

/// Seals everything that an older key sealed; gives how much that was, and what no key opens.
async fn seal_anew(registry: &Registry) -> Result<(u64, Vec<String>), KeysError> {
    let secrets = &registry.parts.secrets;
    installation::seal_key_check(registry.database(), secrets).await?;
    let (mut count, mut unreadable) = (0, Vec::new());
    let all = organizations::list(&mut registry.database().read().await?).await?;
    for organization in all {
        let stored = of_organization(registry, &organization).await?;
        let old = stored
            .into_iter()
            .filter(|stored| !secrets.is_newest(&stored.place, &stored.sealed));
        let old: Vec<Stored> = old.collect();
        for batch in old.chunks(BATCH) {
            let mut transaction = registry.database().write().await?;
            for stored in batch {
                if exchange(secrets, &mut transaction, stored).await? {
                    count += 1;
                } else {
                    unreadable.push(stored.place.clone());
                }
            }
            // Who remembers the hook's secret as it was sealed reads it again.
            let (now, id, slug) = (registry.now(), organization.id, &organization.slug);
            changes::append(&mut transaction, now, id, "organization", "update", slug).await?;
            transaction.commit().await?;
        }
    }
    registry.catch_up().await?;
    Ok((count, unreadable))
}

async fn of_organization(
    registry: &Registry,
    organization: &organizations::Organization,
) -> Result<Vec<Stored>, StorageError> {
    let id = organization.id;
    let mut connection = registry.database().read().await?;
    let keys = api_keys::list(&mut connection, id).await?;
    let credentials = credentials::list(&mut connection, id).await?;
    let mut stored = vec![Stored {
        table: Table::Organizations,
        id,
        place: organization::hook_secret_place(&organization.slug),
        sealed: organization.hook_secret.to_vec(),
    }];
    stored.extend(keys.into_iter().map(|row| Stored {
        table: Table::ApiKeys,
        id: row.id,
        place: api_key::secret_place(&row.key),
        sealed: row.secret.to_vec(),
    }));
    stored.extend(credentials.into_iter().map(|row| Stored {
        table: Table::Credentials,
        id: row.id,
        place: credential::place(id, &row.kind, &row.host),
        sealed: row.secret.to_vec(),
    }));
    Ok(stored)
}

/// `false`: no key opens it. What was changed meanwhile was sealed with the newest key by whoever did that.
async fn exchange(
    secrets: &Secrets,
    transaction: &mut Transaction,
    stored: &Stored,
) -> Result<bool, StorageError> {
    let Stored {
        table,
        id,
        place,
        sealed,
    } = stored;
    let Ok(secret) = secrets.open(place, sealed) else {
        return Ok(false);
    };
    let fresh = secrets.seal(place, &secret);
    match table {
        Table::ApiKeys => api_keys::exchange_secret(transaction, *id, sealed, &fresh).await?,
        Table::Credentials => {
            credentials::exchange_secret(transaction, *id, sealed, &fresh).await?
        }
        Table::Organizations => {
            organizations::exchange_secret(transaction, *id, sealed, &fresh).await?
        }
    };
    Ok(true)
}
