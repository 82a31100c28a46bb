//! Writing what was decided: versions, refs, documents, the change sequence, the audit row and follow-up jobs in
//! one transaction per step.

use std::collections::BTreeMap;

use kapelle_composer::{Manifest, PackageName};
use kapelle_storage::db::package_refs::PackageRef;
use kapelle_storage::db::packages::{self, Package};
use kapelle_storage::db::versions::{self, Version};
use kapelle_storage::db::{dists, package_references, package_refs, provided_names};
use kapelle_storage::{StorageError, Transaction};

use super::observe::Observation;
use super::plan::Plan;
use crate::actor::Actor;
use crate::audit;
use crate::document::{self, Material, PackageDocuments};
use crate::jobs::{self, BuildDists, JobContext, JobError};

/// Versions that one transaction writes at most.
const STEP: usize = 500;

/// What a synchronization changed.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Published {
    pub(super) new: usize,
    pub(super) changed: usize,
    pub(super) removed: usize,
    pub(super) faulty: usize,
}

/// Writes a plan in steps, each of which leaves a valid state.
pub(super) async fn publish(
    context: &JobContext,
    package: &Package,
    name: &PackageName,
    observation: &Observation,
    plan: Plan,
) -> Result<Published, JobError> {
    let mut published = Published {
        new: plan
            .publish
            .iter()
            .filter(|version| version.id == 0)
            .count(),
        changed: plan
            .publish
            .iter()
            .filter(|version| version.id != 0)
            .count(),
        removed: plan.remove.len(),
        faulty: plan
            .refs
            .iter()
            .filter(|written| written.error.is_some())
            .count(),
    };
    let mut live: BTreeMap<String, Version> = observation
        .live
        .iter()
        .filter(|version| !observation.removed.contains(&version.ref_name))
        .map(|version| (version.version_normalized.clone(), version.clone()))
        .collect();
    let identity = Identity::of(package, name, observation, &live, &plan);
    let steps: Vec<&[Version]> = if plan.publish.is_empty() {
        vec![&[]]
    } else {
        plan.publish.chunks(STEP).collect()
    };
    let total = plan.publish.len();
    let mut done = 0;
    for (index, step) in steps.iter().enumerate() {
        context.check()?;
        for version in *step {
            live.insert(version.version_normalized.clone(), version.clone());
        }
        let is_last = index + 1 == steps.len();
        let writes = Step {
            package,
            identity: &identity,
            versions: step,
            removed: if index == 0 { &plan.remove } else { &[] },
            refs: if is_last { &plan.refs } else { &[] },
            removed_refs: if is_last {
                observation.removed.iter().cloned().collect()
            } else {
                Vec::new()
            },
            is_last,
            published,
        };
        writes
            .commit(context, live.values().cloned().collect())
            .await?;
        done += step.len();
        context.progress(done, total, "publishing versions").await?;
    }
    for fault in plan
        .refs
        .iter()
        .filter_map(|written| Some((written, written.error.as_ref()?)))
    {
        published.faulty = published.faulty.max(1);
        context
            .log(&[format!("{}: {}", fault.0.name, fault.1)])
            .await?;
    }
    Ok(published)
}

/// What a package says of itself: its default branch's composer.json, else its newest version's.
#[derive(Debug)]
struct Identity {
    name: String,
    description: String,
    package_type: String,
    abandoned: Option<String>,
    default_branch: Option<String>,
}

impl Identity {
    fn of(
        package: &Package,
        name: &PackageName,
        observation: &Observation,
        live: &BTreeMap<String, Version>,
        plan: &Plan,
    ) -> Self {
        let candidates = || plan.publish.iter().chain(live.values());
        let speaking = candidates()
            .find(|version| version.default_branch)
            .or_else(|| candidates().max_by_key(|version| version.released_at));
        let manifest =
            speaking.and_then(|version| Manifest::parse(version.manifest.as_bytes()).ok());
        let manifest = manifest.as_ref();
        Self {
            name: name.as_str().to_owned(),
            description: manifest.and_then(Manifest::description).unwrap_or_default(),
            package_type: manifest.map_or_else(|| package.package_type.clone(), Manifest::kind),
            abandoned: manifest
                .and_then(Manifest::abandoned)
                .map(document::stored_abandoned),
            default_branch: observation.default_branch.clone(),
        }
    }

    fn row(&self) -> packages::Identity<'_> {
        packages::Identity {
            name: Some(&self.name),
            description: &self.description,
            package_type: &self.package_type,
            abandoned: self.abandoned.as_deref(),
            default_branch: self.default_branch.as_deref(),
        }
    }

    fn apply_to(&self, package: Package) -> Package {
        Package {
            name: Some(self.name.clone()),
            abandoned: self.abandoned.clone(),
            ..package
        }
    }
}

/// One transaction's worth of a plan.
struct Step<'a> {
    package: &'a Package,
    identity: &'a Identity,
    versions: &'a [Version],
    removed: &'a [Version],
    refs: &'a [PackageRef],
    removed_refs: Vec<String>,
    is_last: bool,
    published: Published,
}

