//! `[server]`: where the server listens and how clients reach it.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use url::Url;

use super::section::section;

section! {
    /// Where the server listens and how clients reach it.
    server: Server {
        /// Address and port to listen on. Port 0 takes a free one; the line `listening on …` names it.
        ///
        /// Use `0.0.0.0:8080` to be reached from other machines, and set `public_url` then.
        listen: SocketAddr = (Ipv4Addr::LOCALHOST, 8080).into(),
        /// Where clients reach this registry, as it stands in all links it writes: `https://packages.example.com/`.
        ///
        /// May have a path when a proxy adds one. When it is not set, `serve` takes the address it listens on, and other commands
        /// take what the last `serve` on the same database had.
        public_url: Option<Url> = None,
        /// The TLS certificate with its chain, a PEM file. Needs `tls_key`.
        tls_certificate: Option<PathBuf> = None,
        /// The private key of the certificate, a PEM file.
        tls_key: Option<PathBuf> = None,
        /// Serve https with a certificate made at the first start and kept in the data folder.
        ///
        /// Clients must be told to trust `tls/certificate.pem`. Composer's `cafile` takes the place of the machine's certificates, so put
        /// those into one file with it: `cat /etc/ssl/certs/ca-certificates.crt …/tls/certificate.pem > ca.pem`, then
        /// `composer config cafile "$PWD/ca.pem"`. Or add it to the certificates that the machine trusts.
        tls_self_signed: bool = false,
        /// How long a client may take to send the head of a request, and to greet after a TLS handshake.
        header_timeout: Duration = Duration::from_secs(30),
        /// How long a stopping process waits for running requests and jobs. What is not done then goes back to the queue.
        shutdown_timeout: Duration = Duration::from_secs(30),
    }
}
