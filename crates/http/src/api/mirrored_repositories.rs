//! `/api/mirrored-repositories/…`: kept and shown. Nothing is mirrored yet, and who asks for that is told so.

use axum::Json;
use axum::extract::State;
use axum::response::Response;
use kapelle_registry::jobs::{self, MirrorPackage};
use kapelle_registry::mirrored_repository::{self, New};
use kapelle_storage::db::mirrored_repositories::MirroredRepository as Row;
use packagist_api::{Job, MirroredRepository, MirroredRepositoryRequest, Package};

use super::Authenticated;
use super::body::{List, Object};
use super::page::Page;
use crate::error::ApiError;
use crate::extract::Segments;
use crate::state::AppState;

/// Packages that may be asked for at once.
const PACKAGES: usize = 500;

/// The organization's mirrored repositories, oldest first.
pub(crate) async fn list(
    State(state): State<AppState>,
    caller: Authenticated,
) -> Result<Response, ApiError> {
    let page = Page::of(&caller.query)?;
    let organization = caller.key.organization_id;
    let rows = mirrored_repository::list(state.registry(), &caller.actor(), organization).await?;
    let shown: Vec<MirroredRepository> = rows.into_iter().map(shown).collect();
    Ok(page.part(&shown, &state, "/api/mirrored-repositories/", &caller.query))
}

/// One of them.
pub(crate) async fn show(
    State(state): State<AppState>,
    caller: Authenticated,
    Segments(id): Segments<String>,
) -> Result<Json<MirroredRepository>, ApiError> {
    Ok(Json(shown(find(&state, &caller, &id).await?)))
}

/// Adds one.
pub(crate) async fn create(
    State(state): State<AppState>,
    caller: Authenticated,
    Object(new): Object<MirroredRepositoryRequest>,
) -> Result<Json<MirroredRepository>, ApiError> {
    put(&state, &caller, None, new).await
}

/// Changes one.
pub(crate) async fn edit(
    State(state): State<AppState>,
    caller: Authenticated,
    Segments(id): Segments<String>,
    Object(new): Object<MirroredRepositoryRequest>,
) -> Result<Json<MirroredRepository>, ApiError> {
    let found = find(&state, &caller, &id).await?;
    put(&state, &caller, Some(found.id), new).await
}

/// Forgets one.
pub(crate) async fn delete(
    State(state): State<AppState>,
    caller: Authenticated,
    Segments(id): Segments<String>,
) -> Result<Json<[(); 0]>, ApiError> {
    let found = find(&state, &caller, &id).await?;
    let organization = caller.key.organization_id;
    let actor = caller.actor();
    mirrored_repository::remove(state.registry(), &actor, organization, found.id).await?;
    Ok(Json([]))
}

/// The packages that come from one: none yet.
pub(crate) async fn packages(
    State(state): State<AppState>,
    caller: Authenticated,
    Segments(id): Segments<String>,
) -> Result<Response, ApiError> {
    let page = Page::of(&caller.query)?;
    let found = find(&state, &caller, &id).await?;
    let path = format!("/api/mirrored-repositories/{}/packages/", found.id);
    let none: &[Package] = &[];
    Ok(page.part(none, &state, &path, &caller.query))
}

/// Asks for packages to be mirrored: a job for each, which says that this is not possible yet.
pub(crate) async fn add_packages(
    State(state): State<AppState>,
    caller: Authenticated,
    Segments(id): Segments<String>,
    List(names): List<String>,
) -> Result<Json<Vec<Job>>, ApiError> {
    let found = find(&state, &caller, &id).await?;
    if names.len() > PACKAGES {
        return Err(ApiError::BadRequest(format!(
            "{} packages are asked for; at most {PACKAGES} may be at once",
            names.len()
        )));
    }
    let organization = caller.key.organization_id;
    let actor = caller.actor();
    let registry = state.registry();
    let queued = MirrorPackage::queue(registry, &actor, organization, found.id, &names).await;
    let queued = queued.map_err(|error| match error {
        jobs::MirrorError::Name(sentence) => ApiError::BadRequest(sentence),
        jobs::MirrorError::Denied(denied) => denied.into(),
        jobs::MirrorError::Storage(error) => error.into(),
    })?;
    let shown = queued.into_iter().map(super::jobs::queued);
    Ok(Json(shown.collect()))
}

/// Removes all packages that come from one: there are none.
pub(crate) async fn delete_packages(
    State(state): State<AppState>,
    caller: Authenticated,
    Segments(id): Segments<String>,
) -> Result<Json<[(); 0]>, ApiError> {
    find(&state, &caller, &id).await?;
    Ok(Json([]))
}

async fn find(state: &AppState, caller: &Authenticated, id: &str) -> Result<Row, ApiError> {
    let unknown = |_| ApiError::Missing(format!("there is no mirrored repository {id:?}"));
    let id = id.parse().map_err(unknown)?;
    let organization = caller.key.organization_id;
    let actor = caller.actor();
    Ok(mirrored_repository::find(state.registry(), &actor, organization, id).await?)
}

async fn put(
    state: &AppState,
    caller: &Authenticated,
    id: Option<i64>,
    new: MirroredRepositoryRequest,
) -> Result<Json<MirroredRepository>, ApiError> {
    let new = New {
        name: new.name,
        url: new.url,
        behavior: new.mirroring_behavior,
        credential_id: new.credentials,
    };
    let organization = caller.key.organization_id;
    let actor = caller.actor();
    let row = mirrored_repository::put(state.registry(), &actor, organization, id, &new).await?;
    Ok(Json(shown(row)))
}

fn shown(row: Row) -> MirroredRepository {
    MirroredRepository {
        id: row.id,
        name: row.name,
        url: row.url,
        mirroring_behavior: row.behavior,
        credentials: row.credential_id,
    }
}
