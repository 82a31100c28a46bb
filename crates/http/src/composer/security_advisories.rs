//! `security-advisories`: known names, each without advisories, until advisories are followed here.

use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use kapelle_registry::search;
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::error::ApiError;
use crate::extract::{Organization, Parameters, RawBody};
use crate::hooks::is_json;
use crate::json;
use crate::state::AppState;

/// Names that one request may ask about, as on packagist.org.
const NAMES: usize = 1_000;

/// The key is always there, and only names that were asked for are in it: Composer insists on both.
#[derive(Debug, Serialize)]
pub(crate) struct Advisories {
    advisories: Map<String, Value>,
}

/// Composer posts a form with `packages[0]=…`; a query string or a JSON body with the same list do as well.
pub(crate) async fn list(
    State(state): State<AppState>,
    Organization { actor, row }: Organization,
    query: Parameters,
    headers: HeaderMap,
    RawBody(body): RawBody,
) -> Result<Json<Advisories>, ApiError> {
    let mut names = query.list("packages");
    names.extend(posted(
        &headers,
        &body,
        state.registry().limits().json_depth,
    )?);
    names.truncate(NAMES);
    let known = search::known(state.registry(), &actor, row.id, &names).await?;
    let advisories = known.into_iter().map(|name| (name, json!([]))).collect();
    Ok(Json(Advisories { advisories }))
}

fn posted(headers: &HeaderMap, body: &[u8], depth: usize) -> Result<Vec<String>, ApiError> {
    if !is_json(headers) {
        return Ok(Parameters::parse(body).list("packages"));
    }
    let body = json::parse(body, depth).map_err(ApiError::BadRequest)?;
    let names = body
        .get("packages")
        .and_then(Value::as_array)
        .into_iter()
        .flatten();
    Ok(names.filter_map(Value::as_str).map(str::to_owned).collect())
}
