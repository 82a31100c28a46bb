//! `/api/synchronizations/`: there are none yet, and no way to make one.

use axum::extract::State;
use axum::response::Response;
use packagist_api::Package;

use super::Authenticated;
use super::page::Page;
use crate::error::ApiError;
use crate::state::AppState;

/// The organization's synchronizations.
pub(crate) async fn list(
    State(state): State<AppState>,
    caller: Authenticated,
) -> Result<Response, ApiError> {
    let page = Page::of(&caller.query)?;
    let none: &[Package] = &[];
    Ok(page.part(none, &state, "/api/synchronizations/", &caller.query))
}
