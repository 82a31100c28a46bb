//! The one error of all handlers: status, stable code, sentence, and whether Composer shall print it.
//!
//! Composer prints the key `warning` of an error's body if its `Content-Type` is exactly `application/json`. That is the
//! only way to tell a person why a download was refused, and noise where a 404 is ordinary.

use std::sync::LazyLock;

use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use kapelle_registry::access::Denied;
use kapelle_registry::api_key::ApiKeyError;
use kapelle_registry::credential::CredentialError;
use kapelle_registry::dist::DistError;
use kapelle_registry::document::DocumentError;
use kapelle_registry::hook::HookError;
use kapelle_registry::jobs::ShowError;
use kapelle_registry::mirrored_repository::MirroredRepositoryError;
use kapelle_registry::organization::VisibleError;
use kapelle_registry::package::PackageError;
use kapelle_registry::search::SearchError;
use kapelle_storage::StorageError;
use serde::Serialize;

/// Composer prints nothing of what has any other type.
const JSON: HeaderValue = HeaderValue::from_static("application/json");
const NO_STORE: HeaderValue = HeaderValue::from_static("private, no-store");
/// When whoever met a disk without room may ask again, in seconds.
const RETRY_AFTER: HeaderValue = HeaderValue::from_static("60");
/// When whoever met an outage may, in seconds: it ends by itself, or somebody is on it.
const RETRY_SOON: HeaderValue = HeaderValue::from_static("10");
/// Which disk that is, is for the log.
const UNWRITABLE: &str = "the database of this server cannot write to its disk, and nothing was changed: try again later";

/// Why a request was not answered as wished.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ApiError {
    /// The registry's decision about access.
    #[error("{0}")]
    Denied(Denied),
    /// A request to the management API without a key that we know; the service's own words.
    #[error("An authentication exception occurred.")]
    Unauthenticated,
    /// Nothing there, which is ordinary: Composer asks for many names that nobody has.
    #[error("not found")]
    NotFound,
    /// Nothing there, and a person should read why.
    #[error("{0}")]
    Missing(String),
    /// It was there and will not come back under this address.
    #[error("{0}")]
    Gone(String),
    /// The request cannot be understood.
    #[error("{0}")]
    BadRequest(String),
    /// The path exists, but not with this method.
    #[error("this address does not take that method")]
    Method,
    /// The body is too large.
    #[error("the body is larger than {limit} bytes")]
    TooLarge {
        /// How much is taken.
        limit: u64,
    },
    /// The body took too long.
    #[error("the body did not arrive in time")]
    Slow,
    /// The body is no payload that we know.
    #[error("{0}")]
    Payload(String),
    /// A hook without signature or token.
    #[error("{0}")]
    Unsigned(&'static str),
    /// A hook whose signature, token or organization is wrong; it is not said which.
    #[error("{0}")]
    Forged(&'static str),
    /// No byte of that range exists.
    #[error("the range lies outside of the {size} bytes there are")]
    Range {
        /// How many bytes there are.
        size: u64,
    },
    /// Too much of that is under way already.
    #[error("{0}")]
    Busy(String),
    /// It exists and cannot be had at the moment.
    #[error("{0}")]
    Unavailable(String),
    /// There is no room on a disk: reading goes on, and what would change something may come again.
    #[error("{0}")]
    NoRoom(String),
    /// The database cannot be asked, or is too busy to answer; why is for the log.
    #[error("the database of this server does not answer at the moment: try again soon")]
    Outage,
    /// This process does not know who may still read.
    #[error(
        "this server has lost touch with its database and serves nothing private until it is back"
    )]
    Stale,
    /// Something of ours failed; the cause is for the log.
    #[error("the server failed to answer; its log tells more under the id of this request")]
    Internal(String),
}

/// The cause of an internal error, carried in the response's extensions to where the request's id is known.
#[derive(Clone, Debug)]
pub(crate) struct Cause(pub(crate) String);

#[derive(Serialize)]
struct Sentence<'a> {
    status: &'static str,
    code: &'static str,
    message: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    warning: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a str>,
}

