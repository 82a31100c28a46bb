//! `POST /api/update-package`: packagist.org's way to say that a repository has changed.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use kapelle_registry::{Actor, Registry, hook, token};

use super::payload::Payload;
use super::signature::is_signed;
use super::{Accepted, accepted};
use crate::error::ApiError;
use crate::extract::{Parameters, RawBody, authenticate, plain};
use crate::state::AppState;

const WRONG: &str = "the credentials are missing or wrong: send an update token as apiToken, or sign with the hook secret";

/// Queues a synchronization of the packages whose repository the body names.
pub(crate) async fn create(
    State(state): State<AppState>,
    query: Parameters,
    headers: HeaderMap,
    RawBody(body): RawBody,
) -> Result<(StatusCode, Json<Accepted>), ApiError> {
    state.check_freshness()?;
    let registry = state.registry();
    let payload = Payload::parse(&headers, &body, registry.limits().json_depth);
    let sent = Sent {
        query: &query,
        headers: &headers,
        body: &body,
        payload: payload.as_ref().ok(),
    };
    let (actor, organization_id) = sent.caller(registry).await?;
    let payload = payload?;
    let jobs = hook::received(registry, &actor, organization_id, &payload.urls()).await?;
    Ok(accepted(&jobs, payload.kind()))
}

/// A call before it is believed.
struct Sent<'a> {
    query: &'a Parameters,
    headers: &'a HeaderMap,
    body: &'a [u8],
    payload: Option<&'a Payload>,
}

impl Sent<'_> {
    /// Who calls and for which organization: by signature, by header, by query, or by fields of the body.
    async fn caller(&self, registry: &Registry) -> Result<(Actor, i64), ApiError> {
        if let Some(signature) = self.headers.get("x-hub-signature-256") {
            return self.signer(registry, signature.as_bytes()).await;
        }
        let actor = match (
            authenticate(registry, self.headers).await?,
            self.field("apiToken"),
        ) {
            (Actor::Anonymous, Some(secret)) => token::authenticate(registry, secret).await?,
            (actor, _) => actor,
        };
        match &actor {
            Actor::Token(token) => {
                let organization_id = token.organization_id;
                Ok((actor, organization_id))
            }
            _ => Err(ApiError::Forged(WRONG)),
        }
    }

    /// GitHub's hook for packagist.org names a user and signs; here the user is the organization, the key its hook secret.
    async fn signer(
        &self,
        registry: &Registry,
        signature: &[u8],
    ) -> Result<(Actor, i64), ApiError> {
        let slug = plain(self.field("username").unwrap_or_default());
        match hook::secret(registry, &slug).await? {
            Some((organization_id, secret)) if is_signed(signature, self.body, &secret) => {
                Ok((Actor::Hook("github", organization_id), organization_id))
            }
            _ => Err(ApiError::Forged(WRONG)),
        }
    }

    fn field(&self, name: &str) -> Option<&str> {
        self.query
            .get(name)
            .or_else(|| self.payload.and_then(|payload| payload.field(name)))
    }
}
