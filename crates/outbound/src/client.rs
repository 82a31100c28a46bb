//! Sends requests: checks each hop, follows redirects, tries again, and keeps to the limits.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, HeaderValue, Method, header};
use serde::Serialize;
use tokio::time::{Instant, sleep, timeout_at};
use url::Url;

use crate::body::BodyStream;
use crate::budget::{HostBudget, HostPermit};
use crate::config::ClientConfig;
use crate::error::{OutboundError, shown};
use crate::message::{Request, Response, StreamingResponse};
use crate::redirect::Hop;
use crate::resolve::GuardedResolver;
use crate::retry::repeatable;
use crate::target;

/// The guarded HTTP client. Cheap to clone; clones share connections and host budgets.
#[derive(Clone, Debug)]
pub struct Client {
    http: reqwest::Client,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    config: ClientConfig,
    resolver: GuardedResolver,
    budget: HostBudget,
}

/// The connect time-out: several addresses of a host should get their chance within `first_byte`.
const CONNECT: Duration = Duration::from_secs(10);

impl Client {
    /// Builds a client. Fails if a root certificate cannot be read or the machine has none.
    pub fn new(config: ClientConfig) -> Result<Self, OutboundError> {
        let resolver = GuardedResolver {
            policy: config.policy.clone(),
            lookup: Arc::clone(&config.lookup),
        };
        let http = build(&config, resolver.clone()).map_err(|error| OutboundError::Setup {
            reason: error.to_string(),
        })?;
        let budget = HostBudget::new(config.per_host);
        let shared = Arc::new(Shared {
            config,
            resolver,
            budget,
        });
        Ok(Self { http, shared })
    }

    /// The addresses of a host that something other than this client will contact (git, ssh). Every one of them is
    /// allowed, or the error names the one that is not. IP literals are taken in every spelling.
    pub async fn resolve(&self, host: &str, port: u16) -> Result<Vec<IpAddr>, OutboundError> {
        let limit = self.shared.config.first_byte;
        tokio::time::timeout(limit, self.shared.resolver.resolve_host(host, port))
            .await
            .map_err(|_| OutboundError::Unresolved {
                host: host.to_owned(),
                reason: format!("no answer within {} s", limit.as_secs()),
            })?
    }

    /// Waits for one of the host's places. Requests take none by themselves: whoever works against a host, over HTTP
    /// or otherwise, holds one permit meanwhile and does not ask for a second.
    pub async fn host_permit(&self, host: &str) -> HostPermit {
        self.shared.budget.permit(host).await
    }

    /// GET, with the whole body in memory.
    pub async fn get(
        &self,
        url: &Url,
        headers: HeaderMap,
        max_bytes: u64,
    ) -> Result<Response, OutboundError> {
        self.send(Request::get(url, headers, max_bytes)).await
    }

    /// POST of a JSON body, with the whole answer in memory.
    pub async fn post_json(
        &self,
        url: &Url,
        mut headers: HeaderMap,
        body: &(impl Serialize + Sync),
        max_bytes: u64,
    ) -> Result<Response, OutboundError> {
        let body = serde_json::to_vec(body).map_err(|error| OutboundError::Encode {
            url: shown(url),
            reason: error.to_string(),
        })?;
        headers
            .entry(header::CONTENT_TYPE)
            .or_insert(HeaderValue::from_static("application/json"));
        self.send(Request {
            method: Method::POST,
            url: url.clone(),
            headers,
            body: Some(body.into()),
            max_bytes,
        })
        .await
    }

    /// Any request, with the whole answer in memory.
    pub async fn send(&self, request: Request) -> Result<Response, OutboundError> {
        let answer = self.stream(request).await?;
        Ok(Response {
            status: answer.status,
            headers: answer.headers,
            url: answer.url,
            body: answer.body.collect().await?,
        })
    }

    /// Any request, with the answer's body as a bounded stream.
    pub async fn stream(&self, request: Request) -> Result<StreamingResponse, OutboundError> {
        let max_bytes = request.max_bytes;
        let total = self.shared.config.total;
        let deadline = Instant::now() + total;
        let mut answer = self.persist(request.into(), deadline).await?;
        let (status, url) = (answer.status(), answer.url().clone());
        let headers = std::mem::take(answer.headers_mut());
        let body = BodyStream {
            answer,
            url: url.clone(),
            read: 0,
            max_bytes,
            deadline,
            total,
        };
        body.check_size(body.announced_size().unwrap_or(0))?;
        Ok(StreamingResponse {
            status,
            headers,
            body,
            url,
        })
    }

