//! Artifacts: archives that are uploaded.

use serde::{Deserialize, Serialize};

/// An artifact that was just uploaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Artifact {
    /// Its number.
    pub id: i64,
}

/// An artifact by itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ArtifactDetail {
    /// Its number.
    pub id: i64,
    /// `artifact`.
    pub repo_type: String,
    /// All artifacts of its package; itself as long as it has none.
    pub artifact_package_file_ids: Vec<i64>,
}

/// An artifact of a package.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PackageArtifact {
    /// Its number.
    pub id: i64,
    /// What it was called.
    pub file_name: String,
    /// The version in its composer.json.
    pub version: String,
    /// RFC 3339.
    pub created_at: String,
}
