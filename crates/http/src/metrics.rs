//! `/metrics`: counters and histograms in Prometheus' text form, for those who hold the token.

use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use metrics_exporter_prometheus::PrometheusHandle;
use secrecy::ExposeSecret;
use subtle::ConstantTimeEq;

use crate::error::ApiError;
use crate::extract::{Shown, shown};
use crate::state::AppState;

/// The metrics, if they are served here and the bearer token is right.
pub(crate) async fn show(
    State(state): State<AppState>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let guarded = state.metrics().ok_or(ApiError::NotFound)?;
    let right = match shown(&headers) {
        Shown::Secret(secret) => {
            let (given, expected) = (secret.expose_secret(), guarded.token.expose_secret());
            bool::from(given.as_bytes().ct_eq(expected.as_bytes()))
        }
        Shown::Nothing | Shown::Unreadable => false,
    };
    if right {
        Ok(text(&guarded.handle))
    } else {
        Err(ApiError::Unsigned("the metrics need their bearer token"))
    }
}

/// The metrics as they stand.
pub(crate) fn text(handle: &PrometheusHandle) -> Response {
    (
        [(
            header::CONTENT_TYPE,
            "text/plain; version=0.0.4; charset=utf-8",
        )],
        handle.render(),
    )
        .into_response()
}
