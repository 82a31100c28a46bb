//! The Private Packagist API: signed requests, JSON answers.

mod authenticate;
mod jobs;
mod packages;
mod page;
pub(crate) mod target;

use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::routing::{any, get};

use crate::error::ApiError;
use crate::state::AppState;
pub(crate) use authenticate::Authenticated;

/// Every route, as [`target`] has its path.
pub(crate) fn routes(state: &AppState) -> Router<AppState> {
    Router::new()
        .route("/api/jobs/{job}", get(jobs::show))
        .route("/api/packages", get(packages::list))
        .route("/api/packages/{package}", get(packages::show))
        .route("/api", any(missing))
        .route("/api/{*path}", any(missing))
        .method_not_allowed_fallback(missing)
        .layer(from_fn_with_state(
            state.clone(),
            authenticate::authenticate,
        ))
}

/// The service's own words.
async fn missing() -> ApiError {
    ApiError::Missing("No endpoint found".to_owned())
}
