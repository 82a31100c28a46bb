//! What a client is built from.

use std::sync::Arc;
use std::time::Duration;

use crate::address::AddressPolicy;
use crate::resolve::{Lookup, SystemLookup};
use crate::retry::RetryPolicy;

/// Settings of a [`Client`](crate::Client); the defaults are those of the design's table of limits.
#[derive(Clone, Debug)]
pub struct ClientConfig {
    /// Which addresses may be reached.
    pub policy: AddressPolicy,
    /// The `User-Agent` of every request that brings none.
    pub user_agent: String,
    /// From the start of a hop (name resolution included) to the end of the answer's headers. 30 s.
    pub first_byte: Duration,
    /// For everything: all tries, all redirects, the body. 10 min.
    pub total: Duration,
    /// How many redirects are followed. 5.
    pub max_redirects: usize,
    /// The size of an answer's headers, names and values together. 64 KiB.
    pub max_header_bytes: usize,
    /// Root certificates in PEM, beside those of the machine. One item may hold several.
    pub extra_roots: Vec<Vec<u8>>,
    /// How many holders of [`Client::host_permit`](crate::Client::host_permit) a host has at most. 4.
    pub per_host: usize,
    /// When GET and HEAD are tried again.
    pub retry: RetryPolicy,
    /// Finds the addresses of names.
    pub lookup: Arc<dyn Lookup>,
}

impl Default for ClientConfig {
    fn default() -> Self {
        Self {
            policy: AddressPolicy::default(),
            user_agent: concat!("Kapelle/", env!("CARGO_PKG_VERSION")).to_owned(),
            first_byte: Duration::from_secs(30),
            total: Duration::from_mins(10),
            max_redirects: 5,
            max_header_bytes: 64 * 1024,
            extra_roots: Vec::new(),
            per_host: 4,
            retry: RetryPolicy::default(),
            lookup: Arc::new(SystemLookup),
        }
    }
}
