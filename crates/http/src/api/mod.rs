//! The Private Packagist API: signed requests, JSON answers.

mod artifacts;
mod authenticate;
mod body;
mod credentials;
mod jobs;
mod mirrored_repositories;
mod organization;
mod packages;
mod page;
mod security_issues;
mod synchronizations;
pub(crate) mod target;
mod upload;

use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::routing::{any, get, post};

use crate::error::ApiError;
use crate::state::AppState;
pub(crate) use authenticate::Authenticated;
pub(crate) use upload::UnderWay;

/// Every route, as [`target`] has its path.
pub(crate) fn routes(state: &AppState) -> Router<AppState> {
    Router::new()
        .route(
            "/api/credentials",
            get(credentials::list).post(credentials::create),
        )
        .route(
            "/api/credentials/{credential}",
            get(credentials::show)
                .put(credentials::edit)
                .delete(credentials::delete),
        )
        .route("/api/jobs/{job}", get(jobs::show))
        .route(
            "/api/mirrored-repositories",
            get(mirrored_repositories::list).post(mirrored_repositories::create),
        )
        .route(
            "/api/mirrored-repositories/{repository}",
            get(mirrored_repositories::show)
                .put(mirrored_repositories::edit)
                .delete(mirrored_repositories::delete),
        )
        .route(
            "/api/mirrored-repositories/{repository}/packages",
            get(mirrored_repositories::packages)
                .post(mirrored_repositories::add_packages)
                .delete(mirrored_repositories::delete_packages),
        )
        .route("/api/organization/sync", post(organization::sync))
        .route("/api/packages", get(packages::list).post(packages::create))
        .route("/api/packages/artifacts", post(artifacts::create))
        .route("/api/packages/artifacts/{artifact}", get(artifacts::show))
        .route(
            "/api/packages/{package}",
            get(packages::show)
                .put(packages::edit)
                .delete(packages::delete),
        )
        .route(
            "/api/packages/{package}/artifacts",
            get(artifacts::list).post(artifacts::add),
        )
        .route(
            "/api/packages/{package}/customers",
            get(packages::customers),
        )
        .route(
            "/api/packages/{package}/dependents",
            get(packages::dependents),
        )
        .route(
            "/api/packages/{package}/security-issues",
            get(security_issues::of_package),
        )
        .route(
            "/api/packages/{package}/security-monitoring",
            get(packages::monitoring).put(packages::monitor),
        )
        .route("/api/security-issues", get(security_issues::list))
        .route("/api/security-issues/{issue}", get(security_issues::show))
        .route(
            "/api/security-issues/{issue}/open",
            post(security_issues::open),
        )
        .route(
            "/api/security-issues/{issue}/close/{state}",
            post(security_issues::close),
        )
        .route("/api/synchronizations", get(synchronizations::list))
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
