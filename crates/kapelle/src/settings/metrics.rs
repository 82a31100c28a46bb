//! `[metrics]`: figures for Prometheus.

use std::net::SocketAddr;

use secrecy::SecretString;

use super::section::section;

section! {
    /// Figures for Prometheus at `/metrics`. They are served only when one of these is set.
    metrics: Metrics {
        /// An address and port of its own for `/metrics`, which then needs no token.
        listen: Option<SocketAddr> = None,
        /// A token with which `/metrics` answers on the server's own address: `Authorization: Bearer …`.
        token: Option<SecretString> = None,
    }
}
