//! Writing what was decided, in steps small enough for one transaction, each of which leaves a valid state.

use std::collections::{BTreeMap, HashSet};

use kapelle_composer::PackageName;
use kapelle_storage::db::packages::{self, Package};
use kapelle_storage::db::versions::Version;

use super::UNCHANGED;
use super::identity::Identity;
use super::plan::Plan;
use super::step::{Publication, Refs, Step, commit_refs};
use crate::jobs::{JobContext, JobError, clip};

/// Rows of one kind that one transaction writes at most.
const STEP: usize = 500;
/// Bytes of composer.json that one transaction writes at most, but for a single larger one.
const STEP_BYTES: usize = 8 * 1024 * 1024;
/// Faults that one job's log names; the refs have them all.
const FAULTS: usize = 200;

/// What a synchronization changed.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Published {
    pub(super) new: usize,
    pub(super) changed: usize,
    pub(super) removed: usize,
    pub(super) faulty: usize,
}

impl Published {
    fn of(plan: &Plan) -> Self {
        let new = plan
            .publish
            .iter()
            .filter(|version| version.id == 0)
            .count();
        Self {
            new,
            changed: plan.publish.len() - new,
            removed: plan.remove.len(),
            faulty: plan.refs.iter().filter(|seen| seen.error.is_some()).count(),
        }
    }
}

/// What is there before a plan is carried out.
#[derive(Clone, Debug)]
pub(super) struct Present<'a> {
    /// What is published now.
    pub(super) live: &'a [Version],
    /// Refs that upstream no longer has.
    pub(super) gone: Vec<String>,
    /// The branch that HEAD names.
    pub(super) default_branch: Option<&'a str>,
}

/// Writes a plan in steps, each of which leaves a valid state. What upstream has is known only when all of it is
/// published, so that a synchronization that is cut short is done again from where it was.
pub(super) async fn publish(
    context: &JobContext,
    package: &Package,
    name: &PackageName,
    present: Present<'_>,
    mut plan: Plan,
) -> Result<Published, JobError> {
    let published = Published::of(&plan);
    let mut live: BTreeMap<String, Version> = present
        .live
        .iter()
        .map(|version| (version.version_normalized.clone(), version.clone()))
        .collect();
    let identity = Identity::of(
        package,
        name,
        present.default_branch,
        &staying(&live, &plan),
        &plan,
    );
    replacements_first(&mut plan);
    let publication = Publication {
        package,
        identity: &identity,
        published,
        unread: &plan.unread,
    };
    let refs = ref_steps(&plan, &present.gone);
    let versions = version_steps(&plan.publish);
    let steps = versions.len().max(plan.remove.chunks(STEP).len()).max(1);
    let mut done = 0;
    for index in 0..steps {
        context.check()?;
        let step = Step {
            publication,
            versions: versions.get(index).copied().unwrap_or_default(),
            removed: plan.remove.chunks(STEP).nth(index).unwrap_or_default(),
            refs: if index + 1 == steps {
                refs[0]
            } else {
                Refs::default()
            },
            is_last: index + 1 == steps && refs.len() == 1,
        };
        for version in step.removed {
            live.remove(&version.version_normalized);
        }
        for version in step.versions {
            live.insert(version.version_normalized.clone(), version.clone());
        }
        let after: Vec<Version> = live.values().cloned().collect();
        step.commit(context, &after).await?;
        done += step.versions.len();
        context
            .progress(done, plan.publish.len(), "publishing versions")
            .await?;
    }
    for (index, &some) in refs.iter().enumerate().skip(1) {
        context.check()?;
        commit_refs(context, publication, some, index + 1 == refs.len()).await?;
    }
    log_faults(context, &plan, published.faulty).await?;
    Ok(published)
}

fn staying(live: &BTreeMap<String, Version>, plan: &Plan) -> BTreeMap<String, Version> {
    let removed: HashSet<i64> = plan.remove.iter().map(|version| version.id).collect();
    live.iter()
        .filter(|(_, version)| !removed.contains(&version.id))
        .map(|(normalized, version)| (normalized.clone(), version.clone()))
        .collect()
}

/// A version that another ref takes over is removed and published in one step wherever possible, and never published
/// before it is removed: both lists begin with those, in the same order.
fn replacements_first(plan: &mut Plan) {
    let key = |version: &Version| version.version_normalized.clone();
    let removed: HashSet<String> = plan.remove.iter().map(key).collect();
    let published: HashSet<String> = plan.publish.iter().map(key).collect();
    let rank = |both: &HashSet<String>, version: &Version| {
        let is_replaced = both.contains(&version.version_normalized);
        (!is_replaced, is_replaced.then(|| key(version)))
    };
    plan.publish
        .sort_by_cached_key(|version| rank(&removed, version));
    plan.remove
        .sort_by_cached_key(|version| rank(&published, version));
}

/// Versions per transaction: bounded in number and in bytes.
fn version_steps(versions: &[Version]) -> Vec<&[Version]> {
    let mut steps = Vec::new();
    let (mut start, mut bytes) = (0, 0);
    for (index, version) in versions.iter().enumerate() {
        let is_full = index - start == STEP || bytes + version.manifest.len() > STEP_BYTES;
        if is_full && index > start {
            steps.push(&versions[start..index]);
            (start, bytes) = (index, 0);
        }
        bytes += version.manifest.len();
    }
    if start < versions.len() {
        steps.push(&versions[start..]);
    }
    steps
}

/// Refs per transaction; at least one, perhaps empty.
fn ref_steps<'a>(plan: &'a Plan, gone: &'a [String]) -> Vec<Refs<'a>> {
    let seen = plan.refs.chunks(STEP).map(|seen| Refs { seen, gone: &[] });
    let mut gone = gone.chunks(STEP).map(|gone| Refs { seen: &[], gone });
    match (plan.refs.len(), gone.len()) {
        (0..=STEP, 0 | 1) => vec![Refs {
            seen: &plan.refs,
            gone: gone.next_back().map_or(&[], |refs| refs.gone),
        }],
        _ => seen.chain(gone).collect(),
    }
}

async fn log_faults(context: &JobContext, plan: &Plan, faulty: usize) -> Result<(), JobError> {
    let named = plan
        .refs
        .iter()
        .filter_map(|seen| Some(format!("{}: {}", seen.name, seen.error.as_ref()?)));
    let mut lines: Vec<String> = named.take(FAULTS).collect();
    if faulty > FAULTS {
        lines.push(format!(
            "{faulty} refs give no version in all: `kapelle package show` lists them"
        ));
    }
    context.log(&lines).await
}

/// Notes that a package was looked at and nothing had changed, which is the end of the job.
pub(super) async fn record_success(
    context: &JobContext,
    package: &Package,
) -> Result<(), JobError> {
    record(context, package, None).await
}

/// Notes why a package could not be synchronized; what is published stays.
pub(super) async fn record_failure(
    context: &JobContext,
    package: &Package,
    reason: &str,
) -> Result<(), JobError> {
    record(context, package, Some(&clip(reason))).await
}

async fn record(
    context: &JobContext,
    package: &Package,
    reason: Option<&str>,
) -> Result<(), JobError> {
    let now = context.registry.now();
    let mut transaction = context.registry.database().write_redoable().await?;
    packages::set_synced(&mut transaction, package.id, now, reason).await?;
    match reason {
        None => context.conclude(&mut transaction, UNCHANGED).await?,
        Some(_) => context.fence(&mut transaction).await?,
    }
    Ok(transaction.commit().await?)
}
