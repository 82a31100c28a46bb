//! Artifacts on their way in: to the disk, while their signature is computed. Nothing of one is kept before that was right.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::body::Body;
use axum::extract::{FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, header};
use http_body_util::BodyExt;
use kapelle_registry::Registry;
use kapelle_registry::artifact::{ArtifactError, Upload};
use packagist_api::Signing;
use tokio::time::{Instant, timeout_at};

use crate::error::ApiError;
use crate::state::AppState;

/// How long a client may send nothing.
const SILENCE: Duration = Duration::from_secs(30);
/// How long one may take in all; nonces are kept for longer.
const TOTAL: Duration = Duration::from_mins(30);
/// How many a key may have under way at once.
const AT_ONCE: usize = 4;
/// Where clients say what the file is called.
const FILE_NAME: &str = "x-filename";

/// An artifact that has arrived whole, signed by the key that the request is from.
#[derive(Clone, Debug)]
pub(crate) struct Uploaded(Arc<Mutex<Option<(Upload, Turn)>>>);

impl Uploaded {
    pub(crate) fn new(upload: Upload, turn: Turn) -> Self {
        Self(Arc::new(Mutex::new(Some((upload, turn)))))
    }
}

/// An artifact, and what its client calls it.
#[derive(Debug)]
pub(crate) struct Archive {
    pub(crate) upload: Upload,
    pub(crate) file_name: String,
    /// Until it is kept or refused.
    pub(crate) turn: Turn,
}

impl FromRequestParts<AppState> for Archive {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &AppState) -> Result<Self, ApiError> {
        let uploaded = parts.extensions.get::<Uploaded>();
        let upload = uploaded.and_then(|Uploaded(upload)| {
            upload.lock().unwrap_or_else(PoisonError::into_inner).take()
        });
        let (upload, turn) = upload.ok_or_else(|| {
            ApiError::BadRequest("the body is empty: send the archive as it is".to_owned())
        })?;
        let file_name = parts.headers.get(FILE_NAME).map(|name| name.to_str());
        let file_name = match file_name {
            None => String::new(),
            Some(Ok(name)) => name.to_owned(),
            Some(Err(_)) => {
                let sentence = "X-FILENAME: it has other characters than ASCII's printable ones";
                return Err(ApiError::BadRequest(sentence.to_owned()));
            }
        };
        Ok(Self {
            upload,
            file_name,
            turn,
        })
    }
}

/// Whether what a request has in its body is an artifact. The path is the one by which it is routed.
pub(crate) fn is_upload(request: &Request) -> bool {
    let path = request.uri().path();
    let package = path.strip_prefix("/api/packages/");
    let inside = package.and_then(|path| path.strip_suffix("/artifacts"));
    *request.method() == Method::POST
        && (package == Some("artifacts") || inside.is_some_and(|name| !name.contains('/')))
}

/// Refuses what says of itself that it is too large.
pub(crate) fn check_length(registry: &Registry, headers: &HeaderMap) -> Result<(), ApiError> {
    let limit = registry.limits().packed;
    let length = headers.get(header::CONTENT_LENGTH);
    let length = length.and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if length.is_some_and(|length| length > limit) {
        return Err(ApiError::TooLarge { limit });
    }
    Ok(())
}

/// Writes a body to the disk and adds it to what is signed; `None`: it is empty.
pub(crate) async fn receive(
    registry: &Registry,
    mut body: Body,
    signings: &mut [Signing],
) -> Result<Option<Upload>, ApiError> {
    let mut upload = Upload::begin(registry)?;
    let end = Instant::now() + TOTAL;
    let mut is_empty = true;
    loop {
        let patience = end.min(Instant::now() + SILENCE);
        let Ok(frame) = timeout_at(patience, body.frame()).await else {
            return Err(ApiError::Slow);
        };
        let Some(frame) = frame else {
            return Ok((!is_empty).then_some(upload));
        };
        let broken = |_| ApiError::BadRequest("the body broke off".to_owned());
        let Ok(bytes) = frame.map_err(broken)?.into_data() else {
            continue;
        };
        is_empty &= bytes.is_empty();
        for signing in signings.iter_mut() {
            signing.body(&bytes);
        }
        upload.write(&bytes).await?;
    }
}

/// How many uploads each key has under way in this process.
#[derive(Clone, Debug, Default)]
pub(crate) struct UnderWay(Arc<Mutex<HashMap<i64, usize>>>);

/// The right to one of them, until it is dropped.
#[derive(Debug)]
pub(crate) struct Turn {
    under_way: UnderWay,
    key: i64,
}

impl UnderWay {
    /// One more upload of a key, if it may have that.
    pub(crate) fn begin(&self, key: i64) -> Result<Turn, ApiError> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = all.entry(key).or_default();
        if *count >= AT_ONCE {
            return Err(ApiError::Busy(format!(
                "this key has {AT_ONCE} uploads under way, which is as many as it may: try again when one has ended"
            )));
        }
        *count += 1;
        Ok(Turn {
            under_way: self.clone(),
            key,
        })
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut all = self
            .under_way
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = all.get_mut(&self.key) {
            *count -= 1;
            if *count == 0 {
                all.remove(&self.key);
            }
        }
    }
}

impl From<ArtifactError> for ApiError {
    fn from(error: ArtifactError) -> Self {
        match error {
            ArtifactError::Denied(denied) => denied.into(),
            ArtifactError::Storage(error) => error.into(),
            ArtifactError::TooLarge(limit) => Self::TooLarge { limit },
            ArtifactError::Store(cause) => Self::Internal(cause),
            wrong @ (ArtifactError::Unknown(_) | ArtifactError::Refused(_)) => {
                Self::BadRequest(wrong.to_string())
            }
        }
    }
}
