//! Change hooks: a hosting service, a CI job or a script says that a repository has changed.

mod payload;
pub(crate) mod provider;
mod signature;
pub(crate) mod update_package;

use axum::Json;
use axum::http::{HeaderMap, StatusCode, header};
use serde::Serialize;

/// The jobs that a hook queued, in packagist.org's form.
#[derive(Debug, Serialize)]
pub(crate) struct Accepted {
    status: &'static str,
    jobs: Vec<String>,
    #[serde(rename = "type")]
    kind: &'static str,
}

/// 202: the synchronizations are queued. Job ids are texts, as they are on packagist.org.
fn accepted(jobs: &[i64], kind: &'static str) -> (StatusCode, Json<Accepted>) {
    let jobs = jobs.iter().map(ToString::to_string).collect();
    (
        StatusCode::ACCEPTED,
        Json(Accepted {
            status: "success",
            jobs,
            kind,
        }),
    )
}

/// Whether a body says of itself that it is JSON.
pub(crate) fn is_json(headers: &HeaderMap) -> bool {
    let content_type = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let media_type = content_type
        .split(';')
        .next()
        .unwrap_or_default()
        .trim()
        .to_ascii_lowercase();
    media_type == "application/json" || media_type.ends_with("+json")
}
