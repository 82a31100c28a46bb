//! What each changed ref means: a version to publish, or a fault to write on the ref.

use std::collections::{BTreeMap, HashMap};

use kapelle_composer::{PackageName, Stability, branch_version, tag_matches, tag_version};
use kapelle_storage::db::package_refs::PackageRef;
use kapelle_storage::db::packages::Package;
use kapelle_storage::db::versions::{self, Version};

use super::observe::{Observation, ObservedRef};
use crate::jobs::{JobContext, JobError};

/// A version to write: a row with id 0 is new, any other replaces that row's content.
pub(super) type Planned = Version;

/// What a synchronization will change.
#[derive(Debug, Default)]
pub(super) struct Plan {
    /// Versions to insert or to point elsewhere, in the order of their refs.
    pub(super) publish: Vec<Planned>,
    /// Live versions whose ref is gone.
    pub(super) remove: Vec<Version>,
    /// Refs to write, with their faults.
    pub(super) refs: Vec<PackageRef>,
    /// References that will no longer be in the metadata.
    abandoned: Vec<String>,
}

impl Plan {
    /// Commits that the metadata leaves behind.
    pub(super) fn abandoned_references(&self) -> &[String] {
        &self.abandoned
    }
}

/// Decides about every changed and every removed ref.
pub(super) async fn plan(
    context: &JobContext,
    package: &Package,
    name: &PackageName,
    observation: &Observation,
) -> Result<Plan, JobError> {
    let all =
        versions::list_all(&mut context.registry.database().read().await?, package.id).await?;
    let first_seen: HashMap<&str, i64> = all
        .iter()
        .rev()
        .map(|version| (version.version_normalized.as_str(), version.published_at))
        .collect();
    let mut plan = Plan::default();
    // Which live version each normalized version is, without those whose ref is gone.
    let mut taken: BTreeMap<String, Version> = BTreeMap::new();
    for version in &observation.live {
        if observation.removed.contains(&version.ref_name) {
            plan.abandoned.push(version.reference.clone());
            plan.remove.push(version.clone());
        } else {
            taken.insert(version.version_normalized.clone(), version.clone());
        }
    }
    let now = context.registry.now();
    let dates = Dates {
        now,
        first_import: package.synced_at.is_none(),
        first_seen,
    };
    for observed in &observation.changed {
        let decided = decide(observed, package, name, observation, &taken, &dates);
        let error = decided.as_ref().err().cloned();
        plan.refs.push(PackageRef {
            name: observed.name.clone(),
            commit_id: observed.commit.clone(),
            error,
        });
        if let Ok(version) = decided {
            if let Some(old) = taken.get(&version.version_normalized)
                && old.reference != version.reference
            {
                plan.abandoned.push(old.reference.clone());
            }
            taken.insert(version.version_normalized.clone(), version.clone());
            plan.publish.push(version);
        }
    }
    move_default_branch(&mut plan, observation, &taken, now);
    Ok(plan)
}

/// A version is the default branch's only while its branch is.
fn move_default_branch(
    plan: &mut Plan,
    observation: &Observation,
    taken: &BTreeMap<String, Version>,
    now: i64,
) {
    for version in taken.values() {
        let is_default = is_default_branch(&version.ref_name, observation);
        if version.default_branch && !is_default {
            plan.publish.push(Version {
                default_branch: false,
                updated_at: now,
                ..version.clone()
            });
        }
    }
}

fn is_default_branch(ref_name: &str, observation: &Observation) -> bool {
    ref_name
        .strip_prefix("refs/heads/")
        .is_some_and(|branch| Some(branch) == observation.default_branch.as_deref())
}

struct Dates<'a> {
    now: i64,
    first_import: bool,
    first_seen: HashMap<&'a str, i64>,
}

impl Dates<'_> {
    /// When we first saw a version: never a date that git made up, but for a first import.
    fn published_at(&self, normalized: &str, committed_at: i64) -> i64 {
        let fresh = if self.first_import {
            committed_at.clamp(0, self.now)
        } else {
            self.now
        };
        self.first_seen.get(normalized).copied().unwrap_or(fresh)
    }
}

fn decide(
    observed: &ObservedRef,
    package: &Package,
    name: &PackageName,
    observation: &Observation,
    taken: &BTreeMap<String, Version>,
    dates: &Dates<'_>,
) -> Result<Planned, String> {
    let committed = observed.manifest.as_ref().map_err(Clone::clone)?;
    let (version, normalized) = version_of(&observed.name, committed.manifest.version())?;
    committed
        .manifest
        .check_as(&version)
        .map_err(|error| error.to_string())?;
    let incumbent = taken.get(&normalized);
    if let Some(other) = incumbent
        && other.ref_name != observed.name
    {
        return Err(format!(
            "version {version} of {name} comes from {} already: delete one of the two",
            other.ref_name
        ));
    }
    Ok(Version {
        id: incumbent.map_or(0, |version| version.id),
        package_id: package.id,
        stability: Stability::of(&normalized).to_string(),
        published_at: incumbent.map_or_else(
            || dates.published_at(&normalized, observed.committed_at),
            |version| version.published_at,
        ),
        version,
        version_normalized: normalized,
        ref_name: observed.name.clone(),
        reference: observed.commit.clone(),
        manifest: committed.text.clone(),
        default_branch: is_default_branch(&observed.name, observation),
        released_at: observed.committed_at,
        updated_at: dates.now,
        removed_at: None,
    })
}

/// A ref's version, pretty and normalized.
fn version_of(ref_name: &str, declared: Option<&str>) -> Result<(String, String), String> {
    if let Some(tag) = ref_name.strip_prefix("refs/tags/") {
        let version = tag_version(tag).and_then(|version| tag_matches(declared, version));
        let version = version.map_err(|error| error.to_string())?;
        return Ok((version.version, version.normalized));
    }
    let branch = ref_name.strip_prefix("refs/heads/").unwrap_or(ref_name);
    let version = branch_version(branch).map_err(|error| error.to_string())?;
    Ok((version.version, version.normalized))
}
