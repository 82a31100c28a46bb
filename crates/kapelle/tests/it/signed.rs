//! Requests to the management API, signed as clients sign them.

use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::SystemTime;

use packagist_api::{Query, Request, Secret, Signature, SignatureVersion, Signing};
use serde_json::Value;

/// A key and its secret.
pub(crate) struct ApiKey {
    key: String,
    secret: Secret,
    signed: AtomicUsize,
}

impl ApiKey {
    /// What `kapelle setup --json` prints.
    pub(crate) fn of_setup(setup: &Value) -> Self {
        let text = |key: &str| setup[key].as_str().expect("a text").to_owned();
        Self {
            key: text("api_key"),
            secret: Secret::new(text("api_secret")),
            signed: AtomicUsize::new(0),
        }
    }

    /// The header for a request to a server that its clients know by that host.
    pub(crate) fn sign(&self, method: &str, host: &str, path: &str, body: &[u8]) -> String {
        let number = self.signed.fetch_add(1, Ordering::Relaxed);
        let mut signature = Signature {
            key: self.key.clone(),
            timestamp: seconds().to_string(),
            cnonce: format!("{}-{number}", std::process::id()),
            version: SignatureVersion::V2,
            signature: String::new(),
        };
        let query = Query::parse("").expect("no query");
        let request = Request {
            method,
            host,
            path,
            query: &query,
        };
        let mut signing = Signing::begin(&self.secret, request, &signature);
        signing.body(body);
        signature.signature = signing.sign();
        signature.to_string()
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "ApiKey({})", self.key)
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the server under test has the machine's clock"
)]
fn seconds() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.expect("a time after 1970").as_secs()
}
