//! Who signed a request: nothing of it is believed before that is known.

use axum::body::Body;
use axum::extract::{FromRequest, FromRequestParts, Request, State};
use axum::http::request::Parts;
use axum::http::{Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use kapelle_registry::actor::{Actor, ApiKeyActor};
use kapelle_registry::api_key;
use kapelle_registry::clock::SECOND;
use packagist_api::{
    Authorization, InvalidAuthorization, Query, Request as ToSign, Secret, Signature,
    SignatureVersion, Signing,
};
use secrecy::ExposeSecret;

use super::target::Sent;
use crate::error::ApiError;
use crate::extract::RawBody;
use crate::state::AppState;

/// By how much the time of a request may be off, in seconds.
const TOLERANCE: i64 = 15;

/// The key that signed a request, and the parameters that it covered.
#[derive(Clone, Debug)]
pub(crate) struct Authenticated {
    pub(crate) key: ApiKeyActor,
    pub(crate) query: Query,
}

impl Authenticated {
    /// Who asks, for the registry.
    pub(crate) fn actor(&self) -> Actor {
        Actor::ApiKey(self.key)
    }
}

/// There is one behind [`authenticate`].
impl FromRequestParts<AppState> for Authenticated {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &AppState) -> Result<Self, ApiError> {
        parts
            .extensions
            .get()
            .cloned()
            .ok_or(ApiError::Unauthenticated)
    }
}

/// The layer around all routes of the API.
pub(crate) async fn authenticate(
    State(state): State<AppState>,
    request: Request,
    next: Next,
) -> Response {
    match admitted(&state, request).await {
        Ok(request) => next.run(request).await,
        Err(error) => error.into_response(),
    }
}

/// The request with what is known of it, once its signature was right, in time, and the first of its kind.
async fn admitted(state: &AppState, request: Request) -> Result<Request, ApiError> {
    let registry = state.registry();
    let claimed = claimed(state, &request)?;
    let (key, secret) = api_key::find(registry, &claimed.key)
        .await?
        .ok_or(ApiError::Unauthenticated)?;
    let seconds: i64 = claimed.timestamp.parse().unwrap_or(i64::MAX);
    if (registry.now() / SECOND).abs_diff(seconds) > TOLERANCE.unsigned_abs() {
        return Err(ApiError::BadRequest(
            "Timestamp is beyond the +-15 second difference allowed.".to_owned(),
        ));
    }
    let sent = request
        .extensions()
        .get::<Sent>()
        .map_or_else(|| request.uri().clone(), |Sent(uri)| uri.clone());
    let query = Query::parse(sent.query().unwrap_or_default());
    let query = query.map_err(|error| ApiError::BadRequest(error.to_string()))?;
    let hosts = hosts(state, &request);

    let (parts, body) = request.into_parts();
    let RawBody(body) = RawBody::from_request(Request::new(body), state).await?;
    let secret = Secret::new(secret.expose_secret());
    let is_signed = |host: &String| {
        let signed = ToSign {
            method: parts.method.as_str(),
            host,
            path: sent.path(),
            query: &query,
        };
        let mut signing = Signing::begin(&secret, signed, &claimed);
        signing.body(&body);
        let has_body = signing.has_body();
        signing.is(&claimed.signature).then_some(has_body)
    };
    let Some(has_body) = hosts.iter().find_map(is_signed) else {
        return Err(ApiError::BadRequest("Invalid signature.".to_owned()));
    };
    let changes = !matches!(parts.method, Method::GET | Method::HEAD);
    if !api_key::admit(registry, &key, &claimed.cnonce, changes).await? {
        return Err(ApiError::BadRequest(
            "This request was sent before: every request needs a cnonce of its own.".to_owned(),
        ));
    }
    let body = if has_body {
        Body::from(body)
    } else {
        Body::empty()
    };
    let mut request = Request::from_parts(parts, body);
    request
        .extensions_mut()
        .insert(Authenticated { key, query });
    Ok(request)
}

/// What the header says, if it may be said here.
fn claimed(state: &AppState, request: &Request) -> Result<Signature, ApiError> {
    let header = request.headers().get(header::AUTHORIZATION);
    let header = header
        .and_then(|header| header.to_str().ok())
        .ok_or(ApiError::Unauthenticated)?;
    match Authorization::parse(header) {
        Ok(Authorization::Signed(signature))
            if signature.version == SignatureVersion::V2 || state.api().accept_signature_v1 =>
        {
            Ok(signature)
        }
        Ok(Authorization::Signed(_)) => Err(ApiError::BadRequest(
            InvalidAuthorization::Version.to_string(),
        )),
        Ok(Authorization::Key(_)) | Err(InvalidAuthorization::NotOurs) => {
            Err(ApiError::Unauthenticated)
        }
        Err(invalid) => Err(ApiError::BadRequest(invalid.to_string())),
    }
}

/// Under which names the client may know this server: the public URL's, and the one that the request names.
fn hosts(state: &AppState, request: &Request) -> Vec<String> {
    let named = request
        .uri()
        .authority()
        .map(|authority| authority.as_str().to_owned());
    let named = named.or_else(|| {
        Some(
            request
                .headers()
                .get(header::HOST)?
                .to_str()
                .ok()?
                .to_owned(),
        )
    });
    let public_url = state.registry().public_url();
    let mut hosts: Vec<String> = public_url
        .host_str()
        .map(str::to_lowercase)
        .into_iter()
        .collect();
    if let Some(named) = named.map(|named| without_port(&named).to_lowercase())
        && !hosts.contains(&named)
    {
        hosts.push(named);
    }
    hosts
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port))
            if !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()) =>
        {
            name
        }
        _ => host,
    }
}
