//! `/api/organization/…`

use axum::Json;
use packagist_api::Job;

use super::Authenticated;

/// Looks for new packages wherever the organization is synchronized with: nowhere yet.
pub(crate) async fn sync(_: Authenticated) -> Json<Vec<Job>> {
    Json(Vec::new())
}
