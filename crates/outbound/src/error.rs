//! What can go wrong with an outbound request, in sentences that never show a credential.

use std::error::Error;
use std::net::IpAddr;
use std::time::Duration;

use url::Url;

use crate::address::ForbiddenAddress;

/// Why an outbound request gave no answer.
///
/// URLs in it are shown without user information, query and fragment: those may hold secrets.
#[derive(Clone, Debug, thiserror::Error)]
pub enum OutboundError {
    /// The URL is neither http nor https.
    #[error("{url} was not requested: its scheme is {scheme}, and only http and https are allowed")]
    Scheme {
        /// The URL, without its secrets.
        url: String,
        /// The scheme found.
        scheme: String,
    },
    /// The URL carries a user name or a password.
    #[error(
        "{url} was not requested: it contains a user name or password; store them as a credential instead"
    )]
    UserInformation {
        /// The URL, without its secrets.
        url: String,
    },
    /// The host is missing or is no host name.
    #[error("{host:?} is not a valid host name")]
    InvalidHost {
        /// What stood in the host's place.
        host: String,
    },
    /// The host is, or resolves to, an address that the policy refuses.
    #[error(
        "host {host:?} has the address {address}, which is {kind} and not allowed; if it is meant to be reached, \
         add its range to network.allow (KAPELLE_NETWORK__ALLOW)"
    )]
    Forbidden {
        /// The host as requested.
        host: String,
        /// Its refused address.
        address: IpAddr,
        /// What the address is, with its article.
        kind: &'static str,
    },
    /// The host name has no address.
    #[error("host {host:?} could not be resolved: {reason}")]
    Unresolved {
        /// The host as requested.
        host: String,
        /// What the resolver said.
        reason: String,
    },
    /// No connection came about: refused, unreachable, or TLS failed.
    #[error("no connection to {url}: {reason}")]
    Connect {
        /// The URL, without its secrets.
        url: String,
        /// What the network said.
        reason: String,
    },
    /// The answer did not begin in time.
    #[error("{url} did not begin to answer within {}", seconds(*limit))]
    FirstByte {
        /// The URL, without its secrets.
        url: String,
        /// The limit that passed.
        limit: Duration,
    },
    /// The whole exchange took too long.
    #[error("the exchange with {url} took longer than {} and was given up", seconds(*limit))]
    Total {
        /// The URL, without its secrets.
        url: String,
        /// The limit that passed.
        limit: Duration,
    },
    /// The body, after decompression, is larger than the caller allows.
    #[error("the answer of {url} is larger than {limit} bytes and was not read to its end")]
    TooLarge {
        /// The URL, without its secrets.
        url: String,
        /// The limit in bytes.
        limit: u64,
    },
    /// The answer's headers are too large in all.
    #[error("the headers that {url} answers with are larger than {limit} bytes")]
    HeadersTooLarge {
        /// The URL, without its secrets.
        url: String,
        /// The limit in bytes.
        limit: usize,
    },
    /// One redirect too many, or a loop.
    #[error("{url} was given up after {limit} redirects")]
    TooManyRedirects {
        /// The URL first requested, without its secrets.
        url: String,
        /// How many redirects are followed.
        limit: usize,
    },
    /// A `Location` that is no URL.
    #[error("{url} redirects to something that is not a URL")]
    InvalidRedirect {
        /// The redirecting URL, without its secrets.
        url: String,
    },
    /// From https to http.
    #[error("{url} redirects to {to}, which is not encrypted; the redirect was not followed")]
    Downgrade {
        /// The redirecting URL, without its secrets.
        url: String,
        /// Where it points, without secrets.
        to: String,
    },
    /// A redirect that would hand the request's body to another host.
    #[error("{url} redirects to {to}; the body of the request was not sent to another host")]
    BodyToOtherHost {
        /// The redirecting URL, without its secrets.
        url: String,
        /// Where it points, without secrets.
        to: String,
    },
    /// The exchange broke off or was no HTTP.
    #[error("the exchange with {url} broke off: {reason}")]
    Interrupted {
        /// The URL, without its secrets.
        url: String,
        /// What the network said.
        reason: String,
    },
    /// The body to send could not be written as JSON.
    #[error("the body for {url} could not be written as JSON: {reason}")]
    Encode {
        /// The URL, without its secrets.
        url: String,
        /// What the serializer said.
        reason: String,
    },
    /// The client could not be built: root certificates are unreadable or missing.
    #[error(
        "the HTTP client could not be set up: {reason}; are the ca-certificates of this machine installed?"
    )]
    Setup {
        /// What went wrong.
        reason: String,
    },
}

impl OutboundError {
    /// Whether the same request may succeed later: the network failed, not a rule.
    pub fn is_temporary(&self) -> bool {
        matches!(
            self,
            Self::Unresolved { .. }
                | Self::Connect { .. }
                | Self::FirstByte { .. }
                | Self::Total { .. }
                | Self::Interrupted { .. }
        )
    }

    pub(crate) fn forbidden(host: &str, refused: ForbiddenAddress) -> Self {
        Self::Forbidden {
            host: host.to_owned(),
            address: refused.address,
            kind: refused.kind,
        }
    }

    /// Sorts an error of the HTTP library; a refusal by our resolver inside it comes out as itself.
    pub(crate) fn from_transport(url: &Url, error: &reqwest::Error) -> Self {
        let mut deepest: &dyn Error = error;
        while let Some(source) = deepest.source() {
            if let Some(refusal) = source.downcast_ref::<Self>() {
                return refusal.clone();
            }
            deepest = source;
        }
        let reason = deepest.to_string();
        let url = shown(url);
        if error.is_connect() {
            Self::Connect { url, reason }
        } else {
            Self::Interrupted { url, reason }
        }
    }
}

impl From<OutboundError> for std::io::Error {
    fn from(error: OutboundError) -> Self {
        Self::other(error)
    }
}

/// The URL without user information, query and fragment, for people.
pub fn shown(url: &Url) -> String {
    let mut clean = url.clone();
    clean.set_query(None);
    clean.set_fragment(None);
    // Fails only for URLs that cannot have user information.
    let removed = clean.set_username("").and(clean.set_password(None));
    if removed.is_err() && !url.username().is_empty() {
        return format!("{}:…", url.scheme());
    }
    clean.into()
}

fn seconds(limit: Duration) -> String {
    if limit.subsec_millis() == 0 {
        format!("{} s", limit.as_secs())
    } else {
        format!("{} ms", limit.as_millis())
    }
}
