//! 304: the client has these bytes.

use std::convert::Infallible;

use axum::body::Body;
use axum::http::StatusCode;
use axum::response::Response;
use bytes::Bytes;
use futures::stream;

/// An answer without a body and without `Content-Length`, which in a 304 would have to be that of the whole body. The
/// stream of nothing has no size that the router could write there.
pub(super) fn not_modified() -> Response {
    let nothing = stream::empty::<Result<Bytes, Infallible>>();
    let mut response = Response::new(Body::from_stream(nothing));
    *response.status_mut() = StatusCode::NOT_MODIFIED;
    response
}
