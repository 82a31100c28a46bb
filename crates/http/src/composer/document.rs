//! A finished document as an answer: 304 on exact equality, else the bytes in the form the client wants.

use std::io::Read;

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::Response;
use bytes::Bytes;
use flate2::read::GzDecoder;
use kapelle_registry::document::Document;

use super::encoding::{Encoding, choose};
use super::not_modified::not_modified;
use crate::error::ApiError;

/// Answers with `document`. `Last-Modified` is an opaque text that Composer repeats byte for byte in
/// `If-Modified-Since`: only the very same text means that the client has these bytes.
pub(super) async fn respond(
    document: &Document,
    headers: &HeaderMap,
) -> Result<Response, ApiError> {
    let last_modified = HeaderValue::from_str(&document.last_modified).map_err(|_| {
        ApiError::Internal("a document's Last-Modified is no header value".to_owned())
    })?;
    let response = if headers.get(header::IF_MODIFIED_SINCE) == Some(&last_modified) {
        not_modified()
    } else {
        body(document, choose(headers)).await?
    };
    Ok(with_headers(response, last_modified))
}

async fn body(document: &Document, encoding: Encoding) -> Result<Response, ApiError> {
    let (bytes, name) = match encoding {
        Encoding::Zstd => (document.zstd.clone(), Some("zstd")),
        Encoding::Gzip => (document.gzip.clone(), Some("gzip")),
        Encoding::Identity => (inflate(document.gzip.clone()).await?, None),
    };
    let mut response = Response::new(Body::from(bytes));
    if let Some(name) = name {
        response
            .headers_mut()
            .insert(header::CONTENT_ENCODING, HeaderValue::from_static(name));
    }
    Ok(response)
}

fn with_headers(mut response: Response, last_modified: HeaderValue) -> Response {
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/json"),
    );
    headers.insert(header::LAST_MODIFIED, last_modified);
    headers.insert(
        header::CACHE_CONTROL,
        HeaderValue::from_static("private, max-age=0, must-revalidate"),
    );
    headers.insert(
        header::VARY,
        HeaderValue::from_static("Accept-Encoding, Authorization"),
    );
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
