//! The hot path: what memory holds is answered before any router sees the request.
//!
//! It knows no rule of its own. What it cannot answer at once and in full, errors included, it leaves to the router, whose
//! handlers begin with the same look into memory.

use std::cell::RefCell;
use std::convert::Infallible;
use std::future::{Ready, ready};
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::Router;
use axum::body::{Body, HttpBody};
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::Response;
use axum::routing::future::RouteFuture;
use bytes::Bytes;
use futures::future::Either;
use kapelle_registry::clock::Moment;
use kapelle_registry::document::{Document, DocumentError, ROOT, remembered};
use kapelle_registry::token::{self, Fingerprint};
use secrecy::ExposeSecret;
use tower::{BoxError, Service};

use crate::api::target;
use crate::composer::document::{self, Form};
use crate::error;
use crate::extract::{Seen, Shown, shown_in};
use crate::observe::{Asked, REQUEST_ID, cut};
use crate::router::{self, P2_ROUTE, ROOT_ROUTE};
use crate::state::AppState;

/// Everything on the public listener.
#[derive(Clone, Debug)]
pub struct HttpService(Arc<(AppState, Router)>);

impl HttpService {
    /// Serves what `state` holds.
    pub fn new(state: AppState) -> Self {
        let router = router::router(state.clone());
        Self(Arc::new((state, router)))
    }

    /// The service for one connection.
    pub fn caller(&self) -> Caller {
        Caller {
            service: self.clone(),
            seen: RefCell::default(),
        }
    }
}

/// The service as one connection has it.
#[derive(Debug)]
pub struct Caller {
    service: HttpService,
    seen: RefCell<Seen>,
}

impl Caller {
    /// The answer, if memory has it: nothing is waited for. What is not answered stays as it is.
    pub fn at_once<B>(&self, request: &mut Request<B>) -> Option<Response> {
        answer(&self.service.0.0, &mut self.seen.borrow_mut(), request)
    }

    /// The answer to any request.
    pub fn in_full<B>(&self, mut request: Request<B>) -> RouteFuture<Infallible>
    where
        B: HttpBody<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        target::route(&mut request);
        self.service.0.1.clone().call(request)
    }
}

/// Each request as on a connection of its own.
impl<B> Service<Request<B>> for HttpService
where
    B: HttpBody<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    type Response = Response;
    type Error = Infallible;
    type Future = Either<Ready<Result<Response, Infallible>>, RouteFuture<Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        let caller = self.caller();
        match caller.at_once(&mut request) {
            Some(response) => Either::Left(ready(Ok(response))),
            None => Either::Right(caller.in_full(request)),
        }
    }
}

/// The answer to a GET of a document that memory holds.
fn answer<B>(state: &AppState, seen: &mut Seen, request: &mut Request<B>) -> Option<Response> {
    let place = request.uri().path().strip_prefix("/repo/")?;
    let (organization, route) = route(place)?;
    if request.method() != Method::GET {
        return None;
    }
    let moment = state.registry().moment();
    let heard = Heard::of(request.headers())?;
    let found = found(state, seen, place, &heard, moment)?;
    let id = state.request_id(heard.id);
    let asked = Asked {
        id: &id,
        method: "GET",
        path: cut(request.uri().path()),
        route,
        organization,
        started: moment.instant,
    };
    let (status, bytes) = match &found {
        Found::Document(_, form) => (form.status(), form.len()),
        Found::Nothing => (StatusCode::NOT_FOUND, error::not_found().len() as u64),
    };
    asked.finish(state, status, bytes);
    // The server keeps the map for the next request: nothing is allocated.
    let mut headers = std::mem::take(request.headers_mut());
    headers.clear();
    let body = match found {
        Found::Document(document, form) => {
            document::describe(&document, Some(&form), &mut headers);
            match form {
                Form::Known => Body::empty(),
                Form::Bytes(bytes, _) => bytes.into(),
            }
        }
        Found::Nothing => {
            error::describe(&mut headers);
            Body::from(error::not_found())
        }
    };
    headers.insert(REQUEST_ID, id.into_header());
    let mut response = Response::new(body);
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    Some(response)
}

/// The headers that matter here, found in one pass.
#[derive(Debug, Default)]
struct Heard<'a> {
    authorization: Option<&'a HeaderValue>,
    since: Option<&'a HeaderValue>,
    encoding: Option<&'a HeaderValue>,
    id: Option<&'a HeaderValue>,
}

impl<'a> Heard<'a> {
    /// `None` where one is there twice.
    fn of(headers: &'a HeaderMap) -> Option<Self> {
        let mut heard = Self::default();
        for (name, value) in headers {
            let place = match *name {
                header::AUTHORIZATION => &mut heard.authorization,
                header::IF_MODIFIED_SINCE => &mut heard.since,
                header::ACCEPT_ENCODING => &mut heard.encoding,
                _ if *name == REQUEST_ID => &mut heard.id,
                _ => continue,
            };
            if place.replace(value).is_some() {
                return None;
            }
        }
        Some(heard)
    }
}

/// What memory has for a request.
enum Found {
    Document(Arc<Document>, Form),
    /// It remembers that there is no such package.
    Nothing,
}

/// The organization in `place`, and the route that has it.
fn route(place: &str) -> Option<(&str, &'static str)> {
    let (organization, path) = place.split_once('/')?;
    match path {
        ROOT => Some((organization, ROOT_ROUTE)),
        _ if path.starts_with("p2/") => Some((organization, P2_ROUTE)),
        _ => None,
    }
}

fn found(
    state: &AppState,
    seen: &mut Seen,
    place: &str,
    heard: &Heard<'_>,
    moment: Moment,
) -> Option<Found> {
    state.check_freshness_at(moment.passed).ok()?;
    let authorization = heard.authorization?;
    let (known, token) = fingerprint(seen, authorization)?;
    let actor = token::remembered(state.registry(), &token, moment.now)?;
    if !known {
        // Only what opens something: nobody else has anything kept for as long as they stay.
        seen.remember(authorization, token);
    }
    match remembered(state.registry(), &actor, place)? {
        Ok(document) => {
            let form = document::ready(&document, heard.since, heard.encoding.into_iter())?;
            Some(Found::Document(document, form))
        }
        Err(DocumentError::Unknown) if !place.ends_with(ROOT) => Some(Found::Nothing),
        Err(_) => None,
    }
}

/// The token that a header shows, and whether it is the one that was seen last.
fn fingerprint(seen: &Seen, authorization: &HeaderValue) -> Option<(bool, Fingerprint)> {
    if let Some(known) = seen.get(authorization) {
        return Some((true, known));
    }
    match shown_in(authorization) {
        Shown::Secret(secret) => Some((false, Fingerprint::of(secret.expose_secret()))),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_documents_are_looked_for() {
        assert_eq!(route("acme/packages.json"), Some(("acme", ROOT_ROUTE)));
        assert_eq!(route("acme/p2/acme/lib.json"), Some(("acme", P2_ROUTE)));
        assert_eq!(route("acme/packages/packages.json"), None);
        assert_eq!(route("acme/search.json"), None);
        assert_eq!(route("acme"), None);
    }
}
