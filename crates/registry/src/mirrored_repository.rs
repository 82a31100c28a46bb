//! Mirrored repositories: Composer repositories of others. They are kept and shown; mirroring itself comes later.

use kapelle_storage::StorageError;
use kapelle_storage::db::credentials;
use kapelle_storage::db::mirrored_repositories::{self as rows, MirroredRepository as Row};
use serde_json::json;
use url::Url;

use crate::access::{self, Denied};
use crate::actor::Actor;
use crate::audit;
use crate::registry::Registry;

/// When packages are mirrored. Source: only the first is in the service's documents; the others are its levels, named alike.
const BEHAVIORS: [&str; 4] = ["add_on_use", "add_by_name", "add_by_admin", "disabled"];
/// Longest name and URL, in bytes.
const NAME: usize = 255;
/// As above.
const URL: usize = 2_048;

/// Why a mirrored repository could not be kept.
#[derive(Debug, thiserror::Error)]
pub enum MirroredRepositoryError {
    /// Not allowed.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// There is none of that id.
    #[error("there is no mirrored repository {0}")]
    Unknown(i64),
    /// Something in it is wrong.
    #[error("{0}")]
    Invalid(String),
    /// The database failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// What a mirrored repository is made of.
#[derive(Clone, Debug)]
pub struct New {
    /// For people.
    pub name: String,
    /// Where it is.
    pub url: String,
    /// `add_on_use`, `add_by_name`, `add_by_admin` or `disabled`.
    pub behavior: String,
    /// The credential for it.
    pub credential_id: Option<i64>,
}

/// The organization's mirrored repositories, oldest first.
pub async fn list(
    registry: &Registry,
    actor: &Actor,
    organization_id: i64,
) -> Result<Vec<Row>, MirroredRepositoryError> {
    access::inspect(actor, organization_id)?;
    Ok(rows::list(&mut registry.database().read().await?, organization_id).await?)
}

/// One of them.
pub async fn find(
    registry: &Registry,
    actor: &Actor,
    organization_id: i64,
    id: i64,
) -> Result<Row, MirroredRepositoryError> {
    access::inspect(actor, organization_id)?;
    let found = rows::find(&mut registry.database().read().await?, organization_id, id).await?;
    found.ok_or(MirroredRepositoryError::Unknown(id))
}

/// Writes a new one, or, with an id, changes that one.
pub async fn put(
    registry: &Registry,
    actor: &Actor,
    organization_id: i64,
    id: Option<i64>,
    new: &New,
) -> Result<Row, MirroredRepositoryError> {
    access::administer(actor, organization_id)?;
    let url = check(new)?;
    let mut row = Row {
        id: id.unwrap_or_default(),
        organization_id,
        name: new.name.trim().to_owned(),
        url,
        behavior: new.behavior.clone(),
        credential_id: new.credential_id,
        created_at: registry.now(),
    };
    let mut transaction = registry.database().write().await?;
    if let Some(credential) = new.credential_id
        && credentials::lock(&mut transaction, organization_id, credential)
            .await?
            .is_none()
    {
        let sentence = format!("credentials: there is no credential {credential}");
        return Err(MirroredRepositoryError::Invalid(sentence));
    }
    let others = rows::list(&mut transaction, organization_id).await?;
    let mut others = others.iter().filter(|other| Some(other.id) != id);
    if let Some(twin) = others.find(|other| other.url == row.url) {
        return Err(MirroredRepositoryError::Invalid(format!(
            "url: {} is mirrored already, as {}",
            row.url, twin.id
        )));
    }
    let action = match id {
        None => {
            row.id = rows::insert(&mut transaction, &row).await.map_err(twice)?;
            "mirrored_repository.add"
        }
        Some(id) => {
            let stored = rows::find(&mut transaction, organization_id, id).await?;
            let stored = stored.ok_or(MirroredRepositoryError::Unknown(id))?;
            row.created_at = stored.created_at;
            rows::update(&mut transaction, &row).await.map_err(twice)?;
            "mirrored_repository.edit"
        }
    };
    let entry = audit::Entry {
        organization_id: Some(organization_id),
        action,
        subject: &row.id.to_string(),
        detail: json!({ "url": row.url, "behavior": row.behavior }),
    };
    audit::record(registry, &mut transaction, actor, entry).await?;
    transaction.commit().await?;
    Ok(row)
}

/// Somebody else was faster by a moment.
fn twice(error: StorageError) -> MirroredRepositoryError {
    match error {
        StorageError::Duplicate { .. } => {
            MirroredRepositoryError::Invalid("url: it is mirrored already".to_owned())
        }
        other => other.into(),
    }
}

/// Forgets one.
pub async fn remove(
    registry: &Registry,
    actor: &Actor,
    organization_id: i64,
    id: i64,
) -> Result<(), MirroredRepositoryError> {
    access::administer(actor, organization_id)?;
    let mut transaction = registry.database().write().await?;
    if !rows::delete(&mut transaction, organization_id, id).await? {
        return Err(MirroredRepositoryError::Unknown(id));
    }
    let entry = audit::Entry {
        organization_id: Some(organization_id),
        action: "mirrored_repository.remove",
        subject: &id.to_string(),
        detail: json!({}),
    };
    audit::record(registry, &mut transaction, actor, entry).await?;
    Ok(transaction.commit().await?)
}

/// The URL as it is kept.
fn check(new: &New) -> Result<String, MirroredRepositoryError> {
    let invalid = |sentence: String| Err(MirroredRepositoryError::Invalid(sentence));
    let name = new.name.trim();
    if name.is_empty() || name.len() > NAME || name.chars().any(char::is_control) {
        return invalid(format!(
            "name: it has from 1 to {NAME} bytes, without control characters"
        ));
    }
    if !BEHAVIORS.contains(&new.behavior.as_str()) {
        return invalid(format!(
            "mirroringBehavior: it is one of {}",
            BEHAVIORS.join(", ")
        ));
    }
    let url = Url::parse(&new.url).ok();
    let url = url.filter(|url| {
        new.url.len() <= URL && url.has_host() && matches!(url.scheme(), "http" | "https")
    });
    let Some(url) = url else {
        return invalid("url: it is an address with http or https".to_owned());
    };
    if !url.username().is_empty() || url.password().is_some() {
        return invalid("url: it has a user or password: choose a credential instead".to_owned());
    }
    Ok(url.to_string())
}
