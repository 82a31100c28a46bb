//! The HTTP surfaces: the Composer repository, change hooks, health and metrics.
//!
//! A handler has four beats: extractors have authenticated and parsed, one call into the registry, conversion to what
//! goes over the wire, return. What may fail becomes one error type, which alone knows statuses and sentences.

mod api;
mod composer;
mod error;
mod extract;
mod figures;
mod health;
mod hooks;
mod hot;
mod json;
mod landing;
mod metrics;
mod observe;
mod router;
mod state;

pub use hot::{Caller, HttpService};
pub use observe::{AccessLine, AccessLog};
pub use router::metrics_router;
pub use state::{ApiSettings, AppState, GuardedMetrics};