    /// Where a URL leads: GET, hop by hop, every hop checked, no body read. Whatever the last status is.
    pub async fn follow(&self, url: &Url, headers: HeaderMap) -> Result<Url, OutboundError> {
        let deadline = Instant::now() + self.shared.config.total;
        let request = Request::get(url, headers, 0);
        let answer = self.persist(request.into(), deadline).await?;
        Ok(answer.url().clone())
    }

    /// Tries as often as the policy and the deadline allow.
    async fn persist(
        &self,
        hop: Hop,
        deadline: Instant,
    ) -> Result<reqwest::Response, OutboundError> {
        let retry = &self.shared.config.retry;
        let repeatable = repeatable(&hop.method);
        let mut tried = 0;
        loop {
            tried += 1;
            let outcome = self.walk(hop.clone(), deadline).await;
            let wait = match &outcome {
                _ if !repeatable => None,
                Ok(answer) => retry.after_answer(tried, answer.status(), answer.headers()),
                Err(error) => retry.after_error(tried, error),
            };
            match wait {
                Some(wait) if Instant::now() + wait < deadline => {
                    tracing::debug!(url = shown(&hop.url), tried, ?wait, "trying again");
                    drop(outcome);
                    sleep(wait).await;
                }
                _ => return outcome,
            }
        }
    }

    /// Follows redirects from one request to the answer that is none.
    async fn walk(
        &self,
        mut hop: Hop,
        deadline: Instant,
    ) -> Result<reqwest::Response, OutboundError> {
        let first = hop.url.clone();
        let limit = self.shared.config.max_redirects;
        for _ in 0..=limit {
            let answer = self.step(&hop, deadline).await?;
            match hop.redirected(answer.status(), answer.headers())? {
                Some(next) => hop = next,
                None => return Ok(answer),
            }
        }
        Err(OutboundError::TooManyRedirects {
            url: shown(&first),
            limit,
        })
    }

    /// One request, one answer.
    async fn step(&self, hop: &Hop, deadline: Instant) -> Result<reqwest::Response, OutboundError> {
        let config = &self.shared.config;
        target::check(&hop.url, &self.shared.resolver)?;
        let mut request = self
            .http
            .request(hop.method.clone(), hop.url.clone())
            .headers(hop.headers.clone());
        if let Some(body) = &hop.body {
            request = request.body(body.clone());
        }
        let first_byte = Instant::now() + config.first_byte;
        let answer = timeout_at(first_byte.min(deadline), request.send())
            .await
            .map_err(|_| self.late(hop, first_byte < deadline))?
            .map_err(|error| OutboundError::from_transport(&hop.url, &error))?;
        tracing::debug!(method = %hop.method, url = shown(&hop.url), status = %answer.status(), "requested");
        let size: usize = answer
            .headers()
            .iter()
            .map(|(name, value)| name.as_str().len() + value.len())
            .sum();
        if size > config.max_header_bytes {
            return Err(OutboundError::HeadersTooLarge {
                url: shown(&hop.url),
                limit: config.max_header_bytes,
            });
        }
        Ok(answer)
    }

    fn late(&self, hop: &Hop, first_byte: bool) -> OutboundError {
        let (url, config) = (shown(&hop.url), &self.shared.config);
        if first_byte {
            let limit = config.first_byte;
            OutboundError::FirstByte { url, limit }
        } else {
            let limit = config.total;
            OutboundError::Total { url, limit }
        }
    }
}

/// The HTTP library below: no redirects, no proxies, no time-outs but for connecting; all that is ours.
fn build(config: &ClientConfig, resolver: GuardedResolver) -> reqwest::Result<reqwest::Client> {
    let mut roots = Vec::new();
    for pem in &config.extra_roots {
        roots.extend(reqwest::Certificate::from_pem_bundle(pem)?);
    }
    let header_list = u32::try_from(config.max_header_bytes).unwrap_or(u32::MAX);
    #[expect(clippy::disallowed_methods, reason = "this is the one guarded client")]
    let builder = reqwest::Client::builder();
    builder
        .user_agent(&config.user_agent)
        .redirect(reqwest::redirect::Policy::none())
        .referer(false)
        .no_proxy()
        .dns_resolver(resolver)
        .connect_timeout(CONNECT.min(config.first_byte))
        .http2_max_header_list_size(header_list)
        .tls_certs_merge(roots)
        .build()
}
