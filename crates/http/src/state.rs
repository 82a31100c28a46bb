//! What every handler works with.

use std::fmt::{self, Write as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::http::HeaderMap;
use kapelle_registry::feed::Freshness;
use kapelle_registry::{Random, Registry};
use metrics_exporter_prometheus::PrometheusHandle;
use secrecy::SecretString;

use crate::error::ApiError;
use crate::figures::Figures;

/// Longest request id that is taken over from a proxy.
const REQUEST_ID: usize = 64;

/// The registry and what belongs to this server process; clones share everything.
#[derive(Clone)]
pub struct AppState(Arc<Shared>);

struct Shared {
    registry: Registry,
    metrics: Option<GuardedMetrics>,
    requests: Requests,
    figures: Figures,
}

/// The metrics, and the bearer token that opens them on the public listener.
pub struct GuardedMetrics {
    /// What was counted.
    pub handle: PrometheusHandle,
    /// Who shows it may read.
    pub token: SecretString,
}

/// Numbers requests; the random part tells processes and restarts apart.
struct Requests {
    process: String,
    count: AtomicU64,
}

impl AppState {
    /// Serves `registry`; `random` makes request ids unique among processes. Without `metrics` there is no `/metrics`.
    /// A recorder of metrics must be installed before, if there is to be one.
    pub fn new(registry: Registry, random: &Random, metrics: Option<GuardedMetrics>) -> Self {
        let requests = Requests {
            process: random.hex::<4>(),
            count: AtomicU64::new(1),
        };
        Self(Arc::new(Shared {
            registry,
            metrics,
            requests,
            figures: Figures::default(),
        }))
    }

    pub(crate) fn registry(&self) -> &Registry {
        &self.0.registry
    }

    pub(crate) fn metrics(&self) -> Option<&GuardedMetrics> {
        self.0.metrics.as_ref()
    }

    pub(crate) fn figures(&self) -> &Figures {
        &self.0.figures
    }

    /// Refuses when a revoked token might still be honoured.
    pub(crate) fn check_freshness(&self) -> Result<(), ApiError> {
        match self.registry().freshness() {
            Freshness::Confirmed | Freshness::Unready => Ok(()),
            Freshness::Stale => Err(ApiError::Stale),
        }
    }

    /// The id that a proxy gave, if it is a plain word, or a new one.
    pub(crate) fn request_id(&self, headers: &HeaderMap) -> String {
        let given = headers.get("x-request-id").and_then(|id| id.to_str().ok());
        given
            .filter(|id| is_plain(id))
            .map_or_else(|| self.0.requests.next(), str::to_owned)
    }
}

impl Requests {
    fn next(&self) -> String {
        let number = self.count.fetch_add(1, Ordering::Relaxed);
        let mut id = String::with_capacity(REQUEST_ID);
        // Writing to a string cannot fail.
        let _ = write!(id, "{}-{number:06x}", self.process);
        id
    }
}

fn is_plain(id: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:".contains(&byte);
    !id.is_empty() && id.len() <= REQUEST_ID && id.bytes().all(plain)
}

impl fmt::Debug for AppState {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("AppState")
    }
}

impl fmt::Debug for GuardedMetrics {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("GuardedMetrics")
    }
}
