//! What every handler works with.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::http::HeaderMap;
use kapelle_registry::feed::Freshness;
use kapelle_registry::{Random, Registry};
use metrics_exporter_prometheus::PrometheusHandle;
use secrecy::SecretString;

use crate::error::ApiError;

/// Longest request id that is taken over from a proxy.
const REQUEST_ID: usize = 64;

/// The registry and what belongs to this server process; clones share everything.
#[derive(Clone)]
pub struct AppState {
    registry: Registry,
    metrics: Option<Arc<GuardedMetrics>>,
    requests: Arc<Requests>,
}

/// The metrics, and the bearer token that opens them on the public listener.
pub(crate) struct GuardedMetrics {
    pub(crate) handle: PrometheusHandle,
    pub(crate) token: SecretString,
}

/// Numbers requests; the random part tells processes and restarts apart.
struct Requests {
    process: String,
    count: AtomicU64,
}

impl AppState {
    /// Serves `registry`; `random` makes request ids unique among processes.
    pub fn new(registry: Registry, random: &Random) -> Self {
        let requests = Requests {
            process: random.hex::<4>(),
            count: AtomicU64::new(1),
        };
        Self {
            registry,
            metrics: None,
            requests: Arc::new(requests),
        }
    }

    /// Answers `/metrics` for those who send `token` as a bearer token. Without this call there is no `/metrics`.
    #[must_use]
    pub fn with_metrics(mut self, handle: PrometheusHandle, token: SecretString) -> Self {
        self.metrics = Some(Arc::new(GuardedMetrics { handle, token }));
        self
    }

    pub(crate) fn registry(&self) -> &Registry {
        &self.registry
    }

    pub(crate) fn metrics(&self) -> Option<&GuardedMetrics> {
        self.metrics.as_deref()
    }

    /// Refuses when a revoked token might still be honoured.
    pub(crate) fn check_freshness(&self) -> Result<(), ApiError> {
        match self.registry.freshness() {
            Freshness::Confirmed | Freshness::Unready => Ok(()),
            Freshness::Stale => Err(ApiError::Stale),
        }
    }

    /// The id that a proxy gave, if it is a plain word, or a new one.
    pub(crate) fn request_id(&self, headers: &HeaderMap) -> String {
        let given = headers.get("x-request-id").and_then(|id| id.to_str().ok());
        given
            .filter(|id| is_plain(id))
            .map_or_else(|| self.requests.next(), str::to_owned)
    }
}

impl Requests {
    fn next(&self) -> String {
        let number = self.count.fetch_add(1, Ordering::Relaxed);
        format!("{}-{number:06x}", self.process)
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
