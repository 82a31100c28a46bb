//! Requests as a test sends them, and what comes back.

use axum::body::Body;
use axum::http::{HeaderMap, Request};
use bytes::Bytes;
use http_body_util::BodyExt;
use tower::ServiceExt;

use super::TestApp;

/// The value of an `Authorization` header.
pub(crate) fn basic(user: &str, password: &str) -> String {
    use base64::Engine;
    let text = base64::engine::general_purpose::STANDARD.encode(format!("{user}:{password}"));
    format!("Basic {text}")
}

/// Somebody who sends requests.
pub(crate) struct Client<'a> {
    pub(super) app: &'a TestApp,
    pub(super) authorization: Option<String>,
}

impl Client<'_> {
    /// GET, with no wish for compression.
    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send(Request::get(path), "").await
    }

    /// GET with one more header.
    pub(crate) async fn get_with(&self, path: &str, name: &str, value: &str) -> Answer {
        self.send(Request::get(path).header(name, value), "").await
    }

    /// HEAD.
    pub(crate) async fn head(&self, path: &str) -> Answer {
        self.send(Request::head(path), "").await
    }

    /// POST of JSON.
    pub(crate) async fn post(&self, path: &str, json: &str) -> Answer {
        self.send(
            Request::post(path).header("content-type", "application/json"),
            json.to_owned(),
        )
        .await
    }

    /// POST of a form.
    pub(crate) async fn post_form(&self, path: &str, form: &str) -> Answer {
        let request =
            Request::post(path).header("content-type", "application/x-www-form-urlencoded");
        self.send(request, form.to_owned()).await
    }

    /// Any request.
    pub(crate) async fn send(
        &self,
        request: axum::http::request::Builder,
        body: impl Into<Body>,
    ) -> Answer {
        let request = match &self.authorization {
            Some(value) => request.header("authorization", value),
            None => request,
        };
        let request = request.body(body.into()).expect("a valid request");
        let response = self
            .app
            .service
            .clone()
            .oneshot(request)
            .await
            .expect("the service always answers");
        let (parts, body) = response.into_parts();
        let body = body
            .collect()
            .await
            .expect("a body that does not break off")
            .to_bytes();
        Answer {
            status: parts.status.as_u16(),
            headers: parts.headers,
            body,
        }
    }
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Answer {
    /// A header's value; empty when it is not there.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().expect("a readable header"))
    }

    /// The body as text.
    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.body.to_vec()).expect("a body of text")
    }

    /// The body as JSON.
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    /// Status and body for snapshots: JSON in several lines, temporary folders without their names.
    pub(crate) fn shown(&self) -> String {
        let body = match serde_json::from_slice::<serde_json::Value>(&self.body) {
            Ok(json) => serde_json::to_string_pretty(&json).expect("JSON"),
            Err(_) => self.text(),
        };
        format!(
            "{} {}\n{}",
            self.status,
            self.header("content-type"),
            without_folders(&body)
        )
    }
}

/// Names of temporary folders replaced.
pub(crate) fn without_folders(text: &str) -> String {
    let folder = std::env::temp_dir().display().to_string();
    let start = format!("{folder}/.tmp");
    let mut parts = text.split(&start);
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| {
        format!("{text}[folder]{}", part.get(6..).unwrap_or_default())
    })
}
