//! `/api/jobs/…`: how work in the background fares.

use axum::Json;
use axum::extract::State;
use kapelle_registry::jobs::{self, ShowError};
use packagist_api::Job;

use super::Authenticated;
use crate::error::ApiError;
use crate::extract::Segments;
use crate::state::AppState;

/// One job.
pub(crate) async fn show(
    State(state): State<AppState>,
    caller: Authenticated,
    Segments(id): Segments<String>,
) -> Result<Json<Job>, ApiError> {
    let unknown = || ApiError::Missing(format!("there is no job {id:?}"));
    let number = id.parse().map_err(|_| unknown())?;
    let row = match jobs::show(state.registry(), &caller.actor(), number).await {
        Err(ShowError::Unknown(_) | ShowError::Denied(_)) => return Err(unknown()),
        found => found?,
    };
    Ok(Json(Job {
        id: row.id.to_string(),
        status: status(&row.state).to_owned(),
        message: row.message,
    }))
}

/// A client waits until it reads `success` or `error`.
fn status(state: &str) -> &str {
    match state {
        "cancelled" => "error",
        other => other,
    }
}
