//! Signatures of requests: what they cover, made and checked while a body passes by.
//!
//! What is signed is `METHOD\nHOST\nPATH\nFORM`. The form has the fields `body`, `cnonce`, `key`, `query`, `timestamp` and
//! `version` in this order, percent-encoded; the signature is the Base64 of HMAC-SHA-256 of all that with the key's secret.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use crate::authorization::{Signature, SignatureVersion};
use crate::encode::{encode, encoded};
use crate::query::Query;

/// The secret half of an API key; never shown.
#[derive(Clone)]
pub struct Secret(String);

impl Secret {
    /// Takes the secret as the service gives it.
    pub fn new(secret: impl Into<String>) -> Self {
        Self(secret.into())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Secret(…)")
    }
}

/// What of a request is signed, but for its body.
#[derive(Clone, Copy, Debug)]
pub struct Request<'r> {
    /// In upper case.
    pub method: &'r str,
    /// As the client names it, without port, in lower case; IPv6 in brackets.
    pub host: &'r str,
    /// As it was sent, with its escapes and without the query.
    pub path: &'r str,
    /// Its parameters.
    pub query: &'r Query,
}

/// A signature in the making. The body's bytes are added as they come, whatever their number.
pub struct Signing {
    mac: Hmac<Sha256>,
    body: Body,
    /// What follows the body's field.
    rest: String,
}

/// What is known of a body so far.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Body {
    /// Nothing, or that it is empty: it has no field then.
    Empty,
    /// One `0`: if that is all it has no field either, because PHP takes it for nothing.
    Zero,
    /// That it has a field.
    Begun,
}

impl Signing {
    /// Begins the signature of a request; of `claimed`, all but the signature itself counts.
    pub fn begin(secret: &Secret, request: Request<'_>, claimed: &Signature) -> Self {
        let Request {
            method,
            host,
            path,
            query,
        } = request;
        let mut mac = Hmac::<Sha256>::new_from_slice(secret.0.as_bytes())
            .expect("a key of HMAC can have any length");
        for part in [method, "\n", host, "\n", path, "\n"] {
            mac.update(part.as_bytes());
        }
        let [key, cnonce, timestamp] = [&claimed.key, &claimed.cnonce, &claimed.timestamp]
            .map(|field| encoded(field.as_bytes()));
        let rest = match claimed.version {
            SignatureVersion::V1 => format!("cnonce={cnonce}&key={key}&timestamp={timestamp}"),
            SignatureVersion::V2 => {
                let query = encoded(query.canonical().as_bytes());
                format!("cnonce={cnonce}&key={key}&query={query}&timestamp={timestamp}&version=2")
            }
        };
        Self {
            mac,
            body: Body::Empty,
            rest,
        }
    }

    /// Adds the next bytes of the body.
    pub fn body(&mut self, bytes: &[u8]) {
        let begins: &[u8] = match self.body {
            _ if bytes.is_empty() => return,
            Body::Empty if bytes == b"0" => {
                self.body = Body::Zero;
                return;
            }
            Body::Empty => b"body=",
            Body::Zero => b"body=0",
            Body::Begun => b"",
        };
        self.body = Body::Begun;
        self.mac.update(begins);
        encode(bytes, |piece| self.mac.update(piece));
    }

    /// Whether what came of the body so far is signed. One that is only `0` is not, and must be taken for no body: whoever is
    /// in between could have made one of the other.
    pub fn has_body(&self) -> bool {
        self.body == Body::Begun
    }

    /// The signature, once the body is complete.
    pub fn sign(self) -> String {
        STANDARD.encode(self.complete().finalize().into_bytes())
    }

    /// Whether `claimed` is the signature, once the body is complete; takes as long whatever it is.
    pub fn is(self, claimed: &str) -> bool {
        let claimed = STANDARD.decode(claimed).unwrap_or_default();
        self.complete().verify_slice(&claimed).is_ok()
    }

    fn complete(mut self) -> Hmac<Sha256> {
        if self.body == Body::Begun {
            self.mac.update(b"&");
        }
        self.mac.update(self.rest.as_bytes());
        self.mac
    }
}

impl fmt::Debug for Signing {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Signing").finish_non_exhaustive()
    }
}
