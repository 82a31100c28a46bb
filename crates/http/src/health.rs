//! `/healthz` and `/readyz`: whether the process lives, and whether it should be sent requests.

use std::borrow::Cow;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use kapelle_registry::feed::Freshness;
use serde::Serialize;

use crate::state::AppState;

/// How long a probe waits for the database: whoever asks has a limit of its own, often of one second or a few.
const PATIENCE: Duration = Duration::from_secs(2);

/// What a probe is told.
#[derive(Debug, Serialize)]
pub(crate) struct Health {
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<Cow<'static, str>>,
}

/// The process answers.
pub(crate) async fn healthz() -> Json<Health> {
    Json(Health {
        status: "ok",
        reason: None,
    })
}

/// The process knows its database and what others changed there, and has room: 200, or 503 with the reason.
pub(crate) async fn readyz(State(state): State<AppState>) -> (StatusCode, Json<Health>) {
    let registry = state.registry();
    let answered = tokio::time::timeout(PATIENCE, registry.ping()).await;
    let reason = match (registry.freshness(), answered) {
        (Freshness::Confirmed, Ok(Ok(()))) => {
            let shortage = registry.disk().shortage();
            shortage.map(|shortage| Cow::from(shortage.to_string()))
        }
        (_, Err(_)) => {
            tracing::warn!("not ready: the database did not answer in time");
            Some("the database does not answer".into())
        }
        (_, Ok(Err(error))) => {
            tracing::warn!(%error, "not ready: the database does not answer");
            Some("the database does not answer".into())
        }
        (Freshness::Unready | Freshness::Stale, Ok(Ok(()))) => {
            Some("changes of other processes were not confirmed lately".into())
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
