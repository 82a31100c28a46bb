//! Who asks.

use axum::extract::FromRequestParts;
use axum::http::HeaderMap;
use axum::http::request::Parts;
use kapelle_registry::{Actor, Registry, token};
use secrecy::ExposeSecret;

use super::credentials::{Shown, shown};
use crate::error::ApiError;
use crate::state::AppState;

/// Who the request's credentials say it is. Nobody and unknown credentials are actors too: what they may see is for the
/// registry to decide.
#[derive(Debug)]
pub(crate) struct Authenticated(pub(crate) Actor);

impl FromRequestParts<AppState> for Authenticated {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, ApiError> {
        state.check_freshness()?;
        authenticate(state.registry(), &parts.headers)
            .await
            .map(Self)
    }
}

/// The actor behind a request's headers.
pub(crate) async fn authenticate(
    registry: &Registry,
    headers: &HeaderMap,
) -> Result<Actor, ApiError> {
    match shown(headers) {
        Shown::Nothing => Ok(Actor::Anonymous),
        Shown::Unreadable => Ok(Actor::Refused),
        Shown::Secret(secret) => Ok(token::authenticate(registry, secret.expose_secret()).await?),
    }
}
