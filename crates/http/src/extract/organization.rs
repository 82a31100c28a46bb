//! The organization in the path, seen by whoever asks.

use std::sync::Arc;

use axum::extract::{FromRequestParts, Path};
use axum::http::request::Parts;
use kapelle_registry::{Actor, organization};
use kapelle_storage::db::organizations::Organization as Row;

use super::{Authenticated, plain};
use crate::error::ApiError;
use crate::state::AppState;

/// The organization that `{org}` names, which `actor` may read. Who may not is answered 401 or 404 before the handler.
#[derive(Debug)]
pub(crate) struct Organization {
    pub(crate) actor: Actor,
    pub(crate) row: Arc<Row>,
}

impl FromRequestParts<AppState> for Organization {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, ApiError> {
        let Authenticated(actor) = Authenticated::from_request_parts(parts, state).await?;
        let path = Path::<Vec<(String, String)>>::from_request_parts(parts, state).await;
        let segments = path.map(|Path(segments)| segments).unwrap_or_default();
        let slug = segments
            .iter()
            .find(|(name, _)| name == "org")
            .map_or("", |(_, slug)| slug);
        let row = organization::visible(state.registry(), &actor, &plain(slug)).await?;
        Ok(Self { actor, row })
    }
}
