//! `/repo/{org}/` itself, for people who open it; and everything below it that does not exist.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use serde_json::{Value, json};

use crate::error::ApiError;
use crate::extract::Organization;
use crate::state::AppState;

/// How to use the repository.
#[derive(Debug, Serialize)]
pub(crate) struct Help {
    name: String,
    message: &'static str,
    /// For the key of the same name in composer.json.
    repositories: Vec<Value>,
}

/// Says that this is a Composer repository and what to write into composer.json.
pub(crate) async fn show(
    State(state): State<AppState>,
    Organization { row, .. }: Organization,
) -> Json<Help> {
    let url = state.registry().repository_url(&row.slug);
    Json(Help {
        name: row.slug.clone(),
        message: "This is a Composer repository. Add the entry below to \"repositories\" in your composer.json.",
        repositories: vec![json!({ "type": "composer", "url": url })],
    })
}

/// No such address. Who sent no credentials is asked for them first, as everywhere below an organization.
pub(crate) async fn missing(_seen: Organization) -> ApiError {
    ApiError::NotFound
}