impl Step<'_> {
    /// Renders first and writes then; if another publication of the package came in between, does so again.
    async fn commit(&self, context: &JobContext, live: Vec<Version>) -> Result<(), JobError> {
        for _ in 0..document::ATTEMPTS {
            if self.try_commit(context, live.clone()).await? {
                return Ok(());
            }
        }
        Err(JobError::Retry(
            "the package kept changing while it was published".to_owned(),
        ))
    }

    async fn try_commit(&self, context: &JobContext, live: Vec<Version>) -> Result<bool, JobError> {
        let registry = &context.registry;
        let mut connection = registry.database().read().await?;
        let Some(stored) = packages::find_by_id(&mut connection, self.package.id).await? else {
            return Err(JobError::Superseded);
        };
        if stored.removed_at.is_some() {
            return Err(JobError::Cancelled);
        }
        let shasums = dists::shasums(&mut connection, stored.id).await?;
        drop(connection);
        let provided = document::provided_names(&live);
        let revision = stored.revision;
        let package = self.identity.apply_to(stored);
        let documents = PackageDocuments::render(
            registry,
            Material {
                package,
                versions: live,
                shasums,
            },
        )
        .await?;

        let mut transaction = registry.database().write().await?;
        if !packages::advance_revision(&mut transaction, self.package.id, revision).await? {
            return Ok(false);
        }
        self.write_rows(context, &mut transaction).await?;
        provided_names::replace(&mut transaction, self.package.id, &provided).await?;
        if self.is_last {
            self.finish(context, &mut transaction).await?;
        }
        context.fence(&mut transaction).await?;
        // Last: it holds the lock of the change sequence until the commit.
        documents.write(registry, &mut transaction).await?;
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
        let package = self.package;
        self.claim_name(transaction).await?;
        // First, so that another ref can take a removed version's place.
        for version in self.removed {
            versions::remove(transaction, version.id, now).await?;
        }
        for version in self.versions {
            let row = content(version);
            if version.id == 0 {
                versions::insert(transaction, package.id, row, version.published_at, now).await?;
            } else {
                versions::update(transaction, version.id, row, now).await?;
            }
            package_references::insert_if_absent(transaction, package.id, &version.reference, now)
                .await?;
        }
        package_refs::upsert(transaction, package.id, self.refs).await?;
        package_refs::delete(transaction, package.id, &self.removed_refs).await?;
        Ok(())
    }

    async fn claim_name(&self, transaction: &mut Transaction) -> Result<(), JobError> {
        let package = self.package;
        let holder =
            packages::find_by_name(transaction, package.organization_id, &self.identity.name)
                .await?;
        if let Some(holder) = holder.filter(|holder| holder.id != package.id) {
            return Err(JobError::Fail(format!(
                "{} is the name of another package already, whose repository is {}. \
                 Rename one of the two in composer.json, or remove one",
                self.identity.name, holder.repository_url
            )));
        }
        packages::set_identity(transaction, package.id, self.identity.row()).await?;
        Ok(())
    }

    async fn finish(
        &self,
        context: &JobContext,
        transaction: &mut Transaction,
    ) -> Result<(), JobError> {
        let registry = &context.registry;
        let package = self.package;
        packages::set_synced(transaction, package.id, registry.now(), None).await?;
        let Published {
            new,
            changed,
            removed,
            faulty,
        } = self.published;
        audit::record(
            registry,
            transaction,
            &Actor::Job("SyncPackage"),
            audit::Entry {
                organization_id: Some(package.organization_id),
                action: "package.synchronize",
                subject: &self.identity.name,
                detail: serde_json::json!({
                    "new": new, "changed": changed, "removed": removed, "faulty": faulty,
                }),
            },
        )
        .await?;
        let dists = BuildDists {
            organization_id: package.organization_id,
            package_id: package.id,
        };
        jobs::enqueue(registry, transaction, &dists).await?;
        Ok(())
    }
}

fn content(version: &Version) -> versions::Content<'_> {
    versions::Content {
        version: &version.version,
        version_normalized: &version.version_normalized,
        stability: &version.stability,
        ref_name: &version.ref_name,
        reference: &version.reference,
        manifest: &version.manifest,
        default_branch: version.default_branch,
        released_at: version.released_at,
    }
}

/// Notes that a package was looked at and nothing had changed.
pub(super) async fn record_success(
    context: &JobContext,
    package: &Package,
) -> Result<(), JobError> {
    let mut transaction = context.registry.database().write().await?;
    packages::set_synced(&mut transaction, package.id, context.registry.now(), None).await?;
    context.fence(&mut transaction).await?;
    Ok(transaction.commit().await?)
}

/// Notes why a package could not be synchronized; what is published stays.
pub(super) async fn record_failure(
    context: &JobContext,
    package: &Package,
    reason: &str,
) -> Result<(), StorageError> {
    let mut transaction = context.registry.database().write().await?;
    packages::set_synced(
        &mut transaction,
        package.id,
        context.registry.now(),
        Some(reason),
    )
    .await?;
    transaction.commit().await
}

/// Renders and publishes a package's documents from what is in the database now, such as new checksums.
pub async fn republish(context: &JobContext, package_id: i64) -> Result<(), JobError> {
    document::refresh_package(&context.registry, package_id, Some(context)).await
}
