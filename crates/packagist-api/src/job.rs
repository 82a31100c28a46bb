//! Work in the background, which clients wait for.

use serde::{Deserialize, Serialize};

use crate::PackageRef;

/// A job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Job {
    /// Opaque.
    pub id: String,
    /// `queued`, `running`, `success` or `error`.
    pub status: String,
    /// For people; after an error, what it was.
    pub message: String,
    /// The package that it is about.
    pub package: Option<PackageRef>,
    /// Where more is.
    pub links: JobLinks,
}

/// Addresses about a job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobLinks {
    /// This job in the API: a path.
    #[serde(rename = "self")]
    pub own: String,
}
