//! From host names to addresses that the policy allows.

use std::fmt::Debug;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use futures::future::BoxFuture;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::Host;

use crate::address::AddressPolicy;
use crate::error::OutboundError;

/// Finds the addresses of a host name. Replaced in tests; otherwise the system's resolver.
pub trait Lookup: Debug + Send + Sync {
    /// All addresses of `host`, in the order to try them. The port is 0 where it plays no part.
    fn lookup(&self, host: String, port: u16) -> BoxFuture<'static, io::Result<Vec<IpAddr>>>;
}

/// The system's resolver (`getaddrinfo`): hosts file, DNS and whatever else the machine is set up for.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemLookup;

impl Lookup for SystemLookup {
    fn lookup(&self, host: String, port: u16) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> {
        Box::pin(async move {
            let found = tokio::net::lookup_host((host, port)).await?;
            Ok(found.map(|address| address.ip()).collect())
        })
    }
}

/// A lookup whose every answer is judged: one refused address refuses the host.
#[derive(Clone, Debug)]
pub(crate) struct GuardedResolver {
    pub(crate) policy: AddressPolicy,
    pub(crate) lookup: Arc<dyn Lookup>,
}

impl GuardedResolver {
    /// Resolves a host in any of the forms a URL may spell it, IP literals included.
    pub(crate) async fn resolve_host(
        &self,
        host: &str,
        port: u16,
    ) -> Result<Vec<IpAddr>, OutboundError> {
        match parse_host(host)? {
            Host::Domain(name) => self.resolve_name(&name, port).await,
            Host::Ipv4(v4) => self.literal(host, v4.into()),
            Host::Ipv6(v6) => self.literal(host, v6.into()),
        }
    }

    /// Judges an address that stands in a URL: it never reaches the HTTP library's resolver.
    pub(crate) fn literal(
        &self,
        host: &str,
        address: IpAddr,
    ) -> Result<Vec<IpAddr>, OutboundError> {
        self.policy
            .check(address)
            .map_err(|refused| OutboundError::forbidden(host, refused))?;
        Ok(vec![address])
    }

    async fn resolve_name(&self, name: &str, port: u16) -> Result<Vec<IpAddr>, OutboundError> {
        let unresolved = |reason: String| OutboundError::Unresolved {
            host: name.to_owned(),
            reason,
        };
        let found = self
            .lookup
            .lookup(name.to_owned(), port)
            .await
            .map_err(|error| unresolved(error.to_string()))?;
        if found.is_empty() {
            return Err(unresolved("it has no address".to_owned()));
        }
        for address in &found {
            self.policy
                .check(*address)
                .map_err(|refused| OutboundError::forbidden(name, refused))?;
        }
        Ok(found)
    }
}

impl Resolve for GuardedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let resolver = self.clone();
        Box::pin(async move {
            let found = resolver.resolve_name(name.as_str(), 0).await?;
            let addresses: Addrs = Box::new(found.into_iter().map(|ip| SocketAddr::new(ip, 0)));
            Ok(addresses)
        })
    }
}

/// Parses a host as browsers do: `0x7f.1`, `2130706433` and `127.1` are all the address 127.0.0.1, with or without
/// a dot at the end. IPv6 is taken with or without brackets.
fn parse_host(host: &str) -> Result<Host, OutboundError> {
    if let Ok(bare) = host.parse::<std::net::Ipv6Addr>() {
        return Ok(Host::Ipv6(bare));
    }
    Host::parse(host).map_err(|_| OutboundError::InvalidHost {
        host: host.to_owned(),
    })
}
