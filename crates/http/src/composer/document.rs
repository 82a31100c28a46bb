//! A finished document as an answer: 304 on exact equality, else the bytes in the form the client wants.

use std::io::Read;

use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::Response;
use bytes::Bytes;
use flate2::read::GzDecoder;
use kapelle_registry::document::Document;

use super::encoding::{Encoding, choose};
use super::not_modified::not_modified;
use crate::error::ApiError;

/// Room for the headers of an answer.
const HEADERS: usize = 8;
const JSON: HeaderValue = HeaderValue::from_static("application/json");
const CACHE_CONTROL: HeaderValue = HeaderValue::from_static("private, max-age=0, must-revalidate");
const VARY: HeaderValue = HeaderValue::from_static("Accept-Encoding, Authorization");

/// What of a document a client is sent.
pub(crate) enum Form {
    /// The client has these bytes.
    Known,
    /// Bytes, and the `Content-Encoding` in which they are.
    Bytes(Bytes, Option<&'static str>),
}

impl Form {
    /// The answer's status.
    pub(crate) fn status(&self) -> StatusCode {
        match self {
            Self::Known => StatusCode::NOT_MODIFIED,
            Self::Bytes(..) => StatusCode::OK,
        }
    }

    /// How many bytes the answer's body has.
    pub(crate) fn len(&self) -> u64 {
        match self {
            Self::Known => 0,
            Self::Bytes(bytes, _) => bytes.len() as u64,
        }
    }
}

/// Answers with `document`.
pub(super) async fn respond(
    document: &Document,
    headers: &HeaderMap,
) -> Result<Response, ApiError> {
    let (since, encodings) = (
        headers.get(header::IF_MODIFIED_SINCE),
        headers.get_all(header::ACCEPT_ENCODING),
    );
    let form = match ready(document, since, encodings.iter()) {
        Some(form) => form,
        None => Form::Bytes(inflate(document.gzip.clone()).await?, None),
    };
    let mut headers = HeaderMap::new();
    describe(document, &form, &mut headers);
    let mut response = match form {
        Form::Known => not_modified(),
        Form::Bytes(bytes, _) => Response::new(bytes.into()),
    };
    *response.headers_mut() = headers;
    Ok(response)
}

/// The form that `If-Modified-Since` and the lines of `Accept-Encoding` ask for, unless its bytes have to be made first.
/// `Last-Modified` is an opaque text that Composer repeats byte for byte in `If-Modified-Since`: only the very same text
/// means that the client has these bytes.
pub(crate) fn ready<'a>(
    document: &Document,
    since: Option<&HeaderValue>,
    encodings: impl Iterator<Item = &'a HeaderValue>,
) -> Option<Form> {
    if since.is_some_and(|known| known.as_bytes() == document.last_modified) {
        return Some(Form::Known);
    }
    match choose(encodings) {
        Encoding::Zstd => Some(Form::Bytes(document.zstd.clone(), Some("zstd"))),
        Encoding::Gzip => Some(Form::Bytes(document.gzip.clone(), Some("gzip"))),
        Encoding::Identity => None,
    }
}

/// Adds the headers of the answer with this form of the document.
pub(crate) fn describe(document: &Document, form: &Form, headers: &mut HeaderMap) {
    headers.reserve(HEADERS);
    headers.insert(header::CONTENT_TYPE, JSON);
    if let Ok(date) = HeaderValue::from_maybe_shared(document.last_modified.clone()) {
        headers.insert(header::LAST_MODIFIED, date);
    }
    headers.insert(header::CACHE_CONTROL, CACHE_CONTROL);
    headers.insert(header::VARY, VARY);
    if let Form::Bytes(_, Some(encoding)) = form {
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static(encoding));
    }
}

/// For the rare client without compression.
async fn inflate(gzip: Bytes) -> Result<Bytes, ApiError> {
    let work = move || {
        let mut plain = Vec::with_capacity(gzip.len() * 6);
        GzDecoder::new(gzip.as_ref())
            .read_to_end(&mut plain)
            .map(|_| Bytes::from(plain))
    };
    let inflated = tokio::task::spawn_blocking(work).await;
    let inflated = inflated.map_err(|error| ApiError::Internal(error.to_string()))?;
    inflated.map_err(|error| ApiError::Internal(format!("a stored document is damaged: {error}")))
}
