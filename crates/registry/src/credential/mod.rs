//! Credentials: our way to reach others. Encrypted at rest, sent to their own host only.

mod kind;
mod sending;

pub use kind::CredentialKind;
pub(crate) use sending::{for_repository, headers, is_for, is_readable, place};

use kapelle_storage::StorageError;
use kapelle_storage::db::credentials::{self as rows, Credential as Row};
use secrecy::SecretString;
use serde_json::json;

use crate::access::{self, Denied};
use crate::actor::Actor;
use crate::audit;
use crate::registry::Registry;
use crate::secrets::SecretsError;

/// Why a credential could not be kept or removed.
#[derive(Debug, thiserror::Error)]
pub enum CredentialError {
    /// Not allowed.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// No such kind.
    #[error(
        "{0:?} is no type of credential: use http-basic, token, ssh-key, github-oauth, gitlab-token, bitbucket-app-pw, \
         magento or http-header"
    )]
    Kind(String),
    /// The host is not one.
    #[error("{0:?} is not a host: write it as in the repository's URL, with :port if it has one")]
    Host(String),
    /// Something about the text.
    #[error("{0}")]
    Text(&'static str),
    /// There is none of that id here.
    #[error(
        "there is no credential {0} in this organization: `kapelle credential list` shows them"
    )]
    Unknown(i64),
    /// The key file failed.
    #[error(transparent)]
    Secrets(#[from] SecretsError),
    /// A package uses it, or the database failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// What a new credential is made of.
#[derive(Debug)]
pub struct NewCredential {
    /// What kind.
    pub kind: CredentialKind,
    /// The host it is for, with `:port` where the URL has one.
    pub host: String,
    /// The user name; may be empty for tokens and keys.
    pub username: String,
    /// Password, token or private key.
    pub secret: SecretString,
    /// What it is for.
    pub description: String,
    /// Whether it is used for every repository of its host, and not only for packages that name it.
    pub automatic: bool,
}

/// What is changed of a credential; the rest stays.
#[derive(Debug, Default)]
pub struct Edit {
    /// What kind.
    pub kind: Option<CredentialKind>,
    /// The user name.
    pub username: Option<String>,
    /// Password, token or private key.
    pub secret: Option<SecretString>,
}

/// Keeps a credential; gives its id.
pub async fn add(
    registry: &Registry,
    actor: &Actor,
    organization_id: i64,
    new: &NewCredential,
) -> Result<i64, CredentialError> {
    access::administer(actor, organization_id)?;
    let host = new.host.trim().to_lowercase();
    kind::check(new, &host)?;
    let sealed = registry.parts.secrets.seal(
        &place(organization_id, new.kind.as_str(), &host),
        &new.secret,
    )?;
    let row = rows::NewCredential {
        organization_id,
        kind: new.kind.as_str(),
        host: &host,
        username: &new.username,
        secret: &sealed,
        description: &new.description,
        created_at: registry.now(),
        automatic: new.automatic,
    };
    let mut transaction = registry.database().write().await?;
    let id = rows::insert(&mut transaction, row).await?;
    audit::record(
        registry,
        &mut transaction,
        actor,
        audit::Entry {
            organization_id: Some(organization_id),
            action: "credential.add",
            subject: &id.to_string(),
            detail: json!({ "kind": new.kind.as_str(), "host": host }),
        },
    )
    .await?;
    transaction.commit().await?;
    Ok(id)
}

/// Changes what is sent to a credential's host; gives the credential, without its secret.
pub async fn edit(
    registry: &Registry,
    actor: &Actor,
    organization_id: i64,
    id: i64,
    edit: Edit,
) -> Result<Row, CredentialError> {
    access::administer(actor, organization_id)?;
    let mut transaction = registry.database().write().await?;
    let stored = rows::lock(&mut transaction, organization_id, id).await?;
    let stored = stored.ok_or(CredentialError::Unknown(id))?;
    let kind = edit.kind.map_or_else(|| stored.kind.parse(), Ok)?;
    let secret = match edit.secret {
        Some(secret) => secret,
        None => sending::open(registry, &stored)
            .map_err(|_| CredentialError::Text("its secret cannot be read: give it anew"))?,
    };
    let new = NewCredential {
        kind,
        host: stored.host.clone(),
        username: edit.username.unwrap_or_else(|| stored.username.clone()),
        secret,
        description: stored.description.clone(),
        automatic: stored.automatic,
    };
    kind::check(&new, &stored.host)?;
    let place = place(organization_id, kind.as_str(), &stored.host);
    let sealed = registry.parts.secrets.seal(&place, &new.secret)?;
    rows::update(&mut transaction, id, kind.as_str(), &new.username, &sealed).await?;
    audit::record(
        registry,
        &mut transaction,
        actor,
        audit::Entry {
            organization_id: Some(organization_id),
            action: "credential.edit",
            subject: &id.to_string(),
            detail: json!({ "kind": kind.as_str() }),
        },
    )
    .await?;
    let edited = rows::find(&mut transaction, organization_id, id).await?;
    transaction.commit().await?;
    edited.ok_or(CredentialError::Unknown(id))
}

/// The organization's credential, without its secret.
pub async fn find(
    registry: &Registry,
    actor: &Actor,
    organization_id: i64,
    id: i64,
) -> Result<Row, CredentialError> {
    access::inspect(actor, organization_id)?;
    let found = rows::find(&mut registry.database().read().await?, organization_id, id).await?;
    found.ok_or(CredentialError::Unknown(id))
}

/// The organization's credentials, without their secrets.
pub async fn list(
    registry: &Registry,
    actor: &Actor,
    organization_id: i64,
) -> Result<Vec<Row>, CredentialError> {
    access::inspect(actor, organization_id)?;
    Ok(rows::list(&mut registry.database().read().await?, organization_id).await?)
}

/// Forgets a credential that no package uses.
pub async fn remove(
    registry: &Registry,
    actor: &Actor,
    organization_id: i64,
    id: i64,
) -> Result<(), CredentialError> {
    access::administer(actor, organization_id)?;
    let mut transaction = registry.database().write().await?;
    if !rows::delete(&mut transaction, organization_id, id).await? {
        return Err(CredentialError::Unknown(id));
    }
    audit::record(
        registry,
        &mut transaction,
        actor,
        audit::Entry {
            organization_id: Some(organization_id),
            action: "credential.remove",
            subject: &id.to_string(),
            detail: json!({}),
        },
    )
    .await?;
    transaction.commit().await?;
    Ok(())
}
