//! Work in the background, which clients wait for.

use serde::{Deserialize, Serialize};

/// A job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Job {
    /// Opaque.
    pub id: String,
    /// `queued`, `running`, `success` or `error`.
    pub status: String,
    /// For people; after an error, what it was.
    pub message: String,
}
