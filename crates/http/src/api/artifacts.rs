//! `/api/packages/artifacts/…` and `/api/packages/{package}/artifacts/`: archives that are uploaded.

use axum::Json;
use axum::extract::State;
use axum::response::Response;
use kapelle_registry::artifact;
use kapelle_registry::clock::rfc3339;
use kapelle_storage::db::artifacts::Artifact as Row;
use packagist_api::{Artifact, ArtifactDetail, PackageArtifact};

use super::Authenticated;
use super::packages::find;
use super::page::Page;
use super::upload::Archive;
use crate::error::ApiError;
use crate::extract::Segments;
use crate::state::AppState;

/// Keeps an artifact for a package that is still to be made.
pub(crate) async fn create(
    State(state): State<AppState>,
    caller: Authenticated,
    Archive {
        upload,
        file_name,
        turn: _turn,
    }: Archive,
) -> Result<Json<Artifact>, ApiError> {
    let organization = caller.key.organization_id;
    let actor = caller.actor();
    let registry = state.registry();
    let kept = artifact::keep(registry, &actor, organization, upload, &file_name, None).await?;
    Ok(Json(Artifact { id: kept.id }))
}

/// Keeps an artifact as a version of a package, which is published at once.
pub(crate) async fn add(
    State(state): State<AppState>,
    caller: Authenticated,
    Segments(named): Segments<String>,
    archive: Result<Archive, ApiError>,
) -> Result<Json<Artifact>, ApiError> {
    // Clients make a package where there is none: they have to be told that first.
    let package = find(&state, &caller, &named).await?;
    let Archive {
        upload,
        file_name,
        turn: _turn,
    } = archive?;
    if package.kind != "artifact" {
        return Err(ApiError::BadRequest(format!(
            "{named} is no package of artifacts: its versions come from elsewhere"
        )));
    }
    let organization = caller.key.organization_id;
    let actor = caller.actor();
    let kept = artifact::keep(
        state.registry(),
        &actor,
        organization,
        upload,
        &file_name,
        Some(&package),
    )
    .await?;
    Ok(Json(Artifact { id: kept.id }))
}

/// One artifact, and those beside it.
pub(crate) async fn show(
    State(state): State<AppState>,
    caller: Authenticated,
    Segments(id): Segments<String>,
) -> Result<Json<ArtifactDetail>, ApiError> {
    let unknown = || ApiError::Missing(format!("there is no artifact {id:?}"));
    let number: i64 = id.parse().map_err(|_| unknown())?;
    let (registry, actor) = (state.registry(), caller.actor());
    let organization = caller.key.organization_id;
    let found = artifact::find(registry, &actor, organization, number).await;
    let found = match found {
        Err(artifact::ArtifactError::Unknown(_)) => return Err(unknown()),
        found => found?,
    };
    let beside = artifact::beside(registry, &actor, &found).await?;
    Ok(Json(ArtifactDetail {
        id: found.id,
        repo_type: "artifact".to_owned(),
        artifact_package_file_ids: beside,
    }))
}

/// A package's artifacts, oldest first.
pub(crate) async fn list(
    State(state): State<AppState>,
    caller: Authenticated,
    Segments(named): Segments<String>,
) -> Result<Response, ApiError> {
    let page = Page::of(&caller.query)?;
    let package = find(&state, &caller, &named).await?;
    let rows = artifact::list(state.registry(), &caller.actor(), &package).await?;
    let shown: Vec<PackageArtifact> = rows.into_iter().map(shown).collect();
    let path = format!("/api/packages/{named}/artifacts/");
    Ok(page.part(&shown, &state, &path, &caller.query))
}

fn shown(row: Row) -> PackageArtifact {
    PackageArtifact {
        id: row.id,
        version: row.version,
        file_name: row.file_name,
        created_at: rfc3339(row.created_at),
    }
}
