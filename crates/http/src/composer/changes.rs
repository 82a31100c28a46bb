//! `metadata/changes.json`: what mirrors ask to learn which packages changed.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use kapelle_registry::package::{self, ChangesFeed};
use serde::Serialize;

use crate::error::ApiError;
use crate::extract::{Organization, Parameters};
use crate::state::AppState;

/// Ticks of the sequence in a second.
const TICKS: i64 = 10_000;

/// The answer; without a usable `since` it says where to start.
#[derive(Debug, Serialize)]
pub(crate) struct Changes {
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    actions: Option<Vec<Action>>,
    timestamp: i64,
}

#[derive(Debug, Serialize)]
struct Action {
    #[serde(rename = "type")]
    kind: String,
    package: String,
    /// Seconds since 1970.
    time: i64,
}

/// Updates and deletions in [`since`, `timestamp`), in ticks of 0.1 ms since 1970. Whoever was away too long is told to
/// read everything again.
pub(crate) async fn list(
    State(state): State<AppState>,
    Organization { actor, row }: Organization,
    parameters: Parameters,
) -> Result<(StatusCode, Json<Changes>), ApiError> {
    let since = parameters.number("since").filter(|since| *since >= 0);
    let from = since.unwrap_or_else(|| state.registry().now() * TICKS / 1_000);
    let feed = package::changes_since(state.registry(), &actor, row.id, from).await?;
    let (actions, timestamp) = actions(feed);
    Ok(if since.is_some() {
        let actions = Some(actions);
        (
            StatusCode::OK,
            Json(Changes {
                error: None,
                actions,
                timestamp,
            }),
        )
    } else {
        let error = Some("\"since\" is missing or not a number: use the timestamp of this answer");
        (
            StatusCode::BAD_REQUEST,
            Json(Changes {
                error,
                actions: None,
                timestamp,
            }),
        )
    })
}

fn actions(feed: ChangesFeed) -> (Vec<Action>, i64) {
    match feed {
        ChangesFeed::Actions { actions, until } => {
            let action = |(kind, package, ticks)| Action {
                kind,
                package,
                time: ticks / TICKS,
            };
            (actions.into_iter().map(action).collect(), until)
        }
        ChangesFeed::Resync { until } => {
            let all = Action {
                kind: "resync".to_owned(),
                package: "*".to_owned(),
                time: until / TICKS,
            };
            (vec![all], until)
        }
    }
}
