//! `providers/{name}.json`: which packages provide or replace a name, asked when a requirement is unknown.

use axum::Json;
use axum::extract::State;
use kapelle_registry::search;
use kapelle_storage::db::packages::Package;
use serde::Serialize;

use crate::error::ApiError;
use crate::extract::{Organization, Segments};
use crate::state::AppState;

/// The providers of one name; none is an ordinary answer.
#[derive(Debug, Serialize)]
pub(crate) struct Providers {
    providers: Vec<Provider>,
}

#[derive(Debug, Serialize)]
struct Provider {
    name: String,
    description: String,
    #[serde(rename = "type")]
    package_type: String,
}

/// The providers of a name, which may be a platform package such as `ext-foo` without a vendor.
pub(crate) async fn list(
    State(state): State<AppState>,
    Organization { actor, row }: Organization,
    Segments((_, file)): Segments<(String, String)>,
) -> Result<Json<Providers>, ApiError> {
    let name = file.strip_suffix(".json").ok_or(ApiError::NotFound)?;
    let found =
        search::providers(state.registry(), &actor, row.id, &name.replace('\0', "")).await?;
    Ok(Json(Providers {
        providers: found.into_iter().map(provider).collect(),
    }))
}

fn provider(package: Package) -> Provider {
    Provider {
        name: package.name.unwrap_or_default(),
        description: package.description,
        package_type: package.package_type,
    }
}
