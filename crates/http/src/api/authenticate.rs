//! Who signed a request: nothing of it is believed before that is known.

use axum::body::Body;
use axum::extract::{FromRequest, FromRequestParts, Request, State};
use axum::http::request::Parts;
use axum::http::uri::Authority;
use axum::http::{HeaderValue, Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use kapelle_registry::access::Denied;
use kapelle_registry::actor::{Actor, ApiKeyActor, KeyAccess};
use kapelle_registry::clock::SECOND;
use kapelle_registry::{Registry, api_key};
use packagist_api::{
    Authorization, InvalidAuthorization, Query, Request as ToSign, Secret, Signature,
    SignatureVersion, Signing,
};
use secrecy::ExposeSecret;

use super::target::Sent;
use super::upload::{self, Turn, Uploaded, check_length, is_upload};
use crate::error::ApiError;
use crate::extract::RawBody;
use crate::state::AppState;

/// By how much the time of a request may be off, in seconds.
const TOLERANCE: u64 = 15;
const NO_STORE: HeaderValue = HeaderValue::from_static("private, no-store");

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
    let mut response = match admitted(&state, request).await {
        Ok(request) => next.run(request).await,
        Err(error) => error.into_response(),
    };
    // The same address has another answer for each key.
    response
        .headers_mut()
        .insert(header::CACHE_CONTROL, NO_STORE);
    response
}

/// The request with what is known of it, once its signature was right, in time, and the first of its kind.
async fn admitted(state: &AppState, request: Request) -> Result<Request, ApiError> {
    let registry = state.registry();
    let claimed = match claimed(state, &request)? {
        Claimed::Signed(claimed) => claimed,
        Claimed::Key(key) => return unsigned(registry, request, &key).await,
    };
    check_time(registry, &claimed)?;
    let (key, secret) = api_key::find(registry, &claimed.key)
        .await?
        .ok_or(ApiError::Unauthenticated)?;
    let secret = Secret::new(secret.expose_secret());
    let changes = !matches!(*request.method(), Method::GET | Method::HEAD);
    let (mut request, query) = if is_upload(&request) {
        if key.access == KeyAccess::Read {
            return Err(Denied::ReadOnlyKey.into());
        }
        check_length(registry, request.headers())?;
        let turn = state.uploads().begin(key.id)?;
        verified(state, request, &claimed, &secret, Keep::OnDisk(turn)).await?
    } else {
        let verified = verified(state, request, &claimed, &secret, Keep::InMemory).await?;
        // The body may have taken its time.
        check_time(registry, &claimed)?;
        verified
    };
    if changes && key.access == KeyAccess::Read {
        return Err(Denied::ReadOnlyKey.into());
    }
    if !api_key::admit(registry, &key, &claimed.cnonce, changes).await? {
        return Err(ApiError::BadRequest(
            "This request was sent before: every request needs a cnonce of its own.".to_owned(),
        ));
    }
    request
        .extensions_mut()
        .insert(Authenticated { key, query });
    Ok(request)
}

/// A request that shows nothing but a key, and only reads.
async fn unsigned(
    registry: &Registry,
    mut request: Request,
    key: &str,
) -> Result<Request, ApiError> {
    let found = api_key::find(registry, key).await?;
    let (key, _) = found.ok_or(ApiError::Unauthenticated)?;
    let query = Query::parse(request.uri().query().unwrap_or_default());
    let query = query.map_err(|error| ApiError::BadRequest(error.to_string()))?;
    api_key::note_use(registry, &key);
    *request.body_mut() = Body::empty();
    request
        .extensions_mut()
        .insert(Authenticated { key, query });
    Ok(request)
}

/// What a request says of who sent it.
enum Claimed {
    Signed(Signature),
    /// A key without a signature, where that is enough.
    Key(String),
}

/// Where a body waits for its signature.
enum Keep {
    InMemory,
    OnDisk(Turn),
}

/// The request and its parameters as they were signed: with its body read, or with none where that is not covered.
async fn verified(
    state: &AppState,
    request: Request,
    claimed: &Signature,
    secret: &Secret,
    keep: Keep,
) -> Result<(Request, Query), ApiError> {
    let sent = request.extensions().get::<Sent>();
    let sent = sent.map_or(request.uri(), |Sent(uri)| uri).clone();
    let query = Query::parse(sent.query().unwrap_or_default());
    let query = query.map_err(|error| ApiError::BadRequest(error.to_string()))?;
    let hosts = hosts(state, &request);
    let (mut parts, body) = request.into_parts();
    let begin = |host: &String| {
        let request = ToSign {
            method: parts.method.as_str(),
            host,
            path: sent.path(),
            query: &query,
        };
        Signing::begin(secret, request, claimed)
    };
    let mut signings: Vec<Signing> = hosts.iter().map(begin).collect();
    if let Keep::OnDisk(turn) = keep {
        let upload = upload::receive(state.registry(), body, &mut signings).await?;
        let is_signed = has_signed_body(signings, claimed)?;
        if let Some(upload) = upload.filter(|_| is_signed) {
            parts.extensions.insert(Uploaded::new(upload, turn));
        }
        return Ok((Request::from_parts(parts, Body::empty()), query));
    }
    let RawBody(body) = RawBody::from_request(Request::new(body), state).await?;
    for signing in &mut signings {
        signing.body(&body);
    }
    let body = if has_signed_body(signings, claimed)? {
        Body::from(body)
    } else {
        Body::empty()
    };
    Ok((Request::from_parts(parts, body), query))
}

/// Whether the one of these that is right covers a body.
fn has_signed_body(signings: Vec<Signing>, claimed: &Signature) -> Result<bool, ApiError> {
    let right = signings.into_iter().find_map(|signing| {
        let has_body = signing.has_body();
        signing.is(&claimed.signature).then_some(has_body)
    });
    right.ok_or_else(|| ApiError::BadRequest("Invalid signature.".to_owned()))
}

fn check_time(registry: &Registry, claimed: &Signature) -> Result<(), ApiError> {
    let seconds: i64 = claimed.timestamp.parse().unwrap_or(i64::MAX);
    if (registry.now() / SECOND).abs_diff(seconds) <= TOLERANCE {
        return Ok(());
    }
    let late = "Timestamp is beyond the +-15 second difference allowed.";
    Err(ApiError::BadRequest(late.to_owned()))
}

/// What the header says, if it may be said here.
fn claimed(state: &AppState, request: &Request) -> Result<Claimed, ApiError> {
    let header = request.headers().get(header::AUTHORIZATION);
    let header = header
        .and_then(|header| header.to_str().ok())
        .ok_or(ApiError::Unauthenticated)?;
    match Authorization::parse(header) {
        Ok(Authorization::Signed(signature))
            if signature.version == SignatureVersion::V2 || state.api().accept_signature_v1 =>
        {
            Ok(Claimed::Signed(signature))
        }
        Ok(Authorization::Key(key))
            if state.api().accept_packagist_token && *request.method() == Method::GET =>
        {
            Ok(Claimed::Key(key))
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

/// Under which names the client may know this server: that of the public URL. Where nobody has said what that is, the one that
/// the request names.
fn hosts(state: &AppState, request: &Request) -> Vec<String> {
    let public_url = state.registry().public_url();
    let mut hosts: Vec<String> = public_url
        .host_str()
        .map(str::to_lowercase)
        .into_iter()
        .collect();
    if state.api().accept_any_host {
        let named = request.uri().authority().map(Authority::as_str);
        let named = named.or_else(|| request.headers().get(header::HOST)?.to_str().ok());
        hosts.extend(named.map(|named| without_port(named).to_lowercase()));
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
