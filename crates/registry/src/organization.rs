//! Organizations: whose packages, tokens and credentials they are.

use std::sync::Arc;

use kapelle_storage::StorageError;
use kapelle_storage::db::organizations::{self as rows, Organization};
use kapelle_storage::db::{changes, teams, users};
use secrecy::SecretString;
use serde_json::json;

use crate::access::{self, Denied};
use crate::actor::{Actor, KeyAccess, TokenAccess};
use crate::api_key::{self, ApiKeyError, NewApiKey};
use crate::audit;
use crate::registry::Registry;
use crate::secrets::SecretsError;
use crate::token::{self, TokenError};

/// Longest slug, in characters.
const SLUG: usize = 64;

/// Why an organization could not be made or used.
#[derive(Debug, thiserror::Error)]
pub enum OrganizationError {
    /// Not allowed.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// There is none of that name.
    #[error("there is no organization {0:?}: make it with `kapelle setup --organization {0}`")]
    Unknown(String),
    /// The name cannot be part of a URL.
    #[error(
        "{0:?} cannot be the name of an organization: use 1 to 64 lower-case letters, digits and single hyphens, \
         starting with a letter"
    )]
    Name(String),
    /// The e-mail address is none.
    #[error("{0:?} is not an e-mail address")]
    Email(String),
    /// The first token could not be made.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// The first API key could not be made.
    #[error(transparent)]
    ApiKey(#[from] ApiKeyError),
    /// A secret could not be read.
    #[error(transparent)]
    Secrets(#[from] SecretsError),
    /// The database failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// What a new organization needs to be told, once.
#[derive(Debug)]
pub struct Setup {
    /// The organization.
    pub organization: Organization,
    /// Key of the management API.
    pub api_key: String,
    /// Its secret; it is not shown again.
    pub api_secret: SecretString,
    /// A Composer token with update access; it is not shown again.
    pub composer_token: SecretString,
}

/// Makes an organization where there is none, with an API key and a Composer token; run again for an existing one
/// it adds another key and token. `email` becomes a member of the team "Owners".
pub async fn setup(
    registry: &Registry,
    actor: &Actor,
    name: &str,
    email: Option<&str>,
) -> Result<Setup, OrganizationError> {
    access::administer(actor, 0)?;
    check_slug(name)?;
    let email = email.map(check_email).transpose()?;
    let now = registry.now();
    let mut transaction = registry.database().write().await?;
    let organization = if let Some(existing) = rows::find_by_slug(&mut transaction, name).await? {
        existing
    } else {
        let secret: SecretString = registry.parts.random.hex::<32>().into();
        let sealed = registry
            .parts
            .secrets
            .seal(&hook_secret_place(name), &secret)?;
        let id = rows::insert(&mut transaction, name, name, &sealed, now).await?;
        let created = Organization {
            id,
            slug: name.to_owned(),
            name: name.to_owned(),
            hook_secret: sealed.into(),
            created_at: now,
        };
        audit::record(
            registry,
            &mut transaction,
            actor,
            audit::Entry {
                organization_id: Some(created.id),
                action: "organization.create",
                subject: name,
                detail: json!({}),
            },
        )
        .await?;
        created
    };
    if let Some(email) = &email {
        let user = users::upsert(&mut transaction, email, now).await?;
        let team = teams::upsert(&mut transaction, organization.id, "Owners", now).await?;
        teams::add_member(&mut transaction, team, user, now).await?;
    }
    let key = NewApiKey {
        organization_id: organization.id,
        description: "setup",
        access: KeyAccess::Admin,
    };
    let key = api_key::insert(registry, &mut transaction, actor, key).await?;
    let composer_token = token::insert(
        registry,
        &mut transaction,
        actor,
        &token::NewToken {
            organization_id: organization.id,
            description: "setup".to_owned(),
            access: TokenAccess::Update,
            expires_at: None,
        },
    )
    .await?
    .secret;
    let id = organization.id;
    changes::append(&mut transaction, now, id, "organization", "update", name).await?;
    transaction.commit().await?;
    registry.catch_up().await?;
    Ok(Setup {
        organization,
        api_key: key.key,
        api_secret: key.secret,
        composer_token,
    })
}

/// The organization of that slug if `actor` may read anything of it. Who may not learns nothing about which exist.
pub async fn visible(
    registry: &Registry,
    actor: &Actor,
    slug: &str,
) -> Result<Arc<Organization>, VisibleError> {
    match (actor, find(registry, slug).await?) {
        (_, Some(organization)) => {
            access::read(actor, organization.id)?;
            Ok(organization)
        }
        (actor, None) => {
            access::read(actor, 0)?;
            Err(VisibleError::Denied(Denied::Hidden))
        }
    }
}

/// Why an organization is not to be seen.
#[derive(Debug, thiserror::Error)]
pub enum VisibleError {
    /// Not allowed, or not there.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// The database failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl From<VisibleError> for crate::document::DocumentError {
    fn from(error: VisibleError) -> Self {
        match error {
            VisibleError::Denied(denied) => Self::Denied(denied),
            VisibleError::Storage(error) => Self::Storage(error),
        }
    }
}

/// The organization of that slug, from memory where possible.
pub(crate) async fn find(
    registry: &Registry,
    slug: &str,
) -> Result<Option<Arc<Organization>>, StorageError> {
    if let Some(remembered) = registry.memory.organizations.get(slug) {
        return Ok(Some(remembered));
    }
    if check_slug(slug).is_err() {
        return Ok(None);
    }
    let point = registry.memory.point();
    let row = rows::find_by_slug(&mut registry.database().read().await?, slug).await?;
    let Some(organization) = row.map(Arc::new) else {
        return Ok(None);
    };
    registry.memory.note_slug(&organization);
    registry.memory.remember(point, |memory| {
        memory
            .organizations
            .insert(slug.into(), Arc::clone(&organization));
    });
    Ok(Some(organization))
}

/// The organization that the command line names.
pub async fn named(
    registry: &Registry,
    actor: &Actor,
    slug: &str,
) -> Result<Arc<Organization>, OrganizationError> {
    let organization = find(registry, slug).await?;
    let organization = organization.ok_or_else(|| OrganizationError::Unknown(slug.to_owned()))?;
    access::read(actor, organization.id)?;
    Ok(organization)
}

/// All organizations, for the operator.
pub async fn list(
    registry: &Registry,
    actor: &Actor,
) -> Result<Vec<Organization>, OrganizationError> {
    access::administer(actor, 0)?;
    Ok(rows::list(&mut registry.database().read().await?).await?)
}

/// The secret that signs change hooks of an organization.
pub fn hook_secret(
    registry: &Registry,
    organization: &Organization,
) -> Result<SecretString, SecretsError> {
    registry.parts.secrets.open(
        &hook_secret_place(&organization.slug),
        &organization.hook_secret,
    )
}

/// Replaces the secret that signs change hooks; the old one is refused from now on, by every process within a second.
pub async fn rotate_hook_secret(
    registry: &Registry,
    actor: &Actor,
    organization: &Organization,
) -> Result<SecretString, OrganizationError> {
    let (id, slug) = (organization.id, organization.slug.as_str());
    access::administer(actor, id)?;
    let secret: SecretString = registry.parts.random.hex::<32>().into();
    let place = hook_secret_place(slug);
    let sealed = registry.parts.secrets.seal(&place, &secret)?;
    let mut transaction = registry.database().write().await?;
    rows::replace_secret(&mut transaction, id, &sealed).await?;
    let entry = audit::Entry {
        organization_id: Some(id),
        action: "hook.rotate",
        subject: slug,
        detail: json!({}),
    };
    audit::record(registry, &mut transaction, actor, entry).await?;
    let now = registry.now();
    changes::append(&mut transaction, now, id, "organization", "update", slug).await?;
    transaction.commit().await?;
    registry.catch_up().await?;
    Ok(secret)
}

pub(crate) fn hook_secret_place(slug: &str) -> String {
    format!("organizations/hook_secret/{slug}")
}

fn check_slug(name: &str) -> Result<(), OrganizationError> {
    let plain = name
        .bytes()
        .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
    let starts_well = name
        .bytes()
        .next()
        .is_some_and(|byte| byte.is_ascii_lowercase());
    if plain && starts_well && name.len() <= SLUG && !name.contains("--") && !name.ends_with('-') {
        Ok(())
    } else {
        Err(OrganizationError::Name(name.to_owned()))
    }
}

fn check_email(email: &str) -> Result<String, OrganizationError> {
    let lower = email.trim().to_lowercase();
    let parts = lower
        .split_once('@')
        .filter(|(user, host)| !user.is_empty() && host.contains('.'));
    let printable = lower.chars().all(|character| character.is_ascii_graphic());
    if parts.is_some() && printable && lower.len() <= 254 {
        Ok(lower)
    } else {
        Err(OrganizationError::Email(email.to_owned()))
    }
}
