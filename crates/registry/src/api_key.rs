//! Keys of the management API. The secret signs requests, so it is kept encrypted, not hashed.

use kapelle_storage::db::api_keys::{self as rows, ApiKey};
use kapelle_storage::db::api_nonces as nonces;
use kapelle_storage::{StorageError, Transaction};
use secrecy::SecretString;
use serde_json::json;

use crate::access::{self, Denied};
use crate::actor::{Actor, ApiKeyActor, KeyAccess};
use crate::audit;
use crate::nonces::KEPT;
use crate::registry::Registry;
use crate::secrets::SecretsError;
use crate::statistics;
use crate::token::{is_description, with_checksum};

/// Random bytes of a key and of a secret.
const RANDOM: usize = 30;

/// Why an API key could not be made, listed or removed.
#[derive(Debug, thiserror::Error)]
pub enum ApiKeyError {
    /// Not allowed.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// There is none of that id here.
    #[error("there is no API key {0} in this organization: `kapelle api-key list` shows them")]
    Unknown(i64),
    /// The description is too long or has control characters.
    #[error("the description of an API key is at most 255 characters without control characters")]
    Description,
    /// The secret could not be read.
    #[error(transparent)]
    Secrets(#[from] SecretsError),
    /// The database failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// What a new API key is made of.
#[derive(Clone, Copy, Debug)]
pub struct NewApiKey<'n> {
    /// The organization that it may see and change.
    pub organization_id: i64,
    /// What it is for, in its owner's words.
    pub description: &'n str,
    /// What it may do.
    pub access: KeyAccess,
}

/// An API key that was just made; its secret is not shown again.
#[derive(Debug)]
pub struct Created {
    /// Its row.
    pub id: i64,
    /// The public half, which requests name.
    pub key: String,
    /// What they are signed with.
    pub secret: SecretString,
}

/// Makes an API key.
pub async fn create(
    registry: &Registry,
    actor: &Actor,
    new: NewApiKey<'_>,
) -> Result<Created, ApiKeyError> {
    access::administer(actor, new.organization_id)?;
    let mut transaction = registry.database().write().await?;
    let created = insert(registry, &mut transaction, actor, new).await?;
    transaction.commit().await?;
    Ok(created)
}

/// Makes an API key in the caller's transaction.
pub(crate) async fn insert(
    registry: &Registry,
    transaction: &mut Transaction,
    actor: &Actor,
    new: NewApiKey<'_>,
) -> Result<Created, ApiKeyError> {
    let NewApiKey {
        organization_id,
        description,
        access,
    } = new;
    if !is_description(description) {
        return Err(ApiKeyError::Description);
    }
    let key = with_checksum("packagist_ack_", &registry.parts.random.hex::<RANDOM>());
    let secret: SecretString =
        with_checksum("packagist_acs_", &registry.parts.random.hex::<RANDOM>()).into();
    let sealed = registry.parts.secrets.seal(&secret_place(&key), &secret)?;
    let row = rows::NewApiKey {
        organization_id,
        key: &key,
        secret: &sealed,
        description,
        access: access.as_str(),
        created_at: registry.now(),
    };
    let id = rows::insert(transaction, row).await?;
    let detail = json!({ "access": access.as_str() });
    record(
        registry,
        transaction,
        actor,
        organization_id,
        ("api-key.create", id),
        detail,
    )
    .await?;
    Ok(Created { id, key, secret })
}

/// The key with that public half, and what requests are signed with.
pub async fn find(
    registry: &Registry,
    key: &str,
) -> Result<Option<(ApiKeyActor, SecretString)>, ApiKeyError> {
    let row = rows::find_by_key(&mut registry.database().read().await?, key).await?;
    let Some(row) = row else {
        return Ok(None);
    };
    let secret = registry
        .parts
        .secrets
        .open(&secret_place(&row.key), &row.secret)?;
    let actor = ApiKeyActor {
        id: row.id,
        organization_id: row.organization_id,
        access: row.access.parse().unwrap_or(KeyAccess::Read),
    };
    Ok(Some((actor, secret)))
}

/// Accepts a signed request once: `false` if one with this nonce was accepted before. Those that change something are told
/// apart by all processes, the others by this one.
pub async fn admit(
    registry: &Registry,
    key: &ApiKeyActor,
    cnonce: &str,
    changes: bool,
) -> Result<bool, StorageError> {
    let now = registry.now();
    note_use(registry, key);
    if !registry.nonces.note(key.id, cnonce, now) {
        return Ok(false);
    }
    if !changes {
        return Ok(true);
    }
    let mut transaction = registry.database().write().await?;
    let is_new = nonces::insert(&mut transaction, key.id, cnonce, now).await?;
    nonces::prune(&mut transaction, now - KEPT).await?;
    transaction.commit().await?;
    Ok(is_new)
}

/// Notes that a key was used.
pub fn note_use(registry: &Registry, key: &ApiKeyActor) {
    statistics::record_key_use(registry, key.id, registry.now());
}

/// The organization's API keys, oldest first.
pub async fn list(
    registry: &Registry,
    actor: &Actor,
    organization_id: i64,
) -> Result<Vec<ApiKey>, ApiKeyError> {
    access::administer(actor, organization_id)?;
    Ok(rows::list(&mut registry.database().read().await?, organization_id).await?)
}

/// Removes an API key: the next request that is signed with it is refused.
pub async fn remove(
    registry: &Registry,
    actor: &Actor,
    organization_id: i64,
    id: i64,
) -> Result<(), ApiKeyError> {
    access::administer(actor, organization_id)?;
    let mut transaction = registry.database().write().await?;
    if !rows::delete(&mut transaction, organization_id, id).await? {
        return Err(ApiKeyError::Unknown(id));
    }
    record(
        registry,
        &mut transaction,
        actor,
        organization_id,
        ("api-key.remove", id),
        json!({}),
    )
    .await?;
    transaction.commit().await?;
    Ok(())
}

async fn record(
    registry: &Registry,
    transaction: &mut Transaction,
    actor: &Actor,
    organization_id: i64,
    (action, id): (&str, i64),
    detail: serde_json::Value,
) -> Result<(), StorageError> {
    let entry = audit::Entry {
        organization_id: Some(organization_id),
        action,
        subject: &id.to_string(),
        detail,
    };
    audit::record(registry, transaction, actor, entry).await
}

/// Binds a stored secret to its key.
pub(crate) fn secret_place(key: &str) -> String {
    format!("api_keys/secret/{key}")
}
