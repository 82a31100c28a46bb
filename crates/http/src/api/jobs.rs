//! `/api/jobs/…`: how work in the background fares.

use axum::Json;
use axum::extract::State;
use kapelle_registry::jobs::{self, ShowError};
use kapelle_registry::package;
use packagist_api::{Job, JobLinks, PackageRef};

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
    let (registry, actor) = (state.registry(), caller.actor());
    let row = match jobs::show(registry, &actor, number).await {
        Err(ShowError::Unknown(_) | ShowError::Denied(_)) => return Err(unknown()),
        found => found?,
    };
    let about = match row.package_id {
        Some(id) => {
            let organization = caller.key.organization_id;
            package::named(registry, &actor, organization, id).await?
        }
        None => None,
    };
    let package = about.map(|(id, name)| PackageRef { id, name });
    Ok(Json(Job {
        status: status(&row.state).to_owned(),
        message: row.message,
        package,
        ..queued(row.id)
    }))
}

/// A job that was queued just now.
pub(super) fn queued(id: i64) -> Job {
    Job {
        id: id.to_string(),
        status: "queued".to_owned(),
        message: String::new(),
        package: None,
        links: JobLinks {
            own: format!("/api/jobs/{id}"),
        },
    }
}

/// A client waits until it reads `success` or `error`.
fn status(state: &str) -> &str {
    match state {
        "cancelled" => "error",
        other => other,
    }
}
