//! `MirrorPackage`: take a package from a mirrored repository. Not possible yet, and the job says so.

use kapelle_composer::PackageName;
use kapelle_storage::StorageError;
use serde::{Deserialize, Serialize};

use super::{Job, JobContext, JobError, Priority, enqueue};
use crate::access::{self, Denied};
use crate::actor::Actor;
use crate::registry::Registry;

/// Takes one package from one mirrored repository.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct MirrorPackage {
    /// The organization it is for.
    pub organization_id: i64,
    /// The mirrored repository.
    pub repository_id: i64,
    /// The package's name there.
    pub name: String,
}

/// Why packages could not be asked for.
#[derive(Debug, thiserror::Error)]
pub enum MirrorError {
    /// Not allowed.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// One of them is no package's name.
    #[error("{0}")]
    Name(String),
    /// The database failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl MirrorPackage {
    /// Queues a job for each of the names; gives the jobs.
    pub async fn queue(
        registry: &Registry,
        actor: &Actor,
        organization_id: i64,
        repository_id: i64,
        names: &[String],
    ) -> Result<Vec<i64>, MirrorError> {
        access::administer(actor, organization_id)?;
        let mut jobs = Vec::with_capacity(names.len());
        for name in names {
            let name = PackageName::parse(name);
            let name = name.map_err(|error| MirrorError::Name(error.to_string()))?;
            jobs.push(Self {
                organization_id,
                repository_id,
                name: name.as_str().to_owned(),
            });
        }
        // In their order, so that two who ask for the same ones do not wait for each other.
        jobs.sort_by(|one, other| one.name.cmp(&other.name));
        let mut queued = Vec::with_capacity(jobs.len());
        let mut transaction = registry.database().write().await?;
        for job in &jobs {
            queued.push(enqueue(registry, &mut transaction, job).await?);
        }
        transaction.commit().await?;
        registry.wake_workers();
        Ok(queued)
    }
}

impl Job for MirrorPackage {
    const KIND: &'static str = "MirrorPackage";
    const PRIORITY: Priority = Priority::Urgent;

    fn exclusive_key(&self) -> Option<String> {
        Some(format!("mirror:{}:{}", self.repository_id, self.name))
    }

    fn organization_id(&self) -> Option<i64> {
        Some(self.organization_id)
    }

    async fn run(&self, _: &JobContext) -> Result<String, JobError> {
        Err(JobError::Fail(format!(
            "mirroring is not enabled: {} was not taken over, because this server does not mirror packages yet",
            self.name
        )))
    }
}
