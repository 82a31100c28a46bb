//! `/healthz` and `/readyz`: whether the process lives, and whether it should be sent requests.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use kapelle_registry::feed::Freshness;
use serde::Serialize;

use crate::state::AppState;

/// What a probe is told.
#[derive(Debug, Serialize)]
pub(crate) struct Health {
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
}

/// The process answers.
pub(crate) async fn healthz() -> Json<Health> {
    Json(Health {
        status: "ok",
        reason: None,
    })
}

/// The process knows its database and what others changed there: 200, or 503 with the reason.
pub(crate) async fn readyz(State(state): State<AppState>) -> (StatusCode, Json<Health>) {
    let registry = state.registry();
    let reason = match (registry.freshness(), registry.ping().await) {
        (Freshness::Confirmed, Ok(())) => None,
        (_, Err(error)) => {
            tracing::warn!(%error, "not ready: the database does not answer");
            Some("the database does not answer")
        }
        (Freshness::Unready | Freshness::Stale, Ok(())) => {
            Some("changes of other processes were not confirmed lately")
        }
    };
    match reason {
        None => (
            StatusCode::OK,
            Json(Health {
                status: "ready",
                reason,
            }),
        ),
        Some(_) => (
            StatusCode::SERVICE_UNAVAILABLE,
            Json(Health {
                status: "unready",
                reason,
            }),
        ),
    }
}
