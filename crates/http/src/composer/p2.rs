//! `p2/{vendor}/{name}.json` and `…~dev.json`: a package's versions, as finished bytes.

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use kapelle_registry::document;

use super::document::respond;
use crate::error::ApiError;
use crate::extract::{Authenticated, Segments, plain};
use crate::state::AppState;

/// A package's document. A 404 is quiet: Composer asks every repository for every name.
pub(crate) async fn show(
    State(state): State<AppState>,
    Authenticated(actor): Authenticated,
    Segments((org, vendor, file)): Segments<(String, String, String)>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let place = format!("{}/p2/{}/{}", plain(&org), plain(&vendor), plain(&file));
    let document = document::find(state.registry(), &actor, &place).await?;
    respond(&document, &headers)
}
