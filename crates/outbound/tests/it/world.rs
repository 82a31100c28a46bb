//! Servers to ask and clients to ask them with.

use std::collections::HashMap;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;

use axum::Router;
use futures::future::BoxFuture;
use kapelle_outbound::{
    AddressPolicy, Client, ClientConfig, HeaderMap, Lookup, OutboundError, Response, RetryPolicy,
    Url,
};
use tokio::net::TcpListener;

/// Serves a router on a free port of 127.0.0.1.
pub(crate) async fn serve(router: Router) -> Url {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    format!("http://{address}/").parse().unwrap()
}

/// Serves a router over TLS as `localhost`; the certificate is in PEM.
pub(crate) async fn serve_tls(router: Router) -> (Url, Vec<u8>) {
    kapelle_outbound::install_crypto_provider();
    kapelle_outbound::install_crypto_provider();
    let certified = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let certificate = certified.cert.pem().into_bytes();
    let key = certified.signing_key.serialize_pem().into_bytes();
    let tls = axum_server::tls_rustls::RustlsConfig::from_pem(certificate.clone(), key)
        .await
        .unwrap();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = axum_server::from_tcp_rustls(listener, tls).unwrap();
    tokio::spawn(server.serve(router.into_make_service()));
    let url = format!("https://localhost:{port}/").parse().unwrap();
    (url, certificate)
}

/// May reach 127.0.0.0/8 and tries once.
pub(crate) fn loopback() -> ClientConfig {
    ClientConfig {
        policy: AddressPolicy::new(vec!["127.0.0.0/8".parse().unwrap()]),
        retry: RetryPolicy::never(),
        ..ClientConfig::default()
    }
}

pub(crate) fn client(config: ClientConfig) -> Client {
    Client::new(config).unwrap()
}

/// GET with a mebibyte allowed.
pub(crate) async fn get(client: &Client, url: &Url) -> Result<Response, OutboundError> {
    client.get(url, HeaderMap::new(), 1 << 20).await
}

/// A name server with a few names; any other does not exist.
#[derive(Debug)]
pub(crate) struct Names(HashMap<String, Vec<IpAddr>>);

impl Names {
    pub(crate) fn new<const N: usize>(names: [(&str, &[&str]); N]) -> Arc<Self> {
        let parse = |list: &[&str]| list.iter().map(|ip| ip.parse().unwrap()).collect();
        let names = names.map(|(name, list)| (name.to_owned(), parse(list)));
        Arc::new(Self(names.into()))
    }
}

impl Lookup for Names {
    fn lookup(&self, host: String, _port: u16) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> {
        let found = self.0.get(&host).cloned();
        Box::pin(async move { found.ok_or_else(|| io::Error::other("no such name")) })
    }
}
