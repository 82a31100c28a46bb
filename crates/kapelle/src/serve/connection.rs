//! One connection, from its first byte until it ends or the server does.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use axum::BoxError;
use axum::body::Body;
use axum::http::{Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::Service;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::coop::unconstrained;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;

use super::patience::Patient;
use super::timer::ReusingTimer;

/// How long a TLS handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// How long a client may take nothing of an answer.
const STALL: Duration = Duration::from_mins(1);

/// How far a server is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Phase {
    /// Whoever comes is served.
    Open,
    /// Requests that run are answered, and nothing else.
    Draining,
    /// Whatever is left ends at once.
    Closed,
}

/// How connections are spoken on.
#[derive(Debug)]
pub(super) struct Protocol {
    tls: Option<Arc<ServerConfig>>,
    http1: http1::Builder,
    either: auto::Builder<TokioExecutor>,
    /// How long a client may take to send the head of a request.
    limit: Duration,
}

impl Protocol {
    /// Without TLS every client speaks HTTP/1.
    pub(super) fn new(tls: Option<Arc<ServerConfig>>, limit: Duration) -> Self {
        let mut http1 = http1::Builder::new();
        http1.timer(ReusingTimer).header_read_timeout(limit);
        let mut either = auto::Builder::new(TokioExecutor::new());
        either
            .http1()
            .timer(ReusingTimer)
            .header_read_timeout(limit)
            .http2()
            .timer(TokioTimer::new())
            .keep_alive_interval(limit)
            .keep_alive_timeout(limit);
        Self {
            tls,
            http1,
            either,
            limit,
        }
    }

    /// Answers what comes on `stream`. What goes wrong ends the connection and is the client's to notice.
    pub(super) async fn converse<S>(
        self: Arc<Self>,
        stream: TcpStream,
        service: S,
        mut phase: watch::Receiver<Phase>,
    ) where
        S: Service<Request<Incoming>, Response = Response<Body>> + Send + 'static,
        S::Future: Send + 'static,
        S::Error: Into<BoxError>,
    {
        let Some(tls) = &self.tls else {
            let stream = TokioIo::new(Patient::new(stream, STALL));
            let connection = self.http1.serve_connection(stream, service);
            let ended = until_the_end(connection, http1::Connection::graceful_shutdown, phase);
            return log(ended.await);
        };
        let shaking = TlsAcceptor::from(Arc::clone(tls)).accept(stream);
        let stream = tokio::select! {
            shaken = timeout(HANDSHAKE, shaking) => shaken,
            _ = phase.changed() => return,
        };
        let Ok(Ok(stream)) = stream else {
            return;
        };
        let stream = TokioIo::new(Patient::new(stream, STALL).greeted(self.limit));
        let connection = self.either.serve_connection(stream, service);
        let ended = until_the_end(connection, auto::Connection::graceful_shutdown, phase);
        log(ended.await);
    }
}

fn log<E: std::fmt::Display>(ended: Result<(), E>) {
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection broke off");
    }
}

/// Drives a connection; once the server drains, `finish` tells it to end after the request that runs.
async fn until_the_end<C: Future>(
    connection: C,
    finish: fn(Pin<&mut C>),
    phase: watch::Receiver<Phase>,
) -> C::Output {
    let mut connection = pin!(connection);
    let mut notified = phase.clone();
    // However much the connection has done in its turn: a poll that is put off would be the last one.
    let mut notified = pin!(unconstrained(notified.changed()));
    let (mut is_awaited, mut is_told) = (false, false);
    poll_fn(move |context| {
        if let Poll::Ready(output) = connection.as_mut().poll(context) {
            return Poll::Ready(output);
        }
        // To poll a notification costs two locks. It is enough to do it once, because a task has one waker for ever.
        if !is_awaited {
            is_awaited = true;
            let _ = notified.as_mut().poll(context);
        }
        // An error says that the server itself is gone.
        if !is_told && phase.has_changed().unwrap_or(true) {
            is_told = true;
            finish(connection.as_mut());
            return connection.as_mut().poll(context);
        }
        Poll::Pending
    })
    .await
}
