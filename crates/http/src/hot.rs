//! The hot path: what memory holds is answered before any router sees the request.
//!
//! It knows no rule of its own. What it cannot answer at once and in full, errors included, it leaves to the router, whose
//! handlers begin with the same look into memory.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use axum::Router;
use axum::body::HttpBody;
use axum::extract::Request;
use axum::http::{HeaderMap, Method};
use axum::response::{IntoResponse, Response};
use axum::routing::future::RouteFuture;
use bytes::Bytes;
use futures::future::Either;
use kapelle_registry::document::{Document, DocumentError, ROOT, remembered};
use kapelle_registry::token;
use secrecy::ExposeSecret;
use tower::{BoxError, Service};

use crate::composer::document::{self, Form};
use crate::error::ApiError;
use crate::extract::{Shown, shown};
use crate::observe::{Asked, cut};
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
}

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
        let (state, router) = &*self.0;
        match answer(state, &mut request) {
            Some(response) => Either::Left(ready(Ok(response))),
            None => Either::Right(router.clone().call(request)),
        }
    }
}

/// The answer to a GET of a document that memory holds.
fn answer<B>(state: &AppState, request: &mut Request<B>) -> Option<Response> {
    let started = Instant::now();
    let place = request.uri().path().strip_prefix("/repo/")?;
    let route = route(place)?;
    if request.method() != Method::GET {
        return None;
    }
    let found = found(state, place, request.headers())?;
    let id = state.request_id(request.headers());
    let mut response = match found {
        Found::Document(document, form) => {
            // The server keeps the map for the next request: nothing is allocated.
            let mut headers = std::mem::take(request.headers_mut());
            headers.clear();
            document::answer(&document, form, headers)
        }
        Found::Nothing => ApiError::NotFound.into_response(),
    };
    let asked = Asked {
        id: &id,
        method: "GET",
        path: cut(request.uri().path()),
        route,
        started,
    };
    asked.finish(state, &mut response);
    Some(response)
}

/// What memory has for a request.
enum Found {
    Document(Arc<Document>, Form),
    /// It remembers that there is no such package.
    Nothing,
}

/// The route that has `place`.
fn route(place: &str) -> Option<&'static str> {
    let (_, path) = place.split_once('/')?;
    match path {
        ROOT => Some(ROOT_ROUTE),
        _ if path.starts_with("p2/") => Some(P2_ROUTE),
        _ => None,
    }
}

fn found(state: &AppState, place: &str, headers: &HeaderMap) -> Option<Found> {
    state.check_freshness().ok()?;
    let Shown::Secret(secret) = shown(headers) else {
        return None;
    };
    let actor = token::remembered(state.registry(), secret.expose_secret())?;
    match remembered(state.registry(), &actor, place)? {
        Ok(document) => {
            let form = document::ready(&document, headers)?;
            Some(Found::Document(document, form))
        }
        Err(DocumentError::Unknown) if !place.ends_with(ROOT) => Some(Found::Nothing),
        Err(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_documents_are_looked_for() {
        assert_eq!(route("acme/packages.json"), Some(ROOT_ROUTE));
        assert_eq!(route("acme/p2/acme/lib.json"), Some(P2_ROUTE));
        assert_eq!(route("acme/packages/packages.json"), None);
        assert_eq!(route("acme/search.json"), None);
        assert_eq!(route("acme"), None);
    }
}
