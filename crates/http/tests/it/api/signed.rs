//! Somebody with an API key.

use std::sync::atomic::{AtomicI64, Ordering};

use axum::http::{Method, Request};
use packagist_api::{Query, Request as ToSign, Secret, Signature, SignatureVersion, Signing};
use serde_json::Value;

use crate::app::{Answer, TestApp};

/// Signs requests; every part can be made wrong.
pub(super) struct Signer<'a> {
    pub(super) app: &'a TestApp,
    pub(super) key: String,
    pub(super) secret: String,
    pub(super) version: SignatureVersion,
    /// The host that is signed.
    pub(super) host: String,
    /// By how many seconds the client's clock is ahead.
    pub(super) ahead: i64,
    pub(super) count: AtomicI64,
}

impl<'a> Signer<'a> {
    /// The administrator of `acme`.
    pub(super) fn admin(app: &'a TestApp) -> Self {
        let (key, secret) = app.api_key.clone();
        Self::with(app, key, secret)
    }

    /// Whoever has that key.
    pub(super) fn with(app: &'a TestApp, key: String, secret: String) -> Self {
        Self {
            app,
            key,
            secret,
            version: SignatureVersion::V2,
            host: "packages.example.org".to_owned(),
            ahead: 0,
            count: AtomicI64::new(0),
        }
    }

    /// The header for a request.
    pub(super) fn sign(&self, method: &Method, target: &str, body: impl AsRef<[u8]>) -> String {
        let nonce = self.count.fetch_add(1, Ordering::Relaxed);
        let mut signature = Signature {
            key: self.key.clone(),
            timestamp: (self.app.registry.now() / 1_000 + self.ahead).to_string(),
            cnonce: format!("nonce-{nonce}"),
            version: self.version,
            signature: String::new(),
        };
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let query = Query::parse(query).unwrap();
        let request = ToSign {
            method: method.as_str(),
            host: &self.host,
            path,
            query: &query,
        };
        let mut signing = Signing::begin(&Secret::new(&*self.secret), request, &signature);
        signing.body(body.as_ref());
        signature.signature = signing.sign();
        signature.to_string()
    }

    /// The answer to a signed GET.
    pub(super) async fn get(&self, target: &str) -> Answer {
        let header = self.sign(&Method::GET, target, "");
        self.send(Method::GET, target, "", &header).await
    }

    /// The answer to a signed request with a JSON body.
    pub(super) async fn put(&self, target: &str, json: &Value) -> Answer {
        self.json(Method::PUT, target, &json.to_string()).await
    }

    /// The same to a POST.
    pub(super) async fn post(&self, target: &str, json: &Value) -> Answer {
        self.json(Method::POST, target, &json.to_string()).await
    }

    /// The answer to a signed DELETE.
    pub(super) async fn delete(&self, target: &str) -> Answer {
        self.json(Method::DELETE, target, "").await
    }

    /// The answer to a signed request with any body.
    pub(super) async fn json(&self, method: Method, target: &str, body: &str) -> Answer {
        let header = self.sign(&method, target, body);
        self.send(method, target, body, &header).await
    }

    /// The answer to the upload of a file.
    pub(super) async fn upload(&self, target: &str, name: &str, bytes: &[u8]) -> Answer {
        let header = self.sign(&Method::POST, target, bytes);
        let request = Request::post(target)
            .header("x-filename", name)
            .header("content-type", "application/zip")
            .header("authorization", header);
        self.app.anonymous().send(request, bytes.to_vec()).await
    }

    /// Runs what a request queued; gives the job as clients read it.
    pub(super) async fn finish(&self, queued: Answer) -> Value {
        let job = queued.json();
        assert_eq!(
            (queued.status, &job["status"]),
            (200, &"queued".into()),
            "{job}"
        );
        self.app.work().await;
        let path = job["links"]["self"].as_str().expect("a path");
        self.get(path).await.json()
    }

    /// The answer to a request with any header.
    pub(super) async fn send(
        &self,
        method: Method,
        target: &str,
        body: &str,
        header: &str,
    ) -> Answer {
        let request = Request::builder()
            .method(method)
            .uri(target)
            .header("host", "registry.internal:8443")
            .header("authorization", header);
        self.app.anonymous().send(request, body.to_owned()).await
    }
}
