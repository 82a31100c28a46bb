//! `SyncPackage`: look at a package's repository and publish what changed.

use serde::{Deserialize, Serialize};

use super::{Job, JobContext, JobError, Priority};
use crate::sync;

/// Synchronizes one package with its repository.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SyncPackage {
    /// The organization it belongs to.
    pub organization_id: i64,
    /// The package.
    pub package_id: i64,
}

impl Job for SyncPackage {
    const KIND: &'static str = "SyncPackage";
    const PRIORITY: Priority = Priority::Urgent;

    fn exclusive_key(&self) -> Option<String> {
        Some(format!("package:{}", self.package_id))
    }

    fn organization_id(&self) -> Option<i64> {
        Some(self.organization_id)
    }

    fn package_id(&self) -> Option<i64> {
        Some(self.package_id)
    }

    async fn run(&self, context: &JobContext) -> Result<String, JobError> {
        sync::run(context, self.package_id).await
    }
}
