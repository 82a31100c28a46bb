//! What every handler works with.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::http::HeaderValue;
use bytes::Bytes;
use kapelle_registry::clock::Millis;
use kapelle_registry::feed::Freshness;
use kapelle_registry::{Random, Registry};
use metrics_exporter_prometheus::PrometheusHandle;
use secrecy::SecretString;

use crate::api::UnderWay;
use crate::error::ApiError;
use crate::figures::Figures;
use crate::observe::AccessLog;

/// Longest request id that is taken over from a proxy.
const REQUEST_ID: usize = 64;
/// Leading digits of a number that are left out when they are zero: six stay.
const DIGITS: usize = 10;

/// The registry and what belongs to this server process; clones share everything.
#[derive(Clone)]
pub struct AppState(Arc<Shared>);

struct Shared {
    registry: Registry,
    api: ApiSettings,
    metrics: Option<GuardedMetrics>,
    requests: Requests,
    figures: Figures,
    access: Box<dyn AccessLog>,
    uploads: UnderWay,
}

/// How tolerant the management API is.
#[derive(Clone, Copy, Debug, Default)]
pub struct ApiSettings {
    /// Takes signatures that do not cover the query.
    pub accept_signature_v1: bool,
    /// Takes a key alone for requests that only read.
    pub accept_packagist_token: bool,
    /// Takes the host that a request names for the one that was signed: nobody has said what the public URL is.
    pub accept_any_host: bool,
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
    /// Each request is a line in `access`.
    /// A recorder of metrics must be installed before, if there is to be one.
    pub fn new(
        registry: Registry,
        api: ApiSettings,
        random: &Random,
        metrics: Option<GuardedMetrics>,
        access: Box<dyn AccessLog>,
    ) -> Self {
        let requests = Requests {
            process: random.hex::<4>(),
            count: AtomicU64::new(1),
        };
        Self(Arc::new(Shared {
            registry,
            api,
            metrics,
            requests,
            figures: Figures::default(),
            access,
            uploads: UnderWay::default(),
        }))
    }

    pub(crate) fn registry(&self) -> &Registry {
        &self.0.registry
    }

    pub(crate) fn api(&self) -> ApiSettings {
        self.0.api
    }

    pub(crate) fn metrics(&self) -> Option<&GuardedMetrics> {
        self.0.metrics.as_ref()
    }

    /// Artifacts that are on their way in.
    pub(crate) fn uploads(&self) -> &UnderWay {
        &self.0.uploads
    }

    pub(crate) fn access_log(&self) -> &dyn AccessLog {
        &*self.0.access
    }

    pub(crate) fn figures(&self) -> &Figures {
        &self.0.figures
    }

    /// Refuses when a revoked token might still be honoured.
    pub(crate) fn check_freshness(&self) -> Result<(), ApiError> {
        self.check_freshness_at(self.registry().moment().passed)
    }

    /// The same for who has looked at the clock.
    pub(crate) fn check_freshness_at(&self, passed: Millis) -> Result<(), ApiError> {
        match self.registry().freshness_at(passed) {
            Freshness::Confirmed | Freshness::Unready => Ok(()),
            Freshness::Stale => Err(ApiError::Stale),
        }
    }

    /// The id that a proxy gave, if it is a plain word, or a new one.
    pub(crate) fn request_id(&self, given: Option<&HeaderValue>) -> RequestId {
        let given = given.filter(|id| is_plain(id.as_bytes())).cloned();
        RequestId(given.unwrap_or_else(|| self.0.requests.next()))
    }
}

/// The id of a request: a plain word.
#[derive(Clone, Debug)]
pub(crate) struct RequestId(HeaderValue);

impl RequestId {
    /// For the log and for people.
    pub(crate) fn as_str(&self) -> &str {
        self.0.to_str().unwrap_or_default()
    }

    /// For the answer.
    pub(crate) fn into_header(self) -> HeaderValue {
        self.0
    }
}

impl Requests {
    /// The process and a number in at least six hexadecimal digits.
    fn next(&self) -> HeaderValue {
        let number = self.count.fetch_add(1, Ordering::Relaxed).to_be_bytes();
        let mut digits = [0; 16];
        // There is room for eight bytes.
        let _ = hex::encode_to_slice(number, &mut digits);
        let zeroes = digits.iter().take_while(|digit| **digit == b'0').count();
        let mut id = Vec::with_capacity(self.process.len() + 1 + digits.len());
        id.extend_from_slice(self.process.as_bytes());
        id.push(b'-');
        id.extend_from_slice(&digits[zeroes.min(DIGITS)..]);
        HeaderValue::from_maybe_shared(Bytes::from(id)).unwrap_or(HeaderValue::from_static("none"))
    }
}

fn is_plain(id: &[u8]) -> bool {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.:".contains(byte);
    !id.is_empty() && id.len() <= REQUEST_ID && id.iter().all(plain)
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
