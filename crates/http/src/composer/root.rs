//! `packages.json`: the first thing that every Composer asks for.

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use kapelle_registry::document::{self, ROOT};

use super::document::respond;
use crate::error::ApiError;
use crate::extract::{Authenticated, Segments, plain};
use crate::state::AppState;

/// The root document. Here a 404 is told to people: it is a wrong address or another organization's token.
pub(crate) async fn show(
    State(state): State<AppState>,
    Authenticated(actor): Authenticated,
    Segments(org): Segments<String>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let place = format!("{}/{ROOT}", plain(&org));
    let found = document::find(state.registry(), &actor, &place).await;
    let document = found.map_err(|error| {
        ApiError::from(error)
            .or_tell("there is no such repository, or the token that was sent does not open it")
    })?;
    respond(&document, &headers)
}
