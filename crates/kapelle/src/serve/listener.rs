//! The doors: plain HTTP or TLS for clients, and one of their own for the metrics.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;
use std::{io, thread};

use anyhow::Context;
use futures::future::join_all;
use hyper_util::service::TowerToHyperService;
use kapelle_http::HttpService;
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::runtime::Handle;
use tokio::sync::{Mutex, watch};
use tokio::task::JoinSet;
use tokio_rustls::rustls::ServerConfig;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use url::Url;

use super::accept::accept;
use super::connection::{Phase, Protocol};
use super::front::{Desk, Front};
use super::tls;
use crate::app::App;

/// How many connections there may be to the listener of the metrics.
const FIGURES: usize = 64;
/// How often old figures are folded together.
const UPKEEP: Duration = Duration::from_secs(1);
/// Upper ends of the classes of durations, in seconds.
const SECONDS: [f64; 11] = [
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.5, 2.5, 10.0, 60.0,
];

/// Bound addresses; nobody is served yet.
#[derive(Debug)]
pub(super) struct Listener {
    socket: TcpListener,
    address: SocketAddr,
    tls: Option<Arc<ServerConfig>>,
    metrics: Option<TcpListener>,
    /// How long a client may take to send the head of a request.
    limit: Duration,
}

impl Listener {
    /// Binds what the settings name, and reads or makes the certificate.
    pub(super) fn bind(app: &App) -> anyhow::Result<Self> {
        let settings = app.settings();
        let socket = bind(settings.server.listen)?;
        let address = socket.local_addr()?;
        let metrics = settings.metrics.listen.map(bind).transpose()?;
        let tls = tls::configure(&settings.server, &app.data)?;
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
        let (doors, phase) = watch::channel(Phase::Open);
        let mut servers = JoinSet::new();
        if let Some(figures) = &metrics {
            servers.spawn(keep(figures.clone()));
        }
        if let (Some(socket), Some(figures)) = (self.metrics, metrics) {
            servers.spawn(show(socket, figures, self.limit, phase.clone()));
        }
        let desk = Desk {
            protocol: Arc::new(Protocol::new(self.tls, self.limit)),
            callers: move || service.caller(),
            elsewhere: Handle::current(),
            phase: phase.clone(),
        };
        let threads = thread::available_parallelism()?.get();
        let fronts: anyhow::Result<Vec<Front>> =
            (0..threads).map(|_| Front::start(desk.clone())).collect();
        let fronts = Arc::new(fronts?);
        let (counted, taking) = (Arc::clone(&fronts), Arc::clone(&fronts));
        let most = most_connections();
        let accepting = accept(
            self.socket,
            phase,
            move || counted.iter().map(Front::load).sum::<usize>() >= most,
            move |stream| {
                let idlest = taking.iter().min_by_key(|front| front.load());
                idlest.map_or(Ok(()), |front| front.take(stream))
            },
        );
        let locked = CancellationToken::new();
        let guard = locked.clone().drop_guard();
        servers.spawn(async move {
            let _guard = guard;
            accepting.await
        });
        Ok(Serving {
            doors,
            locked,
            fronts,
            servers: Mutex::new(servers),
        })
    }
}

/// A server that serves.
#[derive(Debug)]
pub(super) struct Serving {
    doors: watch::Sender<Phase>,
    /// Nobody is handed to a front thread any more.
    locked: CancellationToken,
    fronts: Arc<Vec<Front>>,
    servers: Mutex<JoinSet<io::Result<()>>>,
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
        self.doors.send_replace(Phase::Draining);
        self.locked.cancelled().await;
        let deserted = join_all(self.fronts.iter().map(Front::deserted));
        if tokio::time::timeout(limit, deserted).await.is_err() {
            let connections: usize = self.fronts.iter().map(Front::load).sum();
            tracing::warn!(connections, "connections were closed before their time");
        }
        self.doors.send_replace(Phase::Closed);
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

async fn keep(figures: PrometheusHandle) -> io::Result<()> {
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

/// Shows the figures to whoever connects to a socket of their own.
async fn show(
    socket: TcpListener,
    figures: PrometheusHandle,
    limit: Duration,
    phase: watch::Receiver<Phase>,
) -> io::Result<()> {
    let protocol = Arc::new(Protocol::new(None, limit));
    let router = TowerToHyperService::new(kapelle_http::metrics_router(figures));
    let shown = TaskTracker::new();
    let counted = shown.clone();
    let is_crowd = move || counted.len() >= FIGURES;
    accept(socket, phase.clone(), is_crowd, move |stream| {
        shown.spawn(Arc::clone(&protocol).converse(stream, router.clone(), phase.clone()));
        Ok(())
    })
    .await
}

/// How many connections clients may have: most of the files that the process may have open, which are made as many as they may
/// be; archives, git and the database need the rest.
fn most_connections() -> usize {
    let files = getrlimit(Resource::Nofile);
    let all = Rlimit {
        current: files.maximum,
        maximum: files.maximum,
    };
    let files = match setrlimit(Resource::Nofile, all) {
        Ok(()) => all.current,
        Err(error) => {
            tracing::debug!(%error, "the limit on open files stays as it is");
            files.current
        }
    };
    let share = |files: u64| usize::try_from(files / 4 * 3).unwrap_or(usize::MAX);
    files.map_or(usize::MAX, share)
}
