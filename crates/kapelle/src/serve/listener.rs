//! The doors: plain HTTP or TLS for clients, and one of their own for the metrics.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::time::Duration;

use anyhow::Context;
use axum_server::accept::NoDelayAcceptor;
use axum_server::tls_rustls::{RustlsAcceptor, RustlsConfig};
use axum_server::{Handle, Server};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use kapelle_http::HttpService;
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tokio::sync::Mutex;
use tokio::task::JoinSet;
use tower::make::Shared;
use url::Url;

use super::patience::Patient;
use super::timer::ReusingTimer;
use super::tls;
use crate::app::App;

/// How often old figures are folded together.
const UPKEEP: Duration = Duration::from_secs(1);
/// How often it is asked whether connections are left.
const LOOK: Duration = Duration::from_millis(20);
/// Upper ends of the classes of durations, in seconds.
const SECONDS: [f64; 11] = [
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.5, 2.5, 10.0, 60.0,
];

/// Bound addresses; nobody is served yet.
#[derive(Debug)]
pub(super) struct Listener {
    socket: TcpListener,
    address: SocketAddr,
    tls: Option<RustlsConfig>,
    metrics: Option<TcpListener>,
    /// How long a client may take to send the head of a request.
    limit: Duration,
}

impl Listener {
    /// Binds what the settings name, and reads or makes the certificate.
    pub(super) async fn bind(app: &App) -> anyhow::Result<Self> {
        let settings = app.settings();
        let socket = bind(settings.server.listen)?;
        let address = socket.local_addr()?;
        let metrics = settings.metrics.listen.map(bind).transpose()?;
        let tls = tls::configure(&settings.server, &app.data).await?;
        Ok(Self {
            socket,
            address,
            tls,
            metrics,
            limit: settings.server.header_timeout,
        })
    }

    /// The address as it was bound, with the port that was found: `http://0.0.0.0:8080`.
    pub(super) fn address(&self) -> String {
        format!("{}://{}", self.scheme(), self.address)
    }

    /// Where a client on this machine reaches us.
    pub(super) fn url(&self) -> anyhow::Result<Url> {
        let mut address = self.address;
        if address.ip().is_unspecified() {
            let local = if address.is_ipv4() {
                Ipv4Addr::LOCALHOST.into()
            } else {
                Ipv6Addr::LOCALHOST.into()
            };
            address.set_ip(local);
        }
        Ok(Url::parse(&format!("{}://{address}/", self.scheme()))?)
    }

    fn scheme(&self) -> &'static str {
        if self.tls.is_some() { "https" } else { "http" }
    }

    /// Begins to serve.
    pub(super) fn serve(
        self,
        service: HttpService,
        metrics: Option<PrometheusHandle>,
    ) -> anyhow::Result<Serving> {
        let (handle, limit) = (Handle::new(), self.limit);
        let mut servers = JoinSet::new();
        if let Some(figures) = &metrics {
            servers.spawn(keep(figures.clone()));
        }
        if let (Some(socket), Some(figures)) = (self.metrics, metrics) {
            let server = plain(socket, limit)?.handle(handle.clone());
            servers.spawn(server.serve(kapelle_http::metrics_router(figures).into_make_service()));
        }
        let service = Shared::new(service);
        if let Some(tls) = self.tls {
            let server = encrypted(self.socket, tls, limit)?;
            servers.spawn(server.handle(handle.clone()).serve(service));
        } else {
            let server = plain(self.socket, limit)?;
            servers.spawn(server.handle(handle.clone()).serve(service));
        }
        Ok(Serving {
            handle,
            servers: Mutex::new(servers),
        })
    }
}

/// A server that serves.
#[derive(Debug)]
pub(super) struct Serving {
    handle: Handle<SocketAddr>,
    servers: Mutex<JoinSet<std::io::Result<()>>>,
}

impl Serving {
    /// Comes back only when a server fails.
    pub(super) async fn ended(&self) -> anyhow::Result<()> {
        match self.servers.lock().await.join_next().await {
            Some(ended) => ended?.context("the server failed"),
            None => Ok(()),
        }
    }

    /// Takes no more connections, and gives requests that run `limit` to end.
    pub(super) async fn drain(&self, limit: Duration) {
        self.handle.graceful_shutdown(Some(limit));
        let drained = async {
            while self.handle.connection_count() > 0 {
                tokio::time::sleep(LOOK).await;
            }
        };
        if tokio::time::timeout(limit, drained).await.is_err() {
            tracing::warn!(
                connections = self.handle.connection_count(),
                "connections were closed before their time"
            );
        }
    }
}

/// Starts to count if anybody is allowed to see the figures.
pub(super) fn metrics(app: &App) -> anyhow::Result<Option<PrometheusHandle>> {
    let settings = &app.settings().metrics;
    if settings.listen.is_none() && settings.token.is_none() {
        return Ok(None);
    }
    let durations = Matcher::Suffix("_seconds".to_owned());
    let builder = PrometheusBuilder::new().set_buckets_for_metric(durations, &SECONDS)?;
    Ok(Some(
        builder
            .install_recorder()
            .context("figures cannot be counted")?,
    ))
}

async fn keep(figures: PrometheusHandle) -> std::io::Result<()> {
    loop {
        tokio::time::sleep(UPKEEP).await;
        figures.run_upkeep();
    }
}

fn bind(address: SocketAddr) -> anyhow::Result<TcpListener> {
    let socket =
        TcpListener::bind(address).with_context(|| format!("{address} cannot be listened on"))?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

/// Without TLS every client speaks HTTP/1.
fn plain(
    socket: TcpListener,
    limit: Duration,
) -> anyhow::Result<Server<SocketAddr, Patient<NoDelayAcceptor>>> {
    let inner = NoDelayAcceptor;
    let mut server = axum_server::from_tcp(socket)?.acceptor(Patient { inner, limit });
    *server.http_builder() = Builder::new(TokioExecutor::new()).http1_only();
    server
        .http_builder()
        .http1()
        .timer(ReusingTimer)
        .header_read_timeout(limit);
    Ok(server)
}

fn encrypted(
    socket: TcpListener,
    tls: RustlsConfig,
    limit: Duration,
) -> anyhow::Result<Server<SocketAddr, Patient<RustlsAcceptor<NoDelayAcceptor>>>> {
    let inner = RustlsAcceptor::new(tls).acceptor(NoDelayAcceptor);
    let mut server = axum_server::from_tcp(socket)?.acceptor(Patient { inner, limit });
    server
        .http_builder()
        .http1()
        .timer(ReusingTimer)
        .header_read_timeout(limit)
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(limit)
        .keep_alive_timeout(limit);
    Ok(server)
}
