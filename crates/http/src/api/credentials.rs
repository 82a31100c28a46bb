//! `/api/credentials/…`: how this server reaches others. No secret ever leaves it.

use axum::Json;
use axum::extract::State;
use axum::response::Response;
use kapelle_registry::credential::{self, Edit};
use kapelle_storage::db::credentials::Credential as Row;
use packagist_api::{Credential, CredentialChange, NewCredential};

use super::Authenticated;
use super::body::Object;
use super::page::Page;
use crate::error::ApiError;
use crate::extract::Segments;
use crate::state::AppState;

/// The organization's credentials, oldest first.
pub(crate) async fn list(
    State(state): State<AppState>,
    caller: Authenticated,
) -> Result<Response, ApiError> {
    let page = Page::of(&caller.query)?;
    let organization = caller.key.organization_id;
    let rows = credential::list(state.registry(), &caller.actor(), organization).await?;
    let shown: Vec<Credential> = rows.into_iter().map(shown).collect();
    Ok(page.part(&shown, &state, "/api/credentials/", &caller.query))
}

/// One credential.
pub(crate) async fn show(
    State(state): State<AppState>,
    caller: Authenticated,
    Segments(id): Segments<String>,
) -> Result<Json<Credential>, ApiError> {
    let organization = caller.key.organization_id;
    let id = number(&id)?;
    let row = credential::find(state.registry(), &caller.actor(), organization, id).await?;
    Ok(Json(shown(row)))
}

/// Keeps a new credential, which is used only where it is chosen.
pub(crate) async fn create(
    State(state): State<AppState>,
    caller: Authenticated,
    Object(new): Object<NewCredential>,
) -> Result<Json<Credential>, ApiError> {
    let organization = caller.key.organization_id;
    let new = credential::NewCredential {
        kind: new.kind.parse()?,
        host: new.domain,
        username: new.username.unwrap_or_default(),
        secret: new.credential.into(),
        description: new.description,
        automatic: false,
    };
    let (registry, actor) = (state.registry(), caller.actor());
    let id = credential::add(registry, &actor, organization, &new).await?;
    let row = credential::find(registry, &actor, organization, id).await?;
    Ok(Json(shown(row)))
}

/// Changes what is sent.
pub(crate) async fn edit(
    State(state): State<AppState>,
    caller: Authenticated,
    Segments(id): Segments<String>,
    Object(change): Object<CredentialChange>,
) -> Result<Json<Credential>, ApiError> {
    let organization = caller.key.organization_id;
    let change = Edit {
        kind: change.kind.map(|kind| kind.parse()).transpose()?,
        username: change.username,
        secret: change.credential.map(Into::into),
    };
    let id = number(&id)?;
    let actor = caller.actor();
    let row = credential::edit(state.registry(), &actor, organization, id, change).await?;
    Ok(Json(shown(row)))
}

/// Forgets a credential that nothing uses.
pub(crate) async fn delete(
    State(state): State<AppState>,
    caller: Authenticated,
    Segments(id): Segments<String>,
) -> Result<Json<[(); 0]>, ApiError> {
    let organization = caller.key.organization_id;
    let id = number(&id)?;
    credential::remove(state.registry(), &caller.actor(), organization, id).await?;
    Ok(Json([]))
}

fn number(id: &str) -> Result<i64, ApiError> {
    id.parse()
        .map_err(|_| ApiError::Missing(format!("there is no credential {id:?}")))
}

fn shown(row: Row) -> Credential {
    Credential {
        id: row.id,
        description: row.description,
        domain: row.host,
        username: row.username,
        credential: String::new(),
        kind: row.kind,
    }
}
