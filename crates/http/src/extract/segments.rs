//! The decoded parts of a path.

use axum::extract::{FromRequestParts, Path};
use axum::http::request::Parts;
use serde::de::DeserializeOwned;

use crate::error::ApiError;
use crate::state::AppState;

/// The parts of the path in the route's order, percent-decoded once.
#[derive(Debug)]
pub(crate) struct Segments<T>(pub(crate) T);

impl<T: DeserializeOwned + Send> FromRequestParts<AppState> for Segments<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, ApiError> {
        let path = Path::<T>::from_request_parts(parts, state).await;
        path.map(|Path(segments)| Self(segments))
            .map_err(|_| ApiError::BadRequest("the path is not valid UTF-8".to_owned()))
    }
}

/// Lower case, with `?` for every character that no name, slug or file of ours has: whatever was asked for can then be
/// looked up, and is not found.
pub(crate) fn plain(segment: &str) -> String {
    let allowed = |character: char| character.is_ascii_alphanumeric() || "._~-".contains(character);
    let plain = |character: char| {
        if allowed(character) {
            character.to_ascii_lowercase()
        } else {
            '?'
        }
    };
    segment.chars().map(plain).collect()
}

#[cfg(test)]
mod tests {
    use super::plain;

    #[test]
    fn what_no_name_has_becomes_a_question_mark() {
        assert_eq!(plain("Lib~dev.json"), "lib~dev.json");
        assert_eq!(plain("a/b\0c\u{e9}"), "a?b?c?");
    }
}
