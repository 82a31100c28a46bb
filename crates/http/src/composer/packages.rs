//! `packages/list.json`: the names of all packages, for `search -N`, `show -a` and completion.

use axum::Json;
use axum::extract::State;
use kapelle_registry::search;
use serde::Serialize;

use crate::error::ApiError;
use crate::extract::{Organization, Parameters};
use crate::state::AppState;

/// The key is there even when nothing matches: Composer fails without it.
#[derive(Debug, Serialize)]
pub(crate) struct List {
    #[serde(rename = "packageNames")]
    package_names: Vec<String>,
}

/// All names, or those that `filter` (a glob) and `vendor` leave.
pub(crate) async fn list(
    State(state): State<AppState>,
    Organization { actor, row }: Organization,
    parameters: Parameters,
) -> Result<Json<List>, ApiError> {
    let (vendor, filter) = (parameters.get("vendor"), parameters.get("filter"));
    let package_names = search::list(state.registry(), &actor, row.id, vendor, filter).await?;
    Ok(Json(List { package_names }))
}
