//! What each changed ref means: a version to publish, or a fault to write on the ref.

use std::collections::{BTreeMap, HashSet};

use kapelle_composer::{PackageName, Stability};
use kapelle_storage::db::package_references;
use kapelle_storage::db::package_refs::PackageRef;
use kapelle_storage::db::packages::Package;
use kapelle_storage::db::versions::{self, Version};

use super::observe::Observation;
use super::read::{Candidate, ObservedRef};
use crate::jobs::{JobContext, JobError};

/// A version to write: a row with id 0 is new, any other replaces that row's content.
pub(super) type Planned = Version;

/// What a synchronization will change.
#[derive(Debug, Default)]
pub(super) struct Plan {
    /// Versions to insert or to point elsewhere, in the order of their refs.
    pub(super) publish: Vec<Planned>,
    /// Those of them that were not read this time: only whether they are the default branch's changes.
    pub(super) unread: HashSet<i64>,
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
    let rules = Rules::read(context, package, name, observation).await?;
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
    for observed in &observation.changed {
        let decided = rules.decide(observed, &taken);
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
    move_default_branch(&mut plan, observation, &taken, rules.now);
    for (name, reason) in &observation.held {
        plan.refs.push(PackageRef {
            name: name.clone(),
            // Upstream's is another, whichever that will be: the next synchronization looks at it again.
            commit_id: String::new(),
            error: Some(reason.clone()),
        });
    }
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
            plan.unread.insert(version.id);
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

/// What decides about a ref besides its composer.json.
struct Rules<'a> {
    package: &'a Package,
    name: &'a PackageName,
    observation: &'a Observation,
    /// Commits that were purged and are never served again.
    purged: HashSet<String>,
    /// When each version was first seen, whatever became of it.
    first_seen: BTreeMap<String, i64>,
    now: i64,
}

impl<'a> Rules<'a> {
    async fn read(
        context: &JobContext,
        package: &'a Package,
        name: &'a PackageName,
        observation: &'a Observation,
    ) -> Result<Self, JobError> {
        let mut connection = context.registry.database().read().await?;
        let purged = package_references::list_purged(
            &mut connection,
            package.organization_id,
            name.as_str(),
            &package.repository_key,
        )
        .await?;
        Ok(Self {
            package,
            name,
            observation,
            purged: purged.into_iter().collect(),
            first_seen: versions::first_published(&mut connection, package.id).await?,
            now: context.registry.now(),
        })
    }

    fn decide(
        &self,
        observed: &ObservedRef,
        taken: &BTreeMap<String, Version>,
    ) -> Result<Planned, String> {
        let candidate = observed.version.as_ref().map_err(Clone::clone)?;
        let name = self.name;
        if self.purged.contains(&observed.commit) {
            return Err(format!(
                "commit {} was purged from {name} and is never served again: use another commit",
                observed.commit
            ));
        }
        let incumbent = taken.get(&candidate.normalized);
        if let Some(other) = incumbent
            && other.ref_name != observed.name
        {
            return Err(format!(
                "version {} of {name} comes from {} already: delete one of the two",
                candidate.version, other.ref_name
            ));
        }
        Ok(self.planned(observed, candidate, incumbent))
    }

    fn planned(
        &self,
        observed: &ObservedRef,
        candidate: &Candidate,
        incumbent: Option<&Version>,
    ) -> Planned {
        let Candidate {
            version,
            normalized,
            manifest,
        } = candidate;
        Version {
            id: incumbent.map_or(0, |version| version.id),
            package_id: self.package.id,
            version: version.clone(),
            version_normalized: normalized.clone(),
            stability: Stability::of(normalized).to_string(),
            ref_name: observed.name.clone(),
            reference: observed.commit.clone(),
            manifest: manifest.clone(),
            default_branch: is_default_branch(&observed.name, self.observation),
            released_at: observed.committed_at,
            published_at: incumbent.map_or_else(
                || self.published_at(normalized, observed.committed_at),
                |version| version.published_at,
            ),
            updated_at: self.now,
            removed_at: None,
        }
    }

    /// When we first saw a version: never a date that git made up, but for a first import.
    fn published_at(&self, normalized: &str, committed_at: i64) -> i64 {
        let fresh = if self.observation.is_first {
            committed_at.clamp(0, self.now)
        } else {
            self.now
        };
        self.first_seen.get(normalized).copied().unwrap_or(fresh)
    }
}
