//! Requests and answers.

use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode};
use url::Url;

use crate::body::BodyStream;
use crate::redirect::Hop;

/// A request to send.
#[derive(Clone, Debug)]
pub struct Request {
    /// Its method. GET and HEAD are tried again as the [`RetryPolicy`](crate::RetryPolicy) says.
    pub method: Method,
    /// Where to.
    pub url: Url,
    /// Its headers. Those that may be credentials are not sent on to another origin.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Option<Bytes>,
    /// How large the answer's body may be, decompressed.
    pub max_bytes: u64,
}

/// An answer with its whole body, whatever its status.
#[derive(Clone, Debug)]
pub struct Response {
    /// Its status; an error status is not an error of the client.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body, decompressed.
    pub body: Bytes,
    /// Where it came from, after redirects.
    pub url: Url,
}

/// An answer whose body is still to be read.
#[derive(Debug)]
pub struct StreamingResponse {
    /// Its status; an error status is not an error of the client.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body, decompressed while it is read.
    pub body: BodyStream,
    /// Where it came from, after redirects.
    pub url: Url,
}

impl Request {
    /// A GET.
    pub fn get(url: &Url, headers: HeaderMap, max_bytes: u64) -> Self {
        Self {
            method: Method::GET,
            url: url.clone(),
            headers,
            body: None,
            max_bytes,
        }
    }
}

impl From<Request> for Hop {
    fn from(request: Request) -> Self {
        Self {
            method: request.method,
            url: request.url,
            headers: request.headers,
            body: request.body,
        }
    }
}
