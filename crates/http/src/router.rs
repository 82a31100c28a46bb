//! Every route: the path, the file and the function echo each other.

use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::routing::{get, post};
use metrics_exporter_prometheus::PrometheusHandle;

use crate::error::ApiError;
use crate::state::AppState;
use crate::{api, composer, health, hooks, landing, metrics, observe};

/// An organization's root document.
pub(crate) const ROOT_ROUTE: &str = "/repo/{org}/packages.json";
/// A package's documents.
pub(crate) const P2_ROUTE: &str = "/repo/{org}/p2/{vendor}/{file}";

/// Every route of the public listener.
pub(crate) fn router(state: AppState) -> Router {
    Router::new()
        .route("/", get(landing::show))
        .route("/healthz", get(health::healthz))
        .route("/readyz", get(health::readyz))
        .route("/metrics", get(metrics::show))
        .merge(composer_routes())
        .merge(hook_routes())
        .merge(api::routes(&state))
        .fallback(async || ApiError::NotFound)
        .method_not_allowed_fallback(async || ApiError::Method)
        .layer(from_fn_with_state(state.clone(), observe::observe))
        .with_state(state)
}

/// `/metrics` alone, without a token: for a listener that only the monitoring reaches.
pub fn metrics_router(handle: PrometheusHandle) -> Router {
    Router::new().route("/metrics", get(async move || metrics::text(&handle)))
}

fn composer_routes() -> Router<AppState> {
    Router::new()
        .route("/repo/{org}", get(composer::index::show))
        .route("/repo/{org}/", get(composer::index::show))
        .route(ROOT_ROUTE, get(composer::root::show))
        .route(
            "/repo/{org}/packages/packages.json",
            get(composer::root::show),
        )
        .route(P2_ROUTE, get(composer::p2::show))
        .route(
            "/repo/{org}/dists/{vendor}/{project}/{file}",
            get(composer::dists::show),
        )
        .route("/repo/{org}/search.json", get(composer::search::list))
        .route(
            "/repo/{org}/packages/list.json",
            get(composer::packages::list),
        )
        .route(
            "/repo/{org}/providers/{*file}",
            get(composer::providers::list),
        )
        .route("/repo/{org}/downloads", post(composer::downloads::create))
        .route(
            "/repo/{org}/metadata/changes.json",
            get(composer::changes::list),
        )
        .route(
            "/repo/{org}/security-advisories",
            get(composer::security_advisories::list).post(composer::security_advisories::list),
        )
        .route(
            "/repo/{org}/{*path}",
            get(composer::index::missing).post(composer::index::missing),
        )
}

fn hook_routes() -> Router<AppState> {
    Router::new()
        .route("/api/update-package", post(hooks::update_package::create))
        .route("/api/github", post(hooks::update_package::create))
        .route("/api/bitbucket", post(hooks::update_package::create))
        .route("/hooks/{provider}/{org}", post(hooks::provider::create))
}
