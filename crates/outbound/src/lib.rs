//! The only HTTP client of Kapelle: address checks, redirects, time and size limits, retries, host budgets.
//!
//! Users name the URLs that the server then requests: repositories, mirrors, webhooks. So every request, every
//! redirect and every address that a name resolves to is checked here, and nowhere else is an HTTP client built.

mod address;
mod body;
mod budget;
mod client;
mod config;
mod error;
mod message;
mod redirect;
mod resolve;
mod retry;
mod target;
mod tls;

pub use address::{AddressPolicy, ForbiddenAddress};
pub use body::BodyStream;
pub use budget::HostPermit;
pub use client::Client;
pub use config::ClientConfig;
pub use error::{OutboundError, shown};
pub use message::{Request, Response, StreamingResponse};
pub use resolve::{Lookup, SystemLookup};
pub use retry::RetryPolicy;
pub use tls::install_crypto_provider;

pub use bytes::Bytes;
pub use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
pub use ipnet::IpNet;
pub use url::Url;
