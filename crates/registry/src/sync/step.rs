//! One transaction's worth of a plan: rows, documents, the change sequence; with the last one the audit row and the
//! jobs that follow.

use std::collections::HashSet;

use kapelle_storage::Transaction;
use kapelle_storage::db::package_refs::PackageRef;
use kapelle_storage::db::packages::{self, Package};
use kapelle_storage::db::versions::{self, Version};
use kapelle_storage::db::{dists, package_references, package_refs};

use super::identity::Identity;
use super::publish::Published;
use crate::actor::Actor;
use crate::audit;
use crate::document::{self, Material, PackageDocuments};
use crate::jobs::{self, BuildDists, JobContext, JobError};

/// Refs that one transaction writes, and refs that it forgets.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Refs<'a> {
    pub(super) seen: &'a [PackageRef],
    pub(super) gone: &'a [String],
}

/// What all steps of one synchronization have in common.
#[derive(Clone, Copy, Debug)]
pub(super) struct Publication<'a> {
    pub(super) package: &'a Package,
    pub(super) identity: &'a Identity,
    pub(super) published: Published,
    /// Versions whose commits were not looked at: the mirror here need not have them.
    pub(super) unread: &'a HashSet<i64>,
}

/// One step.
#[derive(Debug)]
pub(super) struct Step<'a> {
    pub(super) publication: Publication<'a>,
    pub(super) versions: &'a [Version],
    pub(super) removed: &'a [Version],
    /// Known only from the last step on: until then the next synchronization has to read them again.
    pub(super) refs: Refs<'a>,
    pub(super) is_last: bool,
}

impl Step<'_> {
    /// Renders first and writes then; if another publication of the package came in between, does so again.
    /// `live` is every version after this step.
    pub(super) async fn commit(
        &self,
        context: &JobContext,
        live: &[Version],
    ) -> Result<(), JobError> {
        for _ in 0..document::ATTEMPTS {
            if self.try_commit(context, live).await? {
                return Ok(());
            }
        }
        Err(JobError::Retry(
            "the package kept changing while it was published".to_owned(),
        ))
    }

    async fn try_commit(&self, context: &JobContext, live: &[Version]) -> Result<bool, JobError> {
        let registry = &context.registry;
        let id = self.publication.package.id;
        let mut connection = registry.database().read().await?;
        let Some(stored) = packages::find_by_id(&mut connection, id).await? else {
            return Err(JobError::Cancelled);
        };
        if stored.removed_at.is_some() {
            return Err(JobError::Cancelled);
        }
        let dists = dists::shown(&mut connection, id).await?;
        drop(connection);
        let revision = stored.revision;
        let material = Material {
            package: self.publication.identity.apply_to(stored),
            versions: live.to_vec(),
            dists,
        };
        let documents = PackageDocuments::render(registry, material).await?;

        let mut transaction = registry.database().write().await?;
        if !packages::advance_revision(&mut transaction, id, revision).await? {
            return Ok(false);
        }
        self.write_rows(context, &mut transaction).await?;
        documents.write_links(&mut transaction, id).await?;
        write_refs(&mut transaction, id, self.refs).await?;
        if self.is_last {
            finish(context, &mut transaction, self.publication).await?;
        }
        context.fence(&mut transaction).await?;
        // Last: it holds the lock of the change sequence until the commit.
        if !documents.write(registry, &mut transaction).await? {
            return Ok(false);
        }
        transaction.commit().await?;
        registry.wake_workers();
        registry.catch_up().await?;
        Ok(true)
    }

    async fn write_rows(
        &self,
        context: &JobContext,
        transaction: &mut Transaction,
    ) -> Result<(), JobError> {
        let now = context.registry.now();
        let Publication {
            package,
            identity,
            unread,
            ..
        } = self.publication;
        claim_name(transaction, package, identity).await?;
        // First, so that another ref can take a removed version's place.
        let removed: Vec<i64> = self.removed.iter().map(|version| version.id).collect();
        versions::remove(transaction, &removed, now).await?;
        let (new, changed): (Vec<_>, Vec<_>) =
            self.versions.iter().partition(|version| version.id == 0);
        versions::update(transaction, changed, now).await?;
        versions::insert(transaction, new, now).await?;
        let commits = self
            .versions
            .iter()
            .filter(|version| !unread.contains(&version.id) && !version.reference.is_empty())
            .map(|version| (package.id, version.reference.as_str()));
        let depot = context.registry.depot();
        package_references::publish(transaction, commits, depot, now).await?;
        Ok(())
    }
}

/// Writes refs that did not fit into the last step; `finish`es with the last of them.
pub(super) async fn commit_refs(
    context: &JobContext,
    publication: Publication<'_>,
    refs: Refs<'_>,
    is_last: bool,
) -> Result<(), JobError> {
    let mut transaction = context.registry.database().write().await?;
    write_refs(&mut transaction, publication.package.id, refs).await?;
    if is_last {
        finish(context, &mut transaction, publication).await?;
    }
    context.fence(&mut transaction).await?;
    transaction.commit().await?;
    context.registry.wake_workers();
    Ok(())
}

async fn write_refs(
    transaction: &mut Transaction,
    package_id: i64,
    refs: Refs<'_>,
) -> Result<(), JobError> {
    let seen = refs.seen.iter().map(|seen| (package_id, seen));
    package_refs::upsert(transaction, seen).await?;
    package_refs::delete(transaction, package_id, refs.gone).await?;
    Ok(())
}

async fn claim_name(
    transaction: &mut Transaction,
    package: &Package,
    identity: &Identity,
) -> Result<(), JobError> {
    let holder =
        packages::find_by_name(transaction, package.organization_id, &identity.name).await?;
    if let Some(holder) = holder.filter(|holder| holder.id != package.id) {
        return Err(JobError::Fail(format!(
            "{name} is the name of another package already, whose repository is {}. If that has moved here, remove \
             this package and run `kapelle package edit {name} --url {}`; otherwise rename one of the two in \
             composer.json, or remove one",
            holder.repository_url,
            package.repository_url,
            name = identity.name,
        )));
    }
    packages::set_identity(transaction, package.id, identity.row()).await?;
    Ok(())
}

async fn finish(
    context: &JobContext,
    transaction: &mut Transaction,
    publication: Publication<'_>,
) -> Result<(), JobError> {
    let registry = &context.registry;
    let Publication {
        package,
        identity,
        published,
        ..
    } = publication;
    packages::set_synced(transaction, package.id, registry.now(), None).await?;
    let Published {
        new,
        changed,
        removed,
        faulty,
    } = published;
    let entry = audit::Entry {
        organization_id: Some(package.organization_id),
        action: "package.synchronize",
        subject: &identity.name,
        detail: serde_json::json!({
            "new": new, "changed": changed, "removed": removed, "faulty": faulty,
        }),
    };
    let actor = Actor::Job("SyncPackage");
    audit::record(registry, transaction, &actor, entry).await?;
    let dists = BuildDists {
        organization_id: package.organization_id,
        package_id: package.id,
    };
    jobs::enqueue(registry, transaction, &dists).await?;
    Ok(())
}
