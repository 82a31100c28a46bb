//! `/api/packages/…`

use axum::Json;
use axum::extract::State;
use axum::response::Response;
use kapelle_composer::PackageName;
use kapelle_registry::clock::rfc3339;
use kapelle_registry::package::{self, Edit, New, PackageError, Source};
use kapelle_storage::db::packages::Package as Row;
use packagist_api::{
    Job, Package, PackageConfig, PackageDetail, PackageLinks, PackageRef, PackageRequest,
    SecurityMonitoringConfig, Statistics, Version,
};
use serde_json::Value;

use super::body::Object;
use super::page::{Page, text};
use super::{Authenticated, jobs, security_issues};
use crate::error::ApiError;
use crate::extract::Segments;
use crate::json;
use crate::state::AppState;

/// Levels of a definition that is sent as text: as many as of a body.
const DEFINITION_DEPTH: usize = 64;
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
    let issues = text(&caller.query, "security-issue-state")?;
    if let Some(asked) = issues {
        security_issues::check(asked, "security-issue-state")?;
    }
    let (limit, offset) = page.rows();
    let organization = caller.key.organization_id;
    let (registry, actor) = (state.registry(), caller.actor());
    let (rows, total) = match issues {
        // There are no security issues yet, and so no packages that have one.
        Some(_) => (Vec::new(), 0),
        None => package::page(registry, &actor, organization, origin, limit, offset).await?,
    };
    let mut definitions = package::definitions_of(registry, &actor, organization, &rows).await?;
    let packages: Vec<Package> = rows
        .into_iter()
        .map(|row| {
            let definition = definitions.remove(&row.id);
            shown(row, definition.as_deref())
        })
        .collect();
    let base = registry.public_url();
    Ok(page.answer(&packages, total, &base, "/api/packages/", &caller.query))
}

/// One package with its versions, by its id or name.
pub(crate) async fn show(
    State(state): State<AppState>,
    caller: Authenticated,
    Segments(named): Segments<String>,
) -> Result<Json<PackageDetail>, ApiError> {
    let found = find(&state, &caller, &named).await?;
    let outline = package::outline(state.registry(), &caller.actor(), found).await?;
    let is_repository = outline.package.kind == "vcs";
    let versions = outline.versions.into_iter().map(|version| {
        let reference = Some(version.reference).filter(|reference| !reference.is_empty());
        Version {
            version: version.version,
            version_normalized: version.version_normalized,
            source_reference: reference.clone().filter(|_| is_repository),
            dist_reference: reference,
            released_at: Some(rfc3339(version.released_at)),
            is_default_branch: version.default_branch,
        }
    });
    let versions = versions.collect();
    let artifacts = outline.artifacts.iter().map(|artifact| artifact.id);
    let artifacts: Vec<i64> = artifacts.collect();
    let is_artifact = outline.package.kind == "artifact";
    let mut package = shown(outline.package, outline.definition.as_deref());
    package.config.artifact_ids = is_artifact.then_some(artifacts);
    Ok(Json(PackageDetail {
        versions,
        install_statistics: Statistics {
            total: outline.installs.total,
            last_month: outline.installs.month,
            last_day: outline.installs.day,
        },
        package,
    }))
}

/// Adds a package; the job publishes its versions.
pub(crate) async fn create(
    State(state): State<AppState>,
    caller: Authenticated,
    Object(request): Object<PackageRequest>,
) -> Result<Json<Job>, ApiError> {
    let source = source(&request)?.ok_or_else(|| {
        ApiError::BadRequest("repoUrl: say where the package's repository is".to_owned())
    })?;
    let new = New {
        source,
        credential_id: request.credentials.flatten(),
        suborganization_access: request.default_suborganization_access.unwrap_or_default(),
    };
    let organization = caller.key.organization_id;
    let actor = caller.actor();
    let (_, job) = package::create(state.registry(), &actor, organization, &new).await?;
    Ok(Json(jobs::queued(job)))
}