impl ApiError {
    /// Status and stable code.
    fn kind(&self) -> (StatusCode, &'static str) {
        match self {
            Self::Denied(Denied::NeedsCredentials) => {
                (StatusCode::UNAUTHORIZED, "credentials_needed")
            }
            Self::Denied(Denied::InvalidCredentials) => {
                (StatusCode::UNAUTHORIZED, "credentials_invalid")
            }
            Self::Unauthenticated => (StatusCode::UNAUTHORIZED, "unauthenticated"),
            Self::Denied(Denied::ReadOnly | Denied::ReadOnlyKey) => {
                (StatusCode::FORBIDDEN, "read_only")
            }
            Self::Denied(Denied::Hidden) | Self::NotFound | Self::Missing(_) => {
                (StatusCode::NOT_FOUND, "not_found")
            }
            Self::Gone(_) => (StatusCode::GONE, "gone"),
            Self::BadRequest(_) => (StatusCode::BAD_REQUEST, "bad_request"),
            Self::Method => (StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed"),
            Self::TooLarge { .. } => (StatusCode::PAYLOAD_TOO_LARGE, "too_large"),
            Self::Slow => (StatusCode::REQUEST_TIMEOUT, "too_slow"),
            Self::Payload(_) => (StatusCode::NOT_ACCEPTABLE, "payload_unknown"),
            Self::Unsigned(_) => (StatusCode::UNAUTHORIZED, "signature_missing"),
            Self::Forged(_) => (StatusCode::FORBIDDEN, "signature_wrong"),
            Self::Range { .. } => (StatusCode::RANGE_NOT_SATISFIABLE, "range_not_satisfiable"),
            Self::Busy(_) => (StatusCode::TOO_MANY_REQUESTS, "busy"),
            Self::Unavailable(_) => (StatusCode::SERVICE_UNAVAILABLE, "unavailable"),
            Self::NoRoom(_) => (StatusCode::SERVICE_UNAVAILABLE, "no_room"),
            Self::Outage => (StatusCode::SERVICE_UNAVAILABLE, "database_unavailable"),
            Self::Stale => (StatusCode::SERVICE_UNAVAILABLE, "stale"),
            Self::Internal(_) => (StatusCode::INTERNAL_SERVER_ERROR, "internal"),
        }
    }

    /// Whether Composer shall print the sentence.
    fn is_for_people(&self) -> bool {
        match self {
            Self::Denied(denied) => *denied != Denied::Hidden,
            Self::Missing(_)
            | Self::Gone(_)
            | Self::Unavailable(_)
            | Self::NoRoom(_)
            | Self::Outage
            | Self::Stale
            | Self::Internal(_) => true,
            _ => false,
        }
    }

    /// "Not found" with a sentence that a person will read; other errors stay as they are.
    pub(crate) fn or_tell(self, sentence: impl Into<String>) -> Self {
        match self {
            Self::Denied(Denied::Hidden) | Self::NotFound => Self::Missing(sentence.into()),
            other => other,
        }
    }

    /// The body; `id` is named in it where the caller should quote it.
    fn body(&self, id: Option<&str>) -> String {
        let message = self.to_string();
        let warning = self.is_for_people().then_some(message.as_str());
        let (_, code) = self.kind();
        let body = Sentence {
            status: "error",
            code,
            message: &message,
            warning,
            id,
        };
        // Texts under fixed names can always be written.
        serde_json::to_string(&body).unwrap_or_default()
    }

    /// The whole answer; `id` is that of [`body`](Self::body).
    pub(crate) fn answer(&self, id: Option<&str>) -> Response {
        let (status, _) = self.kind();
        let mut response = (status, self.body(id)).into_response();
        let headers = response.headers_mut();
        describe(headers);
        match self {
            Self::Denied(_) | Self::Unsigned(_) if status == StatusCode::UNAUTHORIZED => {
                let basic = HeaderValue::from_static("Basic realm=\"Composer repository\"");
                headers.insert(header::WWW_AUTHENTICATE, basic);
            }
            Self::NoRoom(_) => {
                headers.insert(header::RETRY_AFTER, RETRY_AFTER);
            }
            Self::Busy(_) | Self::Unavailable(_) | Self::Outage | Self::Stale => {
                headers.insert(header::RETRY_AFTER, RETRY_SOON);
            }
            Self::Range { size } => {
                if let Ok(value) = HeaderValue::from_str(&format!("bytes */{size}")) {
                    headers.insert(header::CONTENT_RANGE, value);
                }
            }
            _ => {}
        }
        response
    }
}

/// The body of [`ApiError::NotFound`], made once: Composer asks for many names that nobody has.
pub(crate) fn not_found() -> &'static str {
    static BODY: LazyLock<&str> = LazyLock::new(|| ApiError::NotFound.body(None).leak());
    *BODY
}

/// The headers that all errors have.
pub(crate) fn describe(headers: &mut HeaderMap) {
    headers.insert(header::CONTENT_TYPE, JSON);
    headers.insert(header::CACHE_CONTROL, NO_STORE);
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = self.answer(None);
        if let Self::Internal(cause) = self {
            response.extensions_mut().insert(Cause(cause));
        }
        response
    }
}

