//! `/api/packages/…`

use axum::Json;
use axum::extract::State;
use axum::response::Response;
use kapelle_composer::PackageName;
use kapelle_registry::clock::rfc3339;
use kapelle_registry::package::{self, PackageError};
use kapelle_storage::db::packages::Package as Row;
use packagist_api::{Package, PackageConfig, PackageDetail, PackageLinks, Statistics, Version};

use super::Authenticated;
use super::page::{Page, text};
use crate::error::ApiError;
use crate::extract::Segments;
use crate::state::AppState;

/// Words for where packages come from; clients before 1.13 use the last two.
const ORIGINS: [(&str, &str); 5] = [
    ("private", "private"),
    ("public-mirror", "public-mirror"),
    ("private-mirror", "private-mirror"),
    ("public-proxy", "public-mirror"),
    ("private-proxy", "private-mirror"),
];

/// The organization's packages, oldest first; `origin` limits them.
pub(crate) async fn list(
    State(state): State<AppState>,
    caller: Authenticated,
) -> Result<Response, ApiError> {
    let page = Page::of(&caller.query)?;
    let origin = text(&caller.query, "origin")?.map(origin).transpose()?;
    if caller.query.has("security-issue-state") {
        let sentence = "security-issue-state cannot be asked for yet: this server does not look for security issues";
        return Err(ApiError::BadRequest(sentence.to_owned()));
    }
    let (limit, offset) = page.rows();
    let organization = caller.key.organization_id;
    let (rows, total) = package::page(
        state.registry(),
        &caller.actor(),
        organization,
        origin,
        limit,
        offset,
    )
    .await?;
    let packages: Vec<Package> = rows.into_iter().map(shown).collect();
    let base = state.registry().public_url();
    Ok(page.answer(&packages, total, &base, "/api/packages/", &caller.query))
}

/// One package with its versions, by its id or name.
pub(crate) async fn show(
    State(state): State<AppState>,
    caller: Authenticated,
    Segments(named): Segments<String>,
) -> Result<Json<PackageDetail>, ApiError> {
    let unknown = || ApiError::Missing(format!("there is no package {named:?}"));
    let is_id = named.bytes().all(|byte| byte.is_ascii_digit());
    if !is_id && PackageName::lookup(&named).is_err() {
        return Err(unknown());
    }
    let organization = caller.key.organization_id;
    let found = package::outline(state.registry(), &caller.actor(), organization, &named).await;
    let outline = match found {
        Err(PackageError::Unknown(_) | PackageError::Removed { .. }) => return Err(unknown()),
        found => found?,
    };
    let versions = outline.versions.into_iter().map(|version| Version {
        version: version.version,
        version_normalized: version.version_normalized,
        dist_reference: Some(version.reference.clone()),
        source_reference: Some(version.reference),
        released_at: Some(rfc3339(version.released_at)),
        is_default_branch: version.default_branch,
    });
    Ok(Json(PackageDetail {
        versions: versions.collect(),
        install_statistics: Statistics {
            total: outline.installs,
        },
        package: shown(outline.package),
    }))
}

fn origin(asked: &str) -> Result<&'static str, ApiError> {
    let known = ORIGINS.iter().find(|(word, _)| *word == asked);
    known.map(|(_, origin)| *origin).ok_or_else(|| {
        ApiError::BadRequest(
            "origin is one of private, public-mirror and private-mirror".to_owned(),
        )
    })
}

fn shown(row: Row) -> Package {
    let name = row
        .name
        .clone()
        .unwrap_or_else(|| row.repository_url.clone());
    let named = row.name.clone().unwrap_or_else(|| row.id.to_string());
    Package {
        id: row.id,
        name,
        origin: row.origin,
        config: PackageConfig {
            kind: row.kind,
            url: Some(row.repository_url),
            custom_json: None,
            credentials_id: row.credential_id,
            mirrored_repository_id: None,
        },
        repo_config: None,
        credentials: row.credential_id,
        installable: row.name.is_some(),
        abandoned: row.abandoned.is_some(),
        replacement_package: row.abandoned.filter(|replacement| !replacement.is_empty()),
        links: PackageLinks {
            own: format!("/api/packages/{named}/"),
        },
    }
}
