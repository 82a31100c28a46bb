//! A request's body, bounded in size and time.

use std::time::Duration;

use axum::extract::{FromRequest, Request};
use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError, Limited};

use crate::error::ApiError;
use crate::state::AppState;

/// How long a body may take to arrive.
const PATIENCE: Duration = Duration::from_secs(30);

/// The whole body as it was sent, at most the limit of JSON bodies.
#[derive(Debug)]
pub(crate) struct RawBody(pub(crate) Bytes);

impl FromRequest<AppState> for RawBody {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &AppState) -> Result<Self, ApiError> {
        let limit = state.registry().limits().json_body;
        let body = Limited::new(
            request.into_body(),
            usize::try_from(limit).unwrap_or(usize::MAX),
        );
        let Ok(read) = tokio::time::timeout(PATIENCE, body.collect()).await else {
            return Err(ApiError::Slow);
        };
        match read {
            Ok(collected) => Ok(Self(collected.to_bytes())),
            Err(error) if error.is::<LengthLimitError>() => Err(ApiError::TooLarge { limit }),
            Err(_) => Err(ApiError::BadRequest("the body broke off".to_owned())),
        }
    }
}
