//! Mirrored repositories: Composer repositories of others.

use serde::{Deserialize, Serialize};

/// A mirrored repository.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MirroredRepository {
    /// Its number.
    pub id: i64,
    /// For people.
    pub name: String,
    /// Where it is.
    pub url: String,
    /// `add_on_use`, `add_by_name`, `add_by_admin` or `disabled`.
    pub mirroring_behavior: String,
    /// The credential for it.
    pub credentials: Option<i64>,
}

/// The body of `POST mirrored-repositories/` and `PUT mirrored-repositories/{repository}/`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MirroredRepositoryRequest {
    /// For people.
    pub name: String,
    /// Where it is.
    pub url: String,
    /// `add_on_use`, `add_by_name`, `add_by_admin` or `disabled`.
    pub mirroring_behavior: String,
    /// The credential for it.
    #[serde(default)]
    pub credentials: Option<i64>,
}
