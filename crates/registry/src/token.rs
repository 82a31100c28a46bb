//! Composer tokens: others' way to reach us. Only their SHA-256 is kept.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use kapelle_storage::db::tokens::{self as rows, Token};
use kapelle_storage::db::{changes, organizations};
use kapelle_storage::{StorageError, Transaction};
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::access::{self, Denied};
use crate::actor::{Actor, TokenAccess, TokenActor};
use crate::audit;
use crate::clock::{Millis, SECOND};
use crate::registry::Registry;
use crate::statistics;

/// Random bytes of a token: 60 hexadecimal digits.
const RANDOM: usize = 30;
/// Longest description, in characters.
const DESCRIPTION: usize = 255;

/// Why a token could not be made, listed or removed.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// Not allowed.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// There is none of that id here.
    #[error("there is no token {0} in this organization: `kapelle token list` shows them")]
    Unknown(i64),
    /// The description is too long or has control characters.
    #[error("the description of a token is at most 255 characters without control characters")]
    Description,
    /// It would never have been valid.
    #[error("the token would have expired already: choose a later time")]
    Expired,
    /// The database failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// What a new token is made of.
#[derive(Clone, Debug)]
pub struct NewToken {
    /// The organization whose repository it opens.
    pub organization_id: i64,
    /// What it is for, in its owner's words.
    pub description: String,
    /// What it may do.
    pub access: TokenAccess,
    /// When it stops, in milliseconds since 1970.
    pub expires_at: Option<i64>,
}

/// A token that was just made; its secret is not shown again.
#[derive(Debug)]
pub struct Created {
    /// Its row.
    pub id: i64,
    /// The token itself.
    pub secret: SecretString,
}

/// What a token is known by: the SHA-256 of its text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Fingerprint([u8; 32]);

/// What memory holds of a token.
#[derive(Debug)]
pub(crate) struct KnownToken {
    actor: TokenActor,
    /// The second since 1970 whose use was noted last: once in a second is enough.
    noted: AtomicI64,
}

/// Makes a token.
pub async fn create(
    registry: &Registry,
    actor: &Actor,
    new: &NewToken,
) -> Result<Created, TokenError> {
    access::administer(actor, new.organization_id)?;
    let mut transaction = registry.database().write().await?;
    let created = insert(registry, &mut transaction, actor, new).await?;
    transaction.commit().await?;
    Ok(created)
}

/// Makes a token in the caller's transaction.
pub(crate) async fn insert(
    registry: &Registry,
    transaction: &mut Transaction,
    actor: &Actor,
    new: &NewToken,
) -> Result<Created, TokenError> {
    let now = registry.now();
    if !is_description(&new.description) {
        return Err(TokenError::Description);
    }
    if new.expires_at.is_some_and(|expires_at| expires_at <= now) {
        return Err(TokenError::Expired);
    }
    let secret = with_checksum(prefix(new.access), &registry.parts.random.hex::<RANDOM>());
    let row = rows::NewToken {
        organization_id: new.organization_id,
        hash: &Fingerprint::of(&secret).0,
        hint: &secret[secret.len() - 4..],
        description: &new.description,
        access: new.access.as_str(),
        created_at: now,
        expires_at: new.expires_at,
    };
    let id = rows::insert(transaction, row).await?;
    audit::record(
        registry,
        transaction,
        actor,
        audit::Entry {
            organization_id: Some(new.organization_id),
            action: "token.create",
            subject: &id.to_string(),
            detail: json!({ "access": new.access.as_str(), "expires_at": new.expires_at }),
        },
    )
    .await?;
    Ok(Created {
        id,
        secret: secret.into(),
    })
}

/// Whether a text is short and plain enough to describe a token or a key.
pub(crate) fn is_description(text: &str) -> bool {
    text.chars().count() <= DESCRIPTION && !text.chars().any(char::is_control)
}

/// The organization's tokens, oldest first.
pub async fn list(
    registry: &Registry,
    actor: &Actor,
    organization_id: i64,
) -> Result<Vec<Token>, TokenError> {
    access::administer(actor, organization_id)?;
    Ok(rows::list(&mut registry.database().read().await?, organization_id).await?)
}