/// Changes where a package comes from, or what is used for it; the job publishes what follows.
pub(crate) async fn edit(
    State(state): State<AppState>,
    caller: Authenticated,
    Segments(named): Segments<String>,
    Object(request): Object<PackageRequest>,
) -> Result<Json<Job>, ApiError> {
    let found = find(&state, &caller, &named).await?;
    let kept = repo_type(&found);
    let names_source = request.repo_url.is_some()
        || request.repo_config.is_some()
        || request.artifact_ids.is_some();
    let request = PackageRequest {
        repo_type: request.repo_type.or(names_source.then_some(kept)),
        ..request
    };
    let edit = Edit {
        source: source(&request)?,
        credential_id: request.credentials,
        suborganization_access: request.default_suborganization_access,
    };
    let (_, job) = package::edit(state.registry(), &caller.actor(), &found, &edit).await?;
    Ok(Json(jobs::queued(job)))
}

/// Removes a package. It can be restored for a while: `kapelle package undo`.
pub(crate) async fn delete(
    State(state): State<AppState>,
    caller: Authenticated,
    Segments(named): Segments<String>,
) -> Result<Json<[(); 0]>, ApiError> {
    let found = find(&state, &caller, &named).await?;
    package::remove(state.registry(), &caller.actor(), &found).await?;
    Ok(Json([]))
}

/// The customers that have this package: there are no customers yet.
pub(crate) async fn customers(
    State(state): State<AppState>,
    caller: Authenticated,
    Segments(named): Segments<String>,
) -> Result<Response, ApiError> {
    let page = Page::of(&caller.query)?;
    find(&state, &caller, &named).await?;
    let path = format!("/api/packages/{named}/customers/");
    let none: &[PackageRef] = &[];
    Ok(page.part(none, &state, &path, &caller.query))
}

/// The packages that require this one.
pub(crate) async fn dependents(
    State(state): State<AppState>,
    caller: Authenticated,
    Segments(named): Segments<String>,
) -> Result<Response, ApiError> {
    let page = Page::of(&caller.query)?;
    let found = find(&state, &caller, &named).await?;
    let rows = package::dependents(state.registry(), &caller.actor(), &found).await?;
    let rows = rows.into_iter().map(|row| PackageRef {
        id: row.id,
        name: package::display_name(&row),
    });
    let rows: Vec<PackageRef> = rows.collect();
    let path = format!("/api/packages/{named}/dependents/");
    Ok(page.part(&rows, &state, &path, &caller.query))
}

/// What of a package is to be looked at for security advisories.
pub(crate) async fn monitoring(
    State(state): State<AppState>,
    caller: Authenticated,
    Segments(named): Segments<String>,
) -> Result<Json<SecurityMonitoringConfig>, ApiError> {
    let found = find(&state, &caller, &named).await?;
    let (all, branches) = package::monitoring(state.registry(), &caller.actor(), &found).await?;
    Ok(Json(SecurityMonitoringConfig {
        monitor_all_branches: all,
        monitored_branches: branches,
    }))
}

/// Changes that.
pub(crate) async fn monitor(
    State(state): State<AppState>,
    caller: Authenticated,
    Segments(named): Segments<String>,
    Object(config): Object<SecurityMonitoringConfig>,
) -> Result<Json<SecurityMonitoringConfig>, ApiError> {
    let found = find(&state, &caller, &named).await?;
    let SecurityMonitoringConfig {
        monitor_all_branches: all,
        monitored_branches: branches,
    } = config;
    package::monitor(state.registry(), &caller.actor(), &found, all, &branches).await?;
    monitoring(State(state), caller, Segments(named)).await
}

/// The live package of that id or name.
pub(super) async fn find(
    state: &AppState,
    caller: &Authenticated,
    named: &str,
) -> Result<Row, ApiError> {
    let unknown = || ApiError::Missing(format!("there is no package {named:?}"));
    let is_id = named.bytes().all(|byte| byte.is_ascii_digit());
    if !is_id && PackageName::lookup(named).is_err() {
        return Err(unknown());
    }
    let organization = caller.key.organization_id;
    match package::find(state.registry(), &caller.actor(), organization, named).await {
        Err(PackageError::Unknown(_) | PackageError::Removed { .. }) => Err(unknown()),
        found => Ok(found?),
    }
}

