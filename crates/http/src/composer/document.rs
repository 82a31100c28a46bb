//! A finished document as an answer: 304 on exact equality, else the bytes in the form the client wants.

use std::io::Read;

use axum::http::{HeaderMap, HeaderValue, header};
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

/// Answers with `document`.
pub(super) async fn respond(
    document: &Document,
    headers: &HeaderMap,
) -> Result<Response, ApiError> {
    let form = match ready(document, headers) {
        Some(form) => form,
        None => Form::Bytes(inflate(document.gzip.clone()).await?, None),
    };
    Ok(answer(document, form, HeaderMap::new()))
}

/// The form that the request's headers ask for, unless its bytes have to be made first. `Last-Modified` is an opaque text
/// that Composer repeats byte for byte in `If-Modified-Since`: only the very same text means that the client has these
/// bytes.
pub(crate) fn ready(document: &Document, headers: &HeaderMap) -> Option<Form> {
    let known = headers.get(header::IF_MODIFIED_SINCE);
    if known.is_some_and(|known| known.as_bytes() == document.last_modified) {
        return Some(Form::Known);
    }
    match choose(headers) {
        Encoding::Zstd => Some(Form::Bytes(document.zstd.clone(), Some("zstd"))),
        Encoding::Gzip => Some(Form::Bytes(document.gzip.clone(), Some("gzip"))),
        Encoding::Identity => None,
    }
}

/// The answer; `headers` is an empty map, which a caller may have at hand with room in it.
pub(crate) fn answer(document: &Document, form: Form, mut headers: HeaderMap) -> Response {
    headers.reserve(HEADERS);
    headers.insert(header::CONTENT_TYPE, JSON);
    if let Ok(date) = HeaderValue::from_maybe_shared(document.last_modified.clone()) {
        headers.insert(header::LAST_MODIFIED, date);
    }
    headers.insert(header::CACHE_CONTROL, CACHE_CONTROL);
    headers.insert(header::VARY, VARY);
    let mut response = match form {
        Form::Known => not_modified(),
        Form::Bytes(bytes, encoding) => {
            if let Some(encoding) = encoding {
                let encoding = HeaderValue::from_static(encoding);
                headers.insert(header::CONTENT_ENCODING, encoding);
            }
            Response::new(bytes.into())
        }
    };
    *response.headers_mut() = headers;
    response
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
