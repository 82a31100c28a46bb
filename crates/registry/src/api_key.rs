//! Keys of the management API. The secret signs requests, so it is kept encrypted, not hashed.

use kapelle_storage::db::api_keys as rows;
use kapelle_storage::{StorageError, Transaction};
use secrecy::SecretString;
use serde_json::json;

use crate::actor::Actor;
use crate::audit;
use crate::registry::Registry;
use crate::token::with_checksum;

/// Random bytes of a key and of a secret.
const RANDOM: usize = 30;

/// Makes an administrator's key for an organization in the caller's transaction; gives key and secret.
pub(crate) async fn insert(
    registry: &Registry,
    transaction: &mut Transaction,
    actor: &Actor,
    organization_id: i64,
    description: &str,
) -> Result<(String, SecretString), StorageError> {
    let key = with_checksum("packagist_ack_", &registry.parts.random.hex::<RANDOM>());
    let secret: SecretString =
        with_checksum("packagist_acs_", &registry.parts.random.hex::<RANDOM>()).into();
    let sealed = registry.parts.secrets.seal(&secret_place(&key), &secret);
    let row = rows::NewApiKey {
        organization_id,
        key: &key,
        secret: &sealed,
        description,
        access: "admin",
        created_at: registry.now(),
    };
    let id = rows::insert(transaction, row).await?;
    audit::record(
        registry,
        transaction,
        actor,
        audit::Entry {
            organization_id: Some(organization_id),
            action: "api-key.create",
            subject: &id.to_string(),
            detail: json!({ "access": "admin" }),
        },
    )
    .await?;
    Ok((key, secret))
}

/// Binds a stored secret to its key.
pub(crate) fn secret_place(key: &str) -> String {
    format!("api_keys/secret/{key}")
}
