//! What a faulty S3 server does to requests: refuses, cuts, halves or delays them.

use std::io;
use std::sync::{Mutex, PoisonError};

use axum::body::{Body, Bytes, to_bytes};
use axum::http::{Method, Request, Response, StatusCode};
use futures::{StreamExt as _, stream};
use s3s::service::S3Service;
use tokio::sync::watch;

/// The largest answer that is halved.
const MAX_ANSWER: usize = 64 << 20;

/// What becomes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum S3Fault {
    /// It is answered with 503, as by a service that has too much to do.
    Busy,
    /// The connection is cut instead of an answer.
    Cut,
    /// Half of the answer's body is sent, then the connection is cut.
    Half,
    /// It waits until the server is healed.
    Slow,
}

/// Which requests meet a fault.
#[derive(Clone, Debug)]
pub struct S3Failing {
    /// What becomes of them.
    pub fault: S3Fault,
    /// Each so-many-th of those with the method; 1 is all of them.
    pub every: usize,
    /// Only with this method; `None` is any.
    pub method: Option<Method>,
}

impl S3Failing {
    /// Every deletion; what is to be deleted comes as a list in a POST.
    #[must_use]
    pub fn deletions(fault: S3Fault) -> Self {
        Self {
            fault,
            every: 1,
            method: Some(Method::POST),
        }
    }
}

/// The faults of one server.
#[derive(Debug)]
pub(crate) struct Faults {
    failing: Mutex<Option<(S3Failing, usize)>>,
    healed: watch::Sender<u64>,
    met: Mutex<Vec<String>>,
}

impl Faults {
    pub(crate) fn none() -> Self {
        Self {
            failing: Mutex::default(),
            healed: watch::Sender::new(0),
            met: Mutex::default(),
        }
    }

    pub(crate) fn set(&self, failing: Option<S3Failing>) {
        *lock(&self.failing) = failing.map(|failing| (failing, 0));
        self.healed.send_modify(|times| *times += 1);
    }

    /// Method and path of the requests that met a fault.
    pub(crate) fn met(&self) -> Vec<String> {
        lock(&self.met).clone()
    }

    /// The answer; an error cuts the connection.
    pub(crate) async fn answer(
        &self,
        service: &S3Service,
        request: Request<s3s::Body>,
    ) -> io::Result<Response<Body>> {
        let mut healed = self.healed.subscribe();
        match self.fault(&request) {
            Some(S3Fault::Busy) => {
                let mut busy = Response::new(Body::from("<Error><Code>SlowDown</Code></Error>"));
                *busy.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
                return Ok(busy);
            }
            Some(S3Fault::Cut) => return Err(io::Error::other("cut")),
            Some(S3Fault::Half) => return halved(served(service, request).await?).await,
            Some(S3Fault::Slow) => healed.changed().await.map_err(io::Error::other)?,
            None => {}
        }
        served(service, request).await
    }

    fn fault(&self, request: &Request<s3s::Body>) -> Option<S3Fault> {
        let mut failing = lock(&self.failing);
        let (failing, seen) = failing.as_mut()?;
        if failing
            .method
            .as_ref()
            .is_some_and(|method| method != request.method())
        {
            return None;
        }
        *seen += 1;
        if *seen % failing.every != 0 {
            return None;
        }
        let path = request.uri().path();
        lock(&self.met).push(format!("{} {path}", request.method()));
        Some(failing.fault)
    }
}

async fn served(service: &S3Service, request: Request<s3s::Body>) -> io::Result<Response<Body>> {
    let answer = service.call(request).await;
    let answer = answer.map_err(|error| io::Error::other(format!("{error:?}")))?;
    Ok(answer.map(Body::new))
}

/// The same headers, which promise all of it, and half of the body.
async fn halved(answer: Response<Body>) -> io::Result<Response<Body>> {
    let (parts, body) = answer.into_parts();
    let body = to_bytes(body, MAX_ANSWER).await.map_err(io::Error::other)?;
    let half: io::Result<Bytes> = Ok(body.slice(..body.len() / 2));
    let cut = async {
        // In between, the server writes what it has.
        tokio::task::yield_now().await;
        Err(io::Error::other("cut"))
    };
    let body = stream::iter([half]).chain(stream::once(cut));
    Ok(Response::from_parts(parts, Body::from_stream(body)))
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
