//! What becomes of a request when the answer is a redirect.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, Method, StatusCode, header};
use url::Url;

use crate::error::{OutboundError, shown};

/// The headers that another origin may see. Any other may be a credential: `Authorization`, `Cookie`,
/// `PRIVATE-TOKEN`, a signature …
const HARMLESS: [HeaderName; 8] = [
    header::ACCEPT,
    header::ACCEPT_ENCODING,
    header::ACCEPT_LANGUAGE,
    header::CONTENT_TYPE,
    header::IF_MODIFIED_SINCE,
    header::IF_NONE_MATCH,
    header::RANGE,
    header::USER_AGENT,
];

/// One request as it goes over the wire; redirects change it.
#[derive(Clone, Debug)]
pub(crate) struct Hop {
    pub(crate) method: Method,
    pub(crate) url: Url,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Option<Bytes>,
}

impl Hop {
    /// The request that a redirect asks for, or `None` if the answer is no redirect.
    ///
    /// As in the Fetch standard, 303 makes everything but HEAD a GET, and 301 and 302 make a POST a GET. Stricter
    /// than it: no step from https to http, and no body for another host.
    pub(crate) fn redirected(
        &self,
        status: StatusCode,
        answer: &HeaderMap,
    ) -> Result<Option<Self>, OutboundError> {
        let Some(location) = answer.get(header::LOCATION) else {
            return Ok(None);
        };
        let becomes_get = match status.as_u16() {
            301 | 302 => self.method == Method::POST,
            303 => self.method != Method::HEAD,
            307 | 308 => false,
            _ => return Ok(None),
        };
        let url = std::str::from_utf8(location.as_bytes())
            .ok()
            .and_then(|location| self.url.join(location).ok())
            .ok_or_else(|| OutboundError::InvalidRedirect {
                url: shown(&self.url),
            })?;
        self.refuse_leak(&url, becomes_get)?;
        let mut next = Self {
            url,
            ..self.clone()
        };
        if becomes_get {
            next.drop_body();
        }
        if next.url.origin() != self.url.origin() {
            next.drop_credentials();
        }
        Ok(Some(next))
    }

    fn refuse_leak(&self, to: &Url, body_dropped: bool) -> Result<(), OutboundError> {
        let from = shown(&self.url);
        if self.url.scheme() == "https" && to.scheme() == "http" {
            return Err(OutboundError::Downgrade {
                url: from,
                to: shown(to),
            });
        }
        if self.body.is_some() && !body_dropped && self.url.host() != to.host() {
            return Err(OutboundError::BodyToOtherHost {
                url: from,
                to: shown(to),
            });
        }
        Ok(())
    }

    fn drop_body(&mut self) {
        self.method = Method::GET;
        self.body = None;
        self.headers.remove(header::CONTENT_TYPE);
        self.headers.remove(header::CONTENT_LENGTH);
        self.headers.remove(header::CONTENT_ENCODING);
    }

    fn drop_credentials(&mut self) {
        let credentials: Vec<_> = self
            .headers
            .keys()
            .filter(|name| !HARMLESS.contains(name))
            .cloned()
            .collect();
        for name in credentials {
            self.headers.remove(name);
        }
    }
}
