//! `BuildOneDist`: build the dist of one commit that somebody waits for, on the depot whose mirror has it.

use kapelle_storage::StorageError;
use kapelle_storage::db::packages::{self, Package};
use kapelle_storage::db::{jobs as rows, package_references};
use serde::{Deserialize, Serialize};

use super::{Job, JobContext, JobError, Priority, enqueue};
use crate::dist;
use crate::registry::Registry;
use crate::sync::{self, Fate};

/// Builds the dist of one commit.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct BuildOneDist {
    /// The organization it belongs to.
    pub organization_id: i64,
    /// The package.
    pub package_id: i64,
    /// The commit.
    pub reference: String,
}

impl BuildOneDist {
    /// Queues one and leaves it to the depot that has the commit; gives the job.
    pub(crate) async fn queue(
        registry: &Registry,
        package: &Package,
        reference: &str,
    ) -> Result<i64, StorageError> {
        let job = Self {
            organization_id: package.organization_id,
            package_id: package.id,
            reference: reference.to_owned(),
        };
        let mut transaction = registry.database().write().await?;
        let published = package_references::find(&mut transaction, package.id, reference).await?;
        let id = enqueue(registry, &mut transaction, &job).await?;
        if let Some(depot) = published.and_then(|published| published.depot) {
            rows::leave_to(&mut transaction, id, &depot).await?;
        }
        transaction.commit().await?;
        registry.wake_workers();
        Ok(id)
    }
}

impl Job for BuildOneDist {
    const KIND: &'static str = "BuildOneDist";
    const PRIORITY: Priority = Priority::Urgent;

    fn exclusive_key(&self) -> Option<String> {
        Some(format!("dist:{}:{}", self.package_id, self.reference))
    }

    fn organization_id(&self) -> Option<i64> {
        Some(self.organization_id)
    }

    fn package_id(&self) -> Option<i64> {
        Some(self.package_id)
    }

    async fn run(&self, context: &JobContext) -> Result<String, JobError> {
        let registry = &context.registry;
        let reference = self.reference.as_str();
        let mut connection = registry.database().read().await?;
        let package = packages::find_by_id(&mut connection, self.package_id).await?;
        let Some(package) = package.filter(|package| package.removed_at.is_none()) else {
            return Ok("the package was removed".to_owned());
        };
        drop(connection);
        let mut built = dist::build(registry, &package, reference).await;
        if built.as_ref().is_err_and(dist::DistError::is_absent)
            && sync::bring(context, &package, &[reference.to_owned()])
                .await?
                .is_empty()
        {
            built = dist::build(registry, &package, reference).await;
        }
        match built {
            Ok(_) => {
                sync::republish(context, package.id).await?;
                Ok(format!("built the dist of {reference}"))
            }
            Err(error) if error.is_absent() => {
                match sync::fate(context, &package, reference).await? {
                    Fate::Kept(depot) => Err(JobError::Retry(format!(
                        "upstream no longer has {reference}, and only the data folder of {} has it: a worker there \
                         has to build its dist",
                        depot.node
                    ))),
                    Fate::Lost(sentence) => Err(JobError::Fail(sentence)),
                }
            }
            Err(error) => Err(error.into()),
        }
    }
}