impl From<StorageError> for ApiError {
    fn from(error: StorageError) -> Self {
        match error {
            StorageError::Shut { reason } => Self::NoRoom(reason.to_string()),
            StorageError::Unwritable { source } => {
                tracing::error!(%source, "the database cannot write to its disk");
                Self::NoRoom(UNWRITABLE.to_owned())
            }
            outage if outage.is_outage() => {
                tracing::warn!(error = %outage, "a request was not answered");
                Self::Outage
            }
            other => Self::Internal(other.to_string()),
        }
    }
}

impl From<Denied> for ApiError {
    fn from(denied: Denied) -> Self {
        Self::Denied(denied)
    }
}

impl From<VisibleError> for ApiError {
    fn from(error: VisibleError) -> Self {
        match error {
            VisibleError::Denied(denied) => Self::Denied(denied),
            VisibleError::Storage(error) => error.into(),
        }
    }
}

impl From<DocumentError> for ApiError {
    fn from(error: DocumentError) -> Self {
        match error {
            DocumentError::Denied(denied) => Self::Denied(denied),
            DocumentError::Unknown => Self::NotFound,
            DocumentError::Failed(cause) => Self::Internal(cause),
            DocumentError::Storage(error) => error.into(),
        }
    }
}

impl From<DistError> for ApiError {
    fn from(error: DistError) -> Self {
        match error {
            DistError::Denied(denied) => Self::Denied(denied),
            DistError::Unknown => Self::NotFound,
            gone @ (DistError::Removed(_)
            | DistError::Purged(_)
            | DistError::Lost { .. }
            | DistError::Unbuildable { .. }) => Self::Gone(gone.to_string()),
            unavailable @ DistError::Unavailable { .. } => {
                Self::Unavailable(unavailable.to_string())
            }
            DistError::Storage(error) => error.into(),
        }
    }
}

impl From<ApiKeyError> for ApiError {
    fn from(error: ApiKeyError) -> Self {
        match error {
            ApiKeyError::Denied(denied) => Self::Denied(denied),
            ApiKeyError::Storage(error) => error.into(),
            other => Self::Internal(other.to_string()),
        }
    }
}

impl From<CredentialError> for ApiError {
    fn from(error: CredentialError) -> Self {
        match error {
            CredentialError::Denied(denied) => Self::Denied(denied),
            used @ CredentialError::Storage(StorageError::CredentialInUse { .. }) => {
                Self::BadRequest(used.to_string())
            }
            CredentialError::Storage(error) => error.into(),
            CredentialError::Secrets(error) => Self::Internal(error.to_string()),
            CredentialError::Unknown(id) => Self::Missing(format!("there is no credential {id}")),
            other => Self::BadRequest(other.to_string()),
        }
    }
}

impl From<MirroredRepositoryError> for ApiError {
    fn from(error: MirroredRepositoryError) -> Self {
        match error {
            MirroredRepositoryError::Denied(denied) => Self::Denied(denied),
            MirroredRepositoryError::Storage(error) => error.into(),
            unknown @ MirroredRepositoryError::Unknown(_) => Self::Missing(unknown.to_string()),
            MirroredRepositoryError::Invalid(sentence) => Self::BadRequest(sentence),
        }
    }
}

impl From<ShowError> for ApiError {
    fn from(error: ShowError) -> Self {
        match error {
            ShowError::Denied(denied) => Self::Denied(denied),
            ShowError::Storage(error) => error.into(),
            other => Self::Missing(other.to_string()),
        }
    }
}

impl From<SearchError> for ApiError {
    fn from(error: SearchError) -> Self {
        match error {
            SearchError::Denied(denied) => Self::Denied(denied),
            SearchError::Storage(error) => error.into(),
        }
    }
}

impl From<PackageError> for ApiError {
    fn from(error: PackageError) -> Self {
        match error {
            PackageError::Denied(denied) => Self::Denied(denied),
            PackageError::Storage(error) => error.into(),
            PackageError::Artifact(error) => error.into(),
            cause @ (PackageError::Document(_) | PackageError::Destroy(..)) => {
                Self::Internal(cause.to_string())
            }
            unknown @ (PackageError::Unknown(_) | PackageError::Removed { .. }) => {
                Self::Missing(unknown.to_string())
            }
            other => Self::BadRequest(other.to_string()),
        }
    }
}

impl From<HookError> for ApiError {
    fn from(error: HookError) -> Self {
        match error {
            HookError::Denied(denied) => Self::Denied(denied),
            unknown @ HookError::Unknown(_) => Self::Missing(unknown.to_string()),
            nameless @ HookError::NoRepository => Self::Payload(nameless.to_string()),
            HookError::Storage(error) => error.into(),
            other => Self::Internal(other.to_string()),
        }
    }
}
