//! Changing the key that encrypts secrets at rest, while everything goes on.
//!
//! First a new key is put in front of the old one, and everything is sealed anew with it; each process takes notice by itself. Only when
//! nothing needs it any more is the old key dropped: until then backups and processes that were not looking can be read.

use kapelle_storage::db::{api_keys, changes, credentials, facts, organizations};
use kapelle_storage::{StorageError, Transaction};
use serde_json::json;

use crate::access::{self, Denied};
use crate::actor::Actor;
use crate::clock::{MINUTE, Millis};
use crate::installation::{self, InstallationError};
use crate::registry::Registry;
use crate::secrets::{Secrets, SecretsError};
use crate::{api_key, audit, credential, organization};

/// Secrets that one transaction seals anew.
const BATCH: usize = 500;

/// How long after a rotation the old keys are kept at least: whoever was sealing with one then has come to an end.
const SETTLE: Millis = 10 * MINUTE;
/// The fact that says when the last rotation was.
const ROTATED_AT: &str = "secrets_rotated_at";

/// Why the key could not be changed.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    /// Not allowed.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// The key file could not be read or written.
    #[error(transparent)]
    Secrets(#[from] SecretsError),
    /// The fact that tells the right key could not be written.
    #[error(transparent)]
    Installation(#[from] InstallationError),
    /// The old key is all that opens these, or nothing does.
    #[error(
        "{} secrets cannot be decrypted, such as {}: nothing was dropped. `kapelle verify` says what to do about them",
        .0.len(), .0[0]
    )]
    Unreadable(Vec<String>),
    /// There is nothing to drop.
    #[error("there is no older key: `kapelle keys rotate` makes a new one")]
    OneKey,
    /// Somebody may still be writing what the old key encrypted.
    #[error(
        "the key was changed less than ten minutes ago, and what is under way may need the old one: try again later"
    )]
    TooSoon,
    /// The database failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// What a rotation did.
#[derive(Debug, PartialEq, Eq)]
pub struct Rotated {
    /// Secrets that are encrypted with the new key now.
    pub sealed: u64,
    /// Those that no key opens, which stay as they are.
    pub unreadable: Vec<String>,
}

/// Makes a new key and seals every secret with it. Where the keys are configured, the first of several is as good as a new one.
pub async fn rotate(registry: &Registry, actor: &Actor) -> Result<Rotated, KeysError> {
    access::administer(actor, 0)?;
    let secrets = &registry.parts.secrets;
    let _held = secrets.hold()?;
    if secrets.is_configured() && secrets.has_older() {
        tracing::info!("secrets are encrypted with the first of the configured keys");
    } else {
        secrets.add_key()?;
    }
    let rotated = seal_anew(registry).await?;
    let mut transaction = registry.database().write().await?;
    let now = registry.now().to_string();
    facts::set(&mut transaction, ROTATED_AT, &now).await?;
    transaction.commit().await?;
    note(registry, actor, "keys.rotate", rotated.sealed).await?;
    Ok(rotated)
}

/// Drops all keys but the newest, once nothing needs them any more; `false`: they are configured, and can be left out there
/// now.
pub async fn retire(registry: &Registry, actor: &Actor) -> Result<bool, KeysError> {
    access::administer(actor, 0)?;
    let secrets = &registry.parts.secrets;
    let _held = secrets.hold()?;
    if !secrets.has_older() {
        return Err(KeysError::OneKey);
    }
    let rotated_at = facts::get(&mut registry.database().read().await?, ROTATED_AT).await?;
    let rotated_at: Millis = rotated_at
        .and_then(|at| at.parse().ok())
        .unwrap_or_default();
    if (registry.now() - rotated_at).abs() < SETTLE {
        return Err(KeysError::TooSoon);
    }
    let Rotated { unreadable, .. } = seal_anew(registry).await?;
    if !unreadable.is_empty() {
        return Err(KeysError::Unreadable(unreadable));
    }
    if !secrets.is_configured() {
        secrets.drop_older()?;
    }
    note(registry, actor, "keys.retire", 0).await?;
    Ok(!secrets.is_configured())
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

/// Seals everything that an older key sealed. Only for who holds the key file.
async fn seal_anew(registry: &Registry) -> Result<Rotated, KeysError> {
    let secrets = &registry.parts.secrets;
    installation::seal_key_check(registry.database(), secrets).await?;
    let (mut sealed, mut unreadable) = (0, Vec::new());
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
                    sealed += 1;
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
    Ok(Rotated { sealed, unreadable })
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
) -> Result<bool, KeysError> {
    let Stored {
        table,
        id,
        place,
        sealed,
    } = stored;
    let Ok(secret) = secrets.open(place, sealed) else {
        return Ok(false);
    };
    let fresh = secrets.seal(place, &secret)?;
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
