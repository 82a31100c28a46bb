//! `POST /hooks/{provider}/{org}`: what a hosting service calls after a push.

use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use kapelle_registry::{Actor, hook};
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;

use super::accepted;
use super::payload::Payload;
use super::signature::{Provider, Verdict, is_secret};
use crate::error::ApiError;
use crate::extract::{Parameters, RawBody, Segments, Shown, authenticate, plain, shown};
use crate::state::AppState;

const MISSING: &str = "the hook carries no signature or token: set the organization's hook secret as its secret, and send again";
const WRONG: &str = "the hook's signature or token is wrong, or there is no such organization";

/// Queues a synchronization of the packages that the body names.
pub(crate) async fn create(
    State(state): State<AppState>,
    Segments((provider, org)): Segments<(String, String)>,
    query: Parameters,
    headers: HeaderMap,
    RawBody(body): RawBody,
) -> Result<Response, ApiError> {
    let provider = Provider::parse(&provider).ok_or(ApiError::NotFound)?;
    let sent = Sent {
        provider,
        headers: &headers,
        query: &query,
        body: &body,
    };
    let (actor, organization_id) = sent.caller(&state, &plain(&org)).await?;
    if provider.is_ping(&headers) {
        return Ok(
            Json(json!({ "status": "success", "message": "the hook works" })).into_response(),
        );
    }
    let payload = Payload::parse(&headers, &body, state.registry().limits().json_depth)?;
    let jobs = hook::received(state.registry(), &actor, organization_id, &payload.urls()).await?;
    Ok(accepted(&jobs, provider.as_str()).into_response())
}

/// A call before it is believed.
struct Sent<'a> {
    provider: Provider,
    headers: &'a HeaderMap,
    query: &'a Parameters,
    body: &'a [u8],
}

impl Sent<'_> {
    /// Who calls, and for which organization. An organization that does not exist is answered like a wrong signature,
    /// after the same work.
    async fn caller(&self, state: &AppState, slug: &str) -> Result<(Actor, i64), ApiError> {
        let found = hook::secret(state.registry(), slug).await?;
        let (organization_id, secret) = found.unwrap_or((0, SecretString::default()));
        let verdict = match self.provider {
            Provider::Generic => self.shows_secret(&secret),
            provider => provider.check(self.headers, self.body, &secret),
        };
        match verdict {
            Verdict::Missing => Err(ApiError::Unsigned(MISSING)),
            Verdict::Right if organization_id != 0 => Ok((
                Actor::Hook(self.provider.as_str(), organization_id),
                organization_id,
            )),
            Verdict::Wrong if self.provider == Provider::Generic => {
                self.token_holder(state, organization_id).await
            }
            Verdict::Right | Verdict::Wrong => Err(ApiError::Forged(WRONG)),
        }
    }

    /// The generic hook takes the secret as a credential or as the parameter `token`.
    fn shows_secret(&self, secret: &SecretString) -> Verdict {
        match (shown(self.headers), self.query.get("token")) {
            (Shown::Secret(given), _) => is_secret(given.expose_secret().as_bytes(), secret).into(),
            (_, Some(given)) => is_secret(given.as_bytes(), secret).into(),
            (Shown::Unreadable, None) => Verdict::Wrong,
            (Shown::Nothing, None) => Verdict::Missing,
        }
    }

    /// … or a Composer token with update access.
    async fn token_holder(
        &self,
        state: &AppState,
        organization_id: i64,
    ) -> Result<(Actor, i64), ApiError> {
        state.check_freshness()?;
        let actor = match (
            authenticate(state.registry(), self.headers).await?,
            self.query.get("token"),
        ) {
            (Actor::Anonymous, Some(token)) => {
                kapelle_registry::token::authenticate(state.registry(), token).await?
            }
            (actor, _) => actor,
        };
        match &actor {
            Actor::Token(token) if token.organization_id == organization_id => {
                Ok((actor, organization_id))
            }
            _ => Err(ApiError::Forged(WRONG)),
        }
    }
}
