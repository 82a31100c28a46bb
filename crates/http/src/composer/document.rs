//! A finished document as an answer: 304 on exact equality, else the bytes in the form the client wants.

use std::io::{self, Read};

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::Response;
use bytes::{Buf, Bytes};
use flate2::read::GzDecoder;
use futures::{StreamExt, stream};
use kapelle_registry::document::Document;

use super::encoding::{Encoding, choose};
use super::not_modified::not_modified;
use crate::error::ApiError;

/// Room for the headers of an answer.
const HEADERS: usize = 8;
/// Bytes that are inflated at a time.
const PIECE: usize = 64 * 1024;
const JSON: HeaderValue = HeaderValue::from_static("application/json");
const CACHE_CONTROL: HeaderValue = HeaderValue::from_static("private, max-age=0, must-revalidate");
const VARY: HeaderValue = HeaderValue::from_static("Accept-Encoding, Authorization");

/// What of a document a client is sent.
pub(crate) enum Form {
    /// The client has these bytes.
    Known,
    /// Bytes, and the `Content-Encoding` in which they are.
    Bytes(Bytes, &'static str),
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
pub(super) fn respond(document: &Document, headers: &HeaderMap) -> Result<Response, ApiError> {
    let (since, encodings) = (
        headers.get(header::IF_MODIFIED_SINCE),
        headers.get_all(header::ACCEPT_ENCODING),
    );
    let form = ready(document, since, encodings.iter());
    let mut headers = HeaderMap::new();
    describe(document, form.as_ref(), &mut headers);
    let mut response = match form {
        Some(Form::Known) => not_modified(),
        Some(Form::Bytes(bytes, _)) => Response::new(bytes.into()),
        None => {
            headers.insert(header::CONTENT_LENGTH, inflated_len(&document.gzip).into());
            Response::new(inflated(document.gzip.clone())?)
        }
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
        Encoding::Zstd => Some(Form::Bytes(document.zstd.clone(), "zstd")),
        Encoding::Gzip => Some(Form::Bytes(document.gzip.clone(), "gzip")),
        Encoding::Identity => None,
    }
}

/// Adds the headers of the answer with this form of the document; `None`: its bytes have to be made first.
pub(crate) fn describe(document: &Document, form: Option<&Form>, headers: &mut HeaderMap) {
    headers.reserve(HEADERS);
    headers.insert(header::CONTENT_TYPE, JSON);
    if let Ok(date) = HeaderValue::from_maybe_shared(document.last_modified.clone()) {
        headers.insert(header::LAST_MODIFIED, date);
    }
    headers.insert(header::CACHE_CONTROL, CACHE_CONTROL);
    headers.insert(header::VARY, VARY);
    if let Some(Form::Bytes(_, encoding)) = form {
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static(encoding));
    }
}

/// For the rare client without compression: inflated as the client takes it, because memory would not hold many.
fn inflated(gzip: Bytes) -> Result<Body, ApiError> {
    let mut decoder = GzDecoder::new(gzip.reader());
    let first = piece(&mut decoder);
    let first = first
        .map_err(|error| ApiError::Internal(format!("a stored document is damaged: {error}")))?;
    let rest = stream::unfold(decoder, |mut decoder| async {
        let piece = piece(&mut decoder).transpose()?;
        Some((piece, decoder))
    });
    let first = stream::iter(first.map(Ok));
    Ok(Body::from_stream(first.chain(rest)))
}

/// What comes next; `None` at the end.
fn piece(decoder: &mut impl Read) -> io::Result<Option<Bytes>> {
    let mut piece = Vec::with_capacity(PIECE);
    decoder.take(PIECE as u64).read_to_end(&mut piece)?;
    Ok(Some(piece)
        .filter(|piece| !piece.is_empty())
        .map(Bytes::from))
}

/// How many bytes a document has when it is inflated, as its gzip form says at the end; those with more than 4 GB do not exist.
fn inflated_len(gzip: &[u8]) -> u64 {
    gzip.last_chunk()
        .map_or(0, |end| u32::from_le_bytes(*end).into())
}