/// Revokes a token: it stops within a second in every process.
pub async fn remove(
    registry: &Registry,
    actor: &Actor,
    organization_id: i64,
    id: i64,
) -> Result<(), TokenError> {
    access::administer(actor, organization_id)?;
    let mut transaction = registry.database().write().await?;
    if !rows::delete(&mut transaction, organization_id, id).await? {
        return Err(TokenError::Unknown(id));
    }
    changes::append(
        &mut transaction,
        registry.now(),
        organization_id,
        "token",
        "delete",
        &id.to_string(),
    )
    .await?;
    audit::record(
        registry,
        &mut transaction,
        actor,
        audit::Entry {
            organization_id: Some(organization_id),
            action: "token.remove",
            subject: &id.to_string(),
            detail: json!({}),
        },
    )
    .await?;
    transaction.commit().await?;
    registry.catch_up().await?;
    Ok(())
}

/// Who holds `secret`: a look into memory, else one indexed read.
pub async fn authenticate(registry: &Registry, secret: &str) -> Result<Actor, StorageError> {
    let fingerprint = Fingerprint::of(secret);
    let found = match registry.memory.tokens.get(&fingerprint) {
        Some(remembered) => Some(remembered),
        None => load(registry, fingerprint).await?,
    };
    let now = registry.now();
    Ok(found.map_or(Actor::Refused, |token| used(registry, &token, now)))
}

/// The answer of [`authenticate`] at the moment `now`, if memory has it.
pub fn remembered(registry: &Registry, token: &Fingerprint, now: Millis) -> Option<Actor> {
    let token = registry.memory.tokens.get(token)?;
    Some(used(registry, &token, now))
}

/// The actor that a token is at this moment.
fn used(registry: &Registry, token: &KnownToken, now: Millis) -> Actor {
    let actor = &token.actor;
    if actor.expires_at.is_some_and(|expires_at| expires_at <= now) {
        return Actor::Refused;
    }
    let second = now / SECOND;
    if token.noted.load(Ordering::Relaxed) != second {
        token.noted.store(second, Ordering::Relaxed);
        statistics::record_use(registry, actor.id, now);
    }
    Actor::Token(actor.clone())
}

async fn load(
    registry: &Registry,
    fingerprint: Fingerprint,
) -> Result<Option<Arc<KnownToken>>, StorageError> {
    let point = registry.memory.point();
    let mut connection = registry.database().read().await?;
    let Some(row) = rows::find_by_hash(&mut connection, &fingerprint.0).await? else {
        return Ok(None);
    };
    let actor = TokenActor {
        id: row.id,
        organization_id: row.organization_id,
        access: row.access.parse().unwrap_or(TokenAccess::Read),
        expires_at: row.expires_at,
    };
    let known = Arc::new(KnownToken {
        actor,
        noted: AtomicI64::new(0),
    });
    if let Some(organization) =
        organizations::find_by_id(&mut connection, row.organization_id).await?
    {
        registry.memory.note_slug(&organization);
    }
    registry.memory.remember(point, |memory| {
        memory.tokens.insert(fingerprint, Arc::clone(&known));
    });
    Ok(Some(known))
}

/// Private Packagist's prefixes of organization tokens.
fn prefix(access: TokenAccess) -> &'static str {
    match access {
        TokenAccess::Read => "packagist_ort_",
        TokenAccess::Update => "packagist_out_",
    }
}

/// Private Packagist's format: prefix, random part, and the CRC-32 of both as eight hexadecimal digits.
pub(crate) fn with_checksum(prefix: &str, random: &str) -> String {
    let checksum = crc32fast::hash(format!("{prefix}{random}").as_bytes());
    format!("{prefix}{random}{checksum:08x}")
}

impl Fingerprint {
    /// That of a token's text.
    pub fn of(secret: &str) -> Self {
        Self(Sha256::digest(secret.as_bytes()).into())
    }
}

impl Created {
    /// The token's text, to be shown once.
    pub fn reveal(&self) -> &str {
        self.secret.expose_secret()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_ends_in_the_checksum_of_what_precedes_it() {
        let token = with_checksum("packagist_ort_", &"0".repeat(60));
        assert_eq!(token.len(), "packagist_ort_".len() + 60 + 8);
        let (body, checksum) = token.split_at(token.len() - 8);
        assert_eq!(
            format!("{:08x}", crc32fast::hash(body.as_bytes())),
            checksum
        );
    }
}
