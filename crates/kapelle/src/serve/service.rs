//! What answers the requests of one connection: memory at once, everything else on other threads.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use axum::body::Body;
use axum::http::{Request, Response};
use hyper::body::Incoming;
use hyper::service::Service;
use kapelle_http::Caller;
use tokio::runtime::Handle;
use tokio::task::JoinError;
use tokio_util::task::AbortOnDropHandle;

/// Somebody who answers some requests without waiting for anything.
pub(super) trait Answers {
    /// The answer, if there is nothing to wait for.
    fn at_once(&self, request: &mut Request<Incoming>) -> Option<Response<Body>>;

    /// The answer to any request.
    fn in_full(&self, request: Request<Incoming>) -> impl Work;
}

/// Work on an answer.
pub(super) trait Work:
    Future<Output = Result<Response<Body>, Infallible>> + Send + 'static
{
}

impl<F: Future<Output = Result<Response<Body>, Infallible>> + Send + 'static> Work for F {}

impl Answers for Caller {
    fn at_once(&self, request: &mut Request<Incoming>) -> Option<Response<Body>> {
        self.at_once(request)
    }

    fn in_full(&self, request: Request<Incoming>) -> impl Work {
        self.in_full(request)
    }
}

/// Answers where it is called if nothing has to be waited for, and lets whatever takes longer run `elsewhere`: it holds up
/// nobody else on this thread.
#[derive(Debug)]
pub(super) struct Divided<A> {
    pub(super) answers: A,
    pub(super) elsewhere: Handle,
}

impl<A: Answers> Service<Request<Incoming>> for Divided<A> {
    type Response = Response<Body>;
    type Error = JoinError;
    type Future = Answer;

    fn call(&self, mut request: Request<Incoming>) -> Answer {
        if let Some(response) = self.answers.at_once(&mut request) {
            return Answer::Ready(Some(response));
        }
        let working = self.elsewhere.spawn(self.answers.in_full(request));
        Answer::Working(AbortOnDropHandle::new(working))
    }
}

/// An answer on its way. Whoever drops it, because the client went away, ends the work on it.
#[derive(Debug)]
pub(super) enum Answer {
    /// Taken by the first poll.
    Ready(Option<Response<Body>>),
    Working(AbortOnDropHandle<Result<Response<Body>, Infallible>>),
}

impl Future for Answer {
    type Output = Result<Response<Body>, JoinError>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match self.get_mut() {
            Self::Ready(response) => response
                .take()
                .map_or(Poll::Pending, |response| Poll::Ready(Ok(response))),
            Self::Working(working) => {
                let Ok(response) = ready!(Pin::new(working).poll(context))?;
                Poll::Ready(Ok(response))
            }
        }
    }
}
