//! Around every request: its id, panics, access log, metrics.

use std::any::Any;
use std::fmt;
use std::panic::AssertUnwindSafe;
use std::time::{Duration, Instant};

use axum::body::HttpBody as _;
use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderName, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures::FutureExt;

use crate::api::target::Sent;
use crate::error::{ApiError, Cause};
use crate::state::{AppState, RequestId};

/// Longest path that is logged, in bytes.
const PATH: usize = 512;
/// The header in which a request has its id, and its answer again.
pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Where lines about requests go: there is one for each, so they do not take the way of all other events.
pub trait AccessLog: fmt::Debug + Send + Sync {
    /// Takes one line. Called for every request, by many threads.
    fn write(&self, line: &AccessLine<'_>);
}

/// What is logged of a request and its answer.
#[derive(Clone, Copy, Debug)]
pub struct AccessLine<'a> {
    /// The request's id.
    pub request: &'a str,
    /// Its method.
    pub method: &'a str,
    /// Its path without the query, shortened.
    pub path: &'a str,
    /// The answer's status.
    pub status: u16,
    /// How long it took until the answer's body began.
    pub elapsed: Duration,
    /// The length of the answer's body, as far as it is known.
    pub bytes: u64,
    /// The organization in the path, or nothing.
    pub organization: &'a str,
}

/// The layer around all routes: runs the request, answers a panic, repeats the request's id and writes one line
/// about it.
pub(crate) async fn observe(
    State(state): State<AppState>,
    request: Request,
    next: Next,
) -> Response {
    let started = Instant::now();
    let id = state.request_id(request.headers().get(REQUEST_ID));
    let method = known(request.method());
    let sent = request.extensions().get::<Sent>();
    let path = sent.map_or(request.uri(), |Sent(uri)| uri).path();
    let path = cut(path).to_owned();
    let route = request.extensions().get::<MatchedPath>().cloned();
    let mut response = answered(next.run(request)).await;
    if let Some(Cause(cause)) = response.extensions_mut().remove() {
        tracing::error!(
            request = id.as_str(),
            method,
            path,
            cause,
            "a request failed"
        );
        response = ApiError::Internal(cause).answer(Some(id.as_str()));
    }
    let asked = Asked {
        id: &id,
        method,
        path: &path,
        route: route.as_ref().map_or("none", MatchedPath::as_str),
        organization: organization(&path),
        started,
    };
    asked.finish(&state, response.status(), length(&response));
    response.headers_mut().insert(REQUEST_ID, id.into_header());
    response
}

/// The answer, also when making it panics.
async fn answered(answer: impl Future<Output = Response>) -> Response {
    let outcome = AssertUnwindSafe(answer).catch_unwind().await;
    outcome.unwrap_or_else(|panic| ApiError::Internal(sentence(&*panic)).into_response())
}

/// What is known of a request before it runs. Never its headers or its query, which may hold secrets.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked<'a> {
    /// The request's id.
    pub(crate) id: &'a RequestId,
    /// A [`known`] method.
    pub(crate) method: &'static str,
    /// The path, [`cut`].
    pub(crate) path: &'a str,
    /// The pattern of the route, or `none`.
    pub(crate) route: &'a str,
    /// The organization in the path, if the path has one.
    pub(crate) organization: &'a str,
    /// When it came.
    pub(crate) started: Instant,
}

impl Asked<'_> {
    /// Logs and counts the answer, whose body has so many bytes.
    pub(crate) fn finish(&self, state: &AppState, status: StatusCode, bytes: u64) {
        let elapsed = self.started.elapsed();
        state.access_log().write(&AccessLine {
            request: self.id.as_str(),
            method: self.method,
            path: self.path,
            status: status.as_u16(),
            elapsed,
            bytes,
            organization: self.organization,
        });
        state
            .figures()
            .record(self.route, self.method, status, elapsed);
    }
}

/// The organization in a path.
fn organization(path: &str) -> &str {
    let mut parts = path.split('/').skip(1);
    match parts.next() {
        Some("repo") => parts.next().unwrap_or_default(),
        Some("hooks") => parts.nth(1).unwrap_or_default(),
        _ => "",
    }
}

/// As much of a path as is logged.
pub(crate) fn cut(path: &str) -> &str {
    &path[..path.floor_char_boundary(PATH)]
}

/// The bytes that the answer's body has, as far as that is known now.
fn length(response: &Response) -> u64 {
    let stated = response.headers().get(header::CONTENT_LENGTH);
    let stated = stated.and_then(|length| length.to_str().ok()?.parse().ok());
    stated
        .or_else(|| response.body().size_hint().exact())
        .unwrap_or(0)
}

/// A method as a label: clients cannot invent labels.
fn known(method: &Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "HEAD" => "HEAD",
        "POST" => "POST",
        "PUT" => "PUT",
        "PATCH" => "PATCH",
        "DELETE" => "DELETE",
        "OPTIONS" => "OPTIONS",
        _ => "other",
    }
}

/// What a panic said.
fn sentence(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    format!("panicked: {}", text.unwrap_or("without a sentence"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_path_is_cut_wherever_its_characters_lie() {
        for start in ["/", "/a", "/ab"] {
            let path = format!("{start}{}", "\u{20ac}".repeat(9_000));
            let logged = cut(&path);
            assert!(logged.len() <= PATH && path.starts_with(logged));
        }
    }

    #[tokio::test]
    async fn a_panic_is_answered_and_its_cause_kept_for_the_log() {
        let response = answered(async { panic!("number {}", 7) }).await;
        assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
        let Cause(cause) = response.extensions().get().unwrap();
        assert_eq!(cause, "panicked: number 7");
    }
}
