//! `search.json`: `composer search`.

use axum::Json;
use axum::extract::State;
use kapelle_registry::search::{self, Query};
use kapelle_storage::db::packages::Package;
use serde::Serialize;
use url::form_urlencoded;

use crate::error::ApiError;
use crate::extract::{Organization, Parameters};
use crate::state::AppState;

/// Results per page unless the client says otherwise, as on packagist.org.
const PER_PAGE: i64 = 15;

/// One page of results.
#[derive(Debug, Serialize)]
pub(crate) struct Found {
    results: Vec<Hit>,
    total: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

#[derive(Debug, Serialize)]
struct Hit {
    name: String,
    description: String,
    url: String,
    repository: String,
    downloads: i64,
    /// `true`, or the replacement's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    abandoned: Option<serde_json::Value>,
}

/// Packages whose name or description has every word of `q` (or `query`).
pub(crate) async fn list(
    State(state): State<AppState>,
    Organization { actor, row }: Organization,
    parameters: Parameters,
) -> Result<Json<Found>, ApiError> {
    let query = Query {
        text: parameters
            .get("q")
            .or(parameters.get("query"))
            .unwrap_or_default()
            .to_owned(),
        package_type: parameters.get("type").map(str::to_lowercase),
        per_page: parameters
            .number("per_page")
            .unwrap_or(PER_PAGE)
            .clamp(1, search::PAGE),
        page: parameters.number("page").unwrap_or(1).max(1),
    };
    let found = search::search(state.registry(), &actor, row.id, &query).await?;
    let repository = state.registry().repository_url(&row.slug);
    let next = next(&repository, &query, found.total);
    let results = found
        .packages
        .into_iter()
        .zip(found.installs)
        .map(|(package, installs)| hit(package, installs));
    Ok(Json(Found {
        results: results.collect(),
        total: found.total,
        next,
    }))
}

fn hit(package: Package, downloads: i64) -> Hit {
    Hit {
        name: package.name.unwrap_or_default(),
        description: package.description,
        url: package.repository_url.clone(),
        repository: package.repository_url,
        downloads,
        abandoned: package.abandoned.map(|by| {
            if by.is_empty() {
                true.into()
            } else {
                by.into()
            }
        }),
    }
}

/// The complete address of the next page, if there is one.
fn next(repository: &str, query: &Query, total: i64) -> Option<String> {
    (query.page.saturating_mul(query.per_page) < total).then(|| {
        let parameters = form_urlencoded::Serializer::new(String::new())
            .append_pair("q", &query.text)
            .append_pair("type", query.package_type.as_deref().unwrap_or_default())
            .append_pair("per_page", &query.per_page.to_string())
            .append_pair("page", &(query.page + 1).to_string())
            .finish();
        format!("{repository}/search.json?{parameters}")
    })
}
