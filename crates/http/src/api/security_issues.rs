//! `/api/security-issues/…`: this server does not look for security issues yet, so there are none.

use axum::Json;
use axum::extract::State;
use axum::response::Response;
use packagist_api::Package;

use super::Authenticated;
use super::packages::find;
use super::page::{Page, text};
use crate::error::ApiError;
use crate::extract::Segments;
use crate::state::AppState;

/// What becomes of an issue.
pub(super) const STATES: [&str; 7] = [
    "open",
    "in-progress",
    "not-affected",
    "incorrect",
    "no-capacity",
    "ignore",
    "resolved",
];

/// The organization's security issues.
pub(crate) async fn list(
    State(state): State<AppState>,
    caller: Authenticated,
) -> Result<Response, ApiError> {
    none(&state, &caller, "/api/security-issues/")
}

/// Those of one package.
pub(crate) async fn of_package(
    State(state): State<AppState>,
    caller: Authenticated,
    Segments(named): Segments<String>,
) -> Result<Response, ApiError> {
    find(&state, &caller, &named).await?;
    let path = format!("/api/packages/{named}/security-issues/");
    none(&state, &caller, &path)
}

/// One issue.
pub(crate) async fn show(_: Authenticated, Segments(id): Segments<String>) -> ApiError {
    unknown(&id)
}

/// Opens an issue again.
pub(crate) async fn open(_: Authenticated, Segments(id): Segments<String>) -> ApiError {
    unknown(&id)
}

/// Closes an issue.
pub(crate) async fn close(
    _: Authenticated,
    Segments((id, state)): Segments<(String, String)>,
) -> Result<Json<()>, ApiError> {
    check(&state, "state")?;
    Err(unknown(&id))
}

fn unknown(id: &str) -> ApiError {
    ApiError::Missing(format!("there is no security issue {id:?}"))
}

/// Whether that is a state.
pub(super) fn check(state: &str, name: &str) -> Result<(), ApiError> {
    if STATES.contains(&state) {
        return Ok(());
    }
    Err(ApiError::BadRequest(format!(
        "{name} is one of {}",
        STATES.join(", ")
    )))
}

fn none(state: &AppState, caller: &Authenticated, path: &str) -> Result<Response, ApiError> {
    let page = Page::of(&caller.query)?;
    if let Some(asked) = text(&caller.query, "security-issue-state")? {
        check(asked, "security-issue-state")?;
    }
    let none: &[Package] = &[];
    Ok(page.part(none, state, path, &caller.query))
}
