//! JSON bodies: what is wrong with one is said with the name of its member.

use axum::extract::{FromRequest, Request};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::error::ApiError;
use crate::extract::RawBody;
use crate::json;
use crate::state::AppState;

/// A JSON object. An empty body, and PHP's empty array, count as an object without members.
#[derive(Debug)]
pub(crate) struct Object<T>(pub(crate) T);

impl<T: DeserializeOwned> FromRequest<AppState> for Object<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &AppState) -> Result<Self, ApiError> {
        let RawBody(body) = RawBody::from_request(request, state).await?;
        let depth = state.registry().limits().json_depth;
        read(&body, depth).map(Self).map_err(ApiError::BadRequest)
    }
}

/// A JSON list. An empty body counts as an empty one.
#[derive(Debug)]
pub(crate) struct List<T>(pub(crate) Vec<T>);

impl<T: DeserializeOwned> FromRequest<AppState> for List<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &AppState) -> Result<Self, ApiError> {
        let RawBody(body) = RawBody::from_request(request, state).await?;
        let depth = state.registry().limits().json_depth;
        read_list(&body, depth)
            .map(Self)
            .map_err(ApiError::BadRequest)
    }
}

fn read_list<T: DeserializeOwned>(body: &[u8], depth: usize) -> Result<Vec<T>, String> {
    let body = match body.trim_ascii() {
        b"" => b"[]",
        body => body,
    };
    let value = json::parse(body, depth)?;
    if !value.is_array() {
        return Err("the body is no JSON list".to_owned());
    }
    typed(value)
}

fn read<T: DeserializeOwned>(body: &[u8], depth: usize) -> Result<T, String> {
    let body = match body.trim_ascii() {
        b"" | b"[]" => b"{}",
        body => body,
    };
    let value = json::parse(body, depth)?;
    if !value.is_object() {
        return Err("the body is no JSON object".to_owned());
    }
    typed(value)
}

fn typed<T: DeserializeOwned>(value: Value) -> Result<T, String> {
    serde_path_to_error::deserialize(value).map_err(|error| {
        let path = error.path().to_string();
        let what = error.inner();
        match path.as_str() {
            // What was sent in place of a secret may be one.
            "credential" => "credential: it has to be a text".to_owned(),
            // What lacks a member is the object around it.
            "." | "?" => what.to_string(),
            path => format!("{path}: {what}"),
        }
    })
}

#[cfg(test)]
mod tests {
    use packagist_api::{NewCredential, PackageRequest};

    use super::*;

    fn package(body: &str) -> Result<PackageRequest, String> {
        read(body.as_bytes(), 64)
    }

    #[test]
    fn an_error_names_the_member() {
        let sentence = |body| package(body).unwrap_err();
        assert_eq!(
            sentence(r#"{"repoUrl": 5}"#),
            "repoUrl: invalid type: integer `5`, expected a string"
        );
        assert_eq!(
            sentence(r#"{"artifactIds": [1, "2"]}"#),
            "artifactIds[1]: invalid type: string \"2\", expected i64"
        );
        let unknown = sentence(r#"{"repoURL": "x"}"#);
        assert!(unknown.contains("unknown field `repoURL`"), "{unknown}");
        assert_eq!(sentence("[1]"), "the body is no JSON object");
        let missing = read::<NewCredential>(b"{}", 64).unwrap_err();
        assert_eq!(missing, "missing field `type`");
        let secret = read::<NewCredential>(br#"{"credential": 123456}"#, 64).unwrap_err();
        assert_eq!(secret, "credential: it has to be a text");
    }

    #[test]
    fn nothing_and_null_are_told_apart() {
        assert_eq!(package("").unwrap(), PackageRequest::default());
        assert_eq!(package("[]").unwrap(), PackageRequest::default());
        assert_eq!(
            package(r#"{"credentials": null}"#).unwrap().credentials,
            Some(None)
        );
        assert_eq!(
            package(r#"{"credentials": 7}"#).unwrap().credentials,
            Some(Some(7))
        );
    }
}
