//! `downloads`: Composer reports what it installed (`notify-batch`).
//!
//! Old lock files call this address for years, Composer 1 without credentials, and a slow or loud answer annoys
//! whoever installs: so it is fast, never carries a `warning`, and takes a report without credentials but does not count it.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use kapelle_composer::PackageName;
use kapelle_registry::access::Denied;
use kapelle_registry::statistics::{self, Install};
use serde_json::{Value, json};

use crate::error::ApiError;
use crate::extract::{Organization, RawBody};
use crate::json;
use crate::state::AppState;

/// Longest version that is counted, in bytes.
const VERSION: usize = 255;

/// Counts what a report names.
pub(crate) async fn create(
    State(state): State<AppState>,
    organization: Result<Organization, ApiError>,
    body: Result<RawBody, ApiError>,
) -> (StatusCode, Json<Value>) {
    let depth = state.registry().limits().json_depth;
    let report = body
        .map_err(|error| error.to_string())
        .and_then(|RawBody(body)| installs(&body, depth));
    match (report, organization) {
        (Err(sentence), _) => (
            StatusCode::OK,
            Json(json!({ "status": "error", "message": sentence })),
        ),
        (Ok(installs), Ok(Organization { actor, row })) => answer(statistics::record_installs(
            state.registry(),
            &actor,
            row.id,
            installs,
        )),
        (Ok(_), Err(refused)) => {
            tracing::debug!(%refused, "a report of installs was not counted");
            answer(Ok(()))
        }
    }
}

fn answer(recorded: Result<(), Denied>) -> (StatusCode, Json<Value>) {
    if let Err(denied) = recorded {
        tracing::debug!(%denied, "a report of installs was not counted");
    }
    (StatusCode::CREATED, Json(json!({ "status": "success" })))
}

/// The installs that a body names; entries that cannot be meant are left out, unknown packages are ordinary.
fn installs(body: &[u8], depth: usize) -> Result<Vec<Install>, String> {
    let report = json::parse(body, depth)?;
    let downloads = report.get("downloads").and_then(Value::as_array);
    let downloads = downloads.ok_or("the body has no list \"downloads\"")?;
    Ok(downloads.iter().filter_map(install).collect())
}

fn install(entry: &Value) -> Option<Install> {
    let name = PackageName::lookup(entry.get("name")?.as_str()?).ok()?;
    let version = entry.get("version")?.as_str()?;
    let usable =
        !version.is_empty() && version.len() <= VERSION && !version.chars().any(char::is_control);
    usable.then(|| Install {
        name: name.to_string(),
        version: version.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_that_cannot_be_meant_are_left_out() {
        let body = br#"{"downloads":[{"name":"Acme\/Lib","version":"1.0.0.0"},{"name":"x"},7,{"name":"a/b","version":"\u0000"}]}"#;
        let expected = Install {
            name: "acme/lib".to_owned(),
            version: "1.0.0.0".to_owned(),
        };
        assert_eq!(installs(body, 64), Ok(vec![expected]));
    }

    #[test]
    fn what_is_no_report_gets_a_sentence() {
        assert_eq!(
            installs(b"{}", 64).unwrap_err(),
            "the body has no list \"downloads\""
        );
        assert_eq!(
            installs(b"{", 64).unwrap_err(),
            "the body is not valid JSON at line 1, column 1"
        );
    }
}
