//! Versions that come from no repository: uploaded, or written down.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use kapelle_composer::{PackageName, Stability};
use kapelle_storage::db::artifacts::{self, Artifact};
use kapelle_storage::db::packages::Package;
use kapelle_storage::db::versions::{self, Version};
use kapelle_storage::db::{definitions, dists, package_references};

use super::plan::Plan;
use super::publish::{self, Present};
use super::summary;
use crate::clock::Millis;
use crate::dist::{self, Cause, DistError};
use crate::jobs::{JobContext, JobError};
use crate::package::definition::Definition;

/// A version as it is to be.
struct Given {
    version: String,
    normalized: String,
    /// Where it comes from, in place of a ref.
    origin: String,
    /// By which its archive is known; empty: it has none.
    reference: String,
    manifest: Arc<str>,
    released_at: Option<Millis>,
}

/// Publishes what a custom package's definition says, once all archives of it are here.
pub(super) async fn custom(
    context: &JobContext,
    package: &Package,
) -> Result<Option<String>, JobError> {
    let registry = &context.registry;
    let mut connection = registry.database().read().await?;
    let json = definitions::find(&mut connection, package.id).await?;
    drop(connection);
    let definition = dist::definition_of(json.as_deref()).map_err(JobError::Fail)?;
    let Definition { name, versions } = definition;
    let total = versions.len();
    for (done, version) in versions.iter().enumerate() {
        context.check()?;
        if let Some(remote) = &version.dist {
            let built = dist::of_version(registry, package, remote).await;
            built.map_err(|error| about(&version.version, error))?;
        }
        context.progress(done + 1, total, "fetching dists").await?;
    }
    let given = versions.into_iter().map(|version| Given {
        reference: version.dist.map_or_else(String::new, |dist| dist.reference),
        origin: "definition".to_owned(),
        version: version.version,
        normalized: version.normalized,
        manifest: version.manifest,
        released_at: version.released_at,
    });
    publish_given(context, package, &name, given.collect()).await
}

/// Why a version's archive could not be had, as the job's owner should read it.
fn about(version: &str, error: DistError) -> JobError {
    match error {
        DistError::Unbuildable { reason, .. } => {
            JobError::Fail(format!("version {version}: {reason}"))
        }
        DistError::Unavailable {
            reason,
            cause: Cause::Mirror | Cause::Limit,
            ..
        } => JobError::Retry(format!("version {version}: {reason}")),
        other => other.into(),
    }
}

/// Publishes a package's artifacts.
pub(super) async fn artifacts(
    context: &JobContext,
    package: &Package,
) -> Result<Option<String>, JobError> {
    let registry = &context.registry;
    let mut connection = registry.database().read().await?;
    let all = artifacts::list(&mut connection, package.id).await?;
    let built = dists::shown(&mut connection, package.id).await?;
    drop(connection);
    let name = package.name.clone().unwrap_or_default();
    let name = PackageName::parse(&name).map_err(|error| JobError::Fail(error.to_string()))?;
    let mut given = Vec::with_capacity(all.len());
    for artifact in all {
        context.check()?;
        if !built.contains_key(&artifact.sha1) {
            dist::of_artifact(registry, package, &artifact).await?;
        }
        let mut connection = registry.database().read().await?;
        // It may have been taken from the package meanwhile: the next synchronization is queued then.
        if let Some(manifest) = artifacts::manifest(&mut connection, artifact.id).await? {
            given.push(of(artifact, manifest));
        }
    }
    publish_given(context, package, &name, given).await
}

fn of(artifact: Artifact, manifest: String) -> Given {
    Given {
        version: artifact.version,
        normalized: artifact.version_normalized,
        origin: format!("artifact {}", artifact.id),
        reference: artifact.sha1,
        manifest: manifest.into(),
        released_at: Some(artifact.created_at),
    }
}

/// `None`: everything is published already.
async fn publish_given(
    context: &JobContext,
    package: &Package,
    name: &PackageName,
    given: Vec<Given>,
) -> Result<Option<String>, JobError> {
    let mut connection = context.registry.database().read().await?;
    let live = versions::list_live(&mut connection, package.id).await?;
    let first_seen = versions::first_published(&mut connection, package.id).await?;
    let purged = package_references::list_purged(
        &mut connection,
        package.organization_id,
        name.as_str(),
        &package.repository_key,
    )
    .await?;
    drop(connection);
    if let Some(refused) = given.iter().find(|given| purged.contains(&given.reference)) {
        return Err(JobError::Fail(format!(
            "the archive of {} was purged from {name} and is never served again",
            refused.version
        )));
    }
    let plan = plan(context.registry.now(), package, &live, &first_seen, given);
    if plan.publish.is_empty() && plan.remove.is_empty() && package.synced_at.is_some() {
        return Ok(None);
    }
    let present = Present {
        live: &live,
        gone: Vec::new(),
        default_branch: None,
    };
    let published = publish::publish(context, package, name, present, plan).await?;
    Ok(Some(summary(name, published)))
}

fn plan(
    now: Millis,
    package: &Package,
    live: &[Version],
    first_seen: &BTreeMap<String, Millis>,
    given: Vec<Given>,
) -> Plan {
    let mut rest: HashMap<&str, &Version> = live
        .iter()
        .map(|version| (version.version_normalized.as_str(), version))
        .collect();
    let mut plan = Plan::default();
    for given in given {
        let incumbent = rest.remove(given.normalized.as_str());
        let stays = incumbent.is_some_and(|old| {
            old.reference == given.reference
                && old.manifest == given.manifest
                && old.version == given.version
        });
        if stays {
            continue;
        }
        let first = first_seen.get(&given.normalized).copied();
        let published_at = incumbent.map_or(first.unwrap_or(now), |old| old.published_at);
        plan.publish.push(Version {
            id: incumbent.map_or(0, |old| old.id),
            package_id: package.id,
            version: given.version,
            stability: Stability::of(&given.normalized).to_string(),
            version_normalized: given.normalized,
            ref_name: given.origin,
            reference: given.reference,
            manifest: given.manifest,
            default_branch: false,
            released_at: given.released_at.unwrap_or(published_at),
            published_at,
            updated_at: now,
            removed_at: None,
        });
    }
    plan.remove = rest.into_values().cloned().collect();
    plan
}
