//! The `Authorization` that was shown last on a connection: whoever keeps one open shows the same for every request.

use std::fmt;

use axum::http::HeaderValue;
use kapelle_registry::token::Fingerprint;
use secrecy::{ExposeSecret, SecretSlice};
use subtle::ConstantTimeEq;

/// One header and the token in it. Whether that token is valid is asked anew for each request.
#[derive(Default)]
pub(crate) struct Seen(Option<(SecretSlice<u8>, Fingerprint)>);

impl Seen {
    /// The token of a header that is the same as last time.
    pub(crate) fn get(&self, header: &HeaderValue) -> Option<Fingerprint> {
        let (seen, fingerprint) = self.0.as_ref()?;
        is_same(seen.expose_secret(), header.as_bytes()).then_some(*fingerprint)
    }

    /// Remembers the header instead of the one before.
    pub(crate) fn remember(&mut self, header: &HeaderValue, fingerprint: Fingerprint) {
        let bytes = Vec::from(header.as_bytes());
        self.0 = Some((SecretSlice::from(bytes), fingerprint));
    }
}

/// Takes as long whatever the bytes are: a proxy may send many people's requests over one connection.
fn is_same(one: &[u8], other: &[u8]) -> bool {
    let pairs = one.iter().zip(other);
    let difference = pairs.fold(0, |difference, (one, other)| difference | (one ^ other));
    one.len() == other.len() && bool::from(difference.ct_eq(&0))
}

impl fmt::Debug for Seen {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Seen")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_very_same_header_is_known() {
        let (one, other) = (Fingerprint::of("one"), Fingerprint::of("other"));
        let header = HeaderValue::from_static;
        let mut seen = Seen::default();
        assert_eq!(seen.get(&header("Basic one")), None);
        seen.remember(&header("Basic one"), one);
        assert_eq!(seen.get(&header("Basic one")), Some(one));
        for wrong in ["", "Basic onf", "Basic on", "Basic one=", "basic one"] {
            assert_eq!(seen.get(&header(wrong)), None, "{wrong}");
        }
        seen.remember(&header("Basic other"), other);
        assert_eq!(seen.get(&header("Basic one")), None);
        assert_eq!(seen.get(&header("Basic other")), Some(other));
        assert_eq!(format!("{seen:?}"), "Seen");
    }
}
