//! What a URL must be before it is requested.

use url::{Host, Url};

use crate::error::{OutboundError, shown};
use crate::resolve::GuardedResolver;

/// Checks scheme, user information and literal addresses. Names are checked when they are resolved.
pub(crate) fn check(url: &Url, resolver: &GuardedResolver) -> Result<(), OutboundError> {
    if !matches!(url.scheme(), "http" | "https") {
        return Err(OutboundError::Scheme {
            url: shown(url),
            scheme: url.scheme().to_owned(),
        });
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(OutboundError::UserInformation { url: shown(url) });
    }
    match url.host() {
        Some(Host::Ipv4(v4)) => resolver.literal(&v4.to_string(), v4.into()).map(drop),
        Some(Host::Ipv6(v6)) => resolver.literal(&v6.to_string(), v6.into()).map(drop),
        Some(Host::Domain(name)) if !name.is_empty() => Ok(()),
        _ => Err(OutboundError::InvalidHost {
            host: url.host_str().unwrap_or_default().to_owned(),
        }),
    }
}