/// Where a request says that a package comes from; `None`: it does not say.
fn source(request: &PackageRequest) -> Result<Option<Source>, ApiError> {
    let missing = |member: &str| {
        let sentence = format!("{member}: a package of this repoType needs it");
        Err(ApiError::BadRequest(sentence))
    };
    let kind = request.repo_type.as_deref();
    for (member, is_there, belongs) in [
        (
            "repoUrl",
            request.repo_url.is_some(),
            !matches!(kind, Some("package" | "artifact")),
        ),
        (
            "repoConfig",
            request.repo_config.is_some(),
            kind == Some("package"),
        ),
        (
            "artifactIds",
            request.artifact_ids.is_some(),
            kind == Some("artifact"),
        ),
    ] {
        if is_there && !belongs {
            let sentence = format!("{member}: a package of this repoType has none");
            return Err(ApiError::BadRequest(sentence));
        }
    }
    match (kind, &request.repo_url) {
        (Some("package"), _) => match &request.repo_config {
            None => missing("repoConfig"),
            // The official client sends JSON as text.
            Some(Value::String(text)) => {
                let json = json::parse(text.as_bytes(), DEFINITION_DEPTH);
                let json = json.map_err(|error| {
                    let error = error.replace("the body", "it");
                    ApiError::BadRequest(format!("repoConfig: {error}"))
                });
                Ok(Some(Source::Custom(json?)))
            }
            Some(json) => Ok(Some(Source::Custom(json.clone()))),
        },
        (Some("artifact"), _) => match &request.artifact_ids {
            None => missing("artifactIds"),
            Some(ids) => Ok(Some(Source::Artifacts(ids.clone()))),
        },
        (kind, Some(url)) => Ok(Some(Source::Repository {
            kind: kind.unwrap_or("vcs").to_owned(),
            url: url.clone(),
        })),
        (Some(_), None) => missing("repoUrl"),
        (None, None) => Ok(None),
    }
}

fn origin(asked: &str) -> Result<&'static str, ApiError> {
    let known = ORIGINS.iter().find(|(word, _)| *word == asked);
    known.map(|(_, origin)| *origin).ok_or_else(|| {
        ApiError::BadRequest(
            "origin is one of private, public-mirror and private-mirror".to_owned(),
        )
    })
}

/// Where a package comes from, in the words of clients.
fn repo_type(row: &Row) -> String {
    match row.kind.as_str() {
        "vcs" => row.repository_type.clone(),
        "custom" => "package".to_owned(),
        other => other.to_owned(),
    }
}

/// A package as lists show it; `definition` is that of a custom one.
fn shown(row: Row, definition: Option<&str>) -> Package {
    let name = package::display_name(&row);
    let definition: Option<Value> =
        definition.and_then(|definition| serde_json::from_str(definition).ok());
    let kind = repo_type(&row);
    let named = row.name.clone().unwrap_or_else(|| row.id.to_string());
    Package {
        id: row.id,
        name,
        origin: row.origin,
        config: PackageConfig {
            kind,
            url: Some(row.repository_url).filter(|url| !url.is_empty()),
            custom_json: definition.clone(),
            credentials_id: row.credential_id,
            mirrored_repository_id: None,
            artifact_ids: None,
        },
        repo_config: definition,
        credentials: row.credential_id,
        installable: row.name.is_some(),
        abandoned: row.abandoned.is_some(),
        default_suborganization_access: Some(row.suborganization_access)
            .filter(|access| !access.is_empty()),
        replacement_package: row.abandoned.filter(|replacement| !replacement.is_empty()),
        links: PackageLinks {
            own: format!("/api/packages/{named}/"),
        },
    }
}
