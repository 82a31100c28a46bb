//! What the repository looks like now, compared with what the last synchronization saw.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use futures::FutureExt;
use kapelle_storage::db::package_refs::PackageRef;
use kapelle_storage::db::packages::Package;
use kapelle_storage::db::versions::Version;
use kapelle_storage::db::{package_refs, versions};
use kapelle_storage::{Connection, StorageError};
use kapelle_vcs::{Listing, Mirror, VcsError};

use super::difference::{self, Difference, is_default};
use super::protect::Held;
use super::publish::Present;
use super::read::{self, ObservedRef};
use super::repair;
use super::timing::timed;
use super::upstream::Upstream;
use crate::jobs::{JobContext, JobError};

/// A repository's state against our rows.
#[derive(Debug)]
pub(super) struct Observation {
    /// The branch that HEAD names.
    pub(super) default_branch: Option<String>,
    /// New and moved refs, in the order of their names.
    pub(super) changed: Vec<ObservedRef>,
    /// Refs that we know and upstream no longer has.
    pub(super) removed: BTreeSet<String>,
    /// What is published now.
    pub(super) live: Vec<Version>,
    /// Whether no synchronization has ever come to its end: dates are those of the commits then.
    pub(super) is_first: bool,
    /// The name in the default branch's composer.json, when that branch was read.
    pub(super) root_name: Option<Result<Option<String>, String>>,
    /// Refs that stay as they were although they have moved or are gone, each with the reason.
    pub(super) held: BTreeMap<String, String>,
}

impl Observation {
    /// What a publication needs to know of it.
    pub(super) fn present(&self) -> Present<'_> {
        Present {
            live: &self.live,
            gone: self.removed.iter().cloned().collect(),
            default_branch: self.default_branch.as_deref(),
        }
    }

    /// Whether there is nothing to publish. HEAD may also have moved to a branch that is not there, and then no ref has changed.
    pub(super) fn is_unchanged(&self, package: &Package) -> bool {
        self.changed.is_empty()
            && self.removed.is_empty()
            && package.name.is_some()
            && self.default_branch == package.default_branch
    }

    /// Looks away from what has become of the refs whose published commits must not be left behind.
    pub(super) fn hold(&mut self, commits: &Held) {
        for version in &self.live {
            if let Some(reason) = commits.get(&version.reference) {
                self.held.insert(version.ref_name.clone(), reason.clone());
            }
        }
        let held = &self.held;
        self.changed.retain(|seen| !held.contains_key(&seen.name));
        self.removed.retain(|name| !held.contains_key(name));
    }
}

/// Why a look at the repository failed.
pub(super) enum Failure {
    /// Our mirror is damaged; the text says how.
    Damaged(String),
    /// Git failed in a way that we do not know: it may be that.
    Unclear(VcsError),
    /// Anything else.
    Other(JobError),
}

impl From<VcsError> for Failure {
    fn from(error: VcsError) -> Self {
        match error {
            damage @ VcsError::Corrupt { .. } => Self::Damaged(damage.to_string()),
            unclear @ VcsError::GitFailed { .. } => Self::Unclear(unclear),
            other => Self::Other(other.into()),
        }
    }
}

impl From<JobError> for Failure {
    fn from(error: JobError) -> Self {
        Self::Other(error)
    }
}

impl From<StorageError> for Failure {
    fn from(error: StorageError) -> Self {
        Self::Other(error.into())
    }
}

/// Lists the refs, fetches what differs and reads composer.json at each of them; `None`: nothing differs, and nothing was
/// fetched. A damaged mirror is made anew.
pub(super) async fn observe(
    context: &JobContext,
    mut connection: Connection,
    package: &Package,
) -> Result<Option<Observation>, JobError> {
    let mut upstream = Upstream::read(context, &mut connection, package).await?;
    drop(connection);
    let listing = timed("list", upstream.list(context).boxed()).await?;
    if listing.refs.is_empty() && package.name.is_some() {
        return Err(JobError::Fail(format!(
            "{} has no branches and tags any more. Everything published stays; \
             if that is meant, remove the package",
            package.repository_url
        )));
    }
    let mirror = context.registry.parts.git.mirror(package.id);
    let failure = match look(context, package, &upstream, &listing, &mirror).await {
        Ok(looked) => return Ok(looked),
        Err(failure) => failure,
    };
    let damage = failure.damage(&mirror).await?;
    repair::repair(context, package, &mirror, &damage).await?;
    match look(context, package, &upstream, &listing, &mirror).await {
        Ok(looked) => Ok(looked),
        Err(Failure::Damaged(damage)) => Err(JobError::Retry(damage)),
        Err(Failure::Unclear(error)) => Err(error.into()),
        Err(Failure::Other(error)) => Err(error),
    }
}

impl Failure {
    /// What is wrong with the mirror, if that is what it was.
    async fn damage(self, mirror: &Mirror) -> Result<String, JobError> {
        match self {
            Self::Damaged(damage) => Ok(damage),
            Self::Unclear(error) => match mirror.verify().await {
                Err(damage @ VcsError::Corrupt { .. }) => Ok(damage.to_string()),
                _ => Err(error.into()),
            },
            Self::Other(error) => Err(error),
        }
    }
}

async fn look(
    context: &JobContext,
    package: &Package,
    upstream: &Upstream,
    listing: &Listing,
    mirror: &Mirror,
) -> Result<Option<Observation>, Failure> {
    // Also when nothing differs: the mirror may be another machine's, or have been lost.
    let is_complete = has_all(mirror, listing).await?;
    let mut connection = context.registry.database().read().await?;
    if is_complete
        && package.name.is_some()
        && difference::is_none(&mut connection, listing, package).await?
    {
        return Ok(None);
    }
    let known: HashMap<String, PackageRef> = package_refs::list(&mut connection, package.id)
        .await?
        .into_iter()
        .map(|known| (known.name.clone(), known))
        .collect();
    let unlisted = |name: &&String| !listing.refs.contains_key(*name);
    let gone: Vec<String> = known.keys().filter(unlisted).cloned().collect();
    let access = upstream.access();
    // All refs are asked for: what the mirror has already is not fetched again, and what it has lost is.
    let fetch = timed("fetch", mirror.fetch(&access, listing, &gone).boxed());
    let live = async move { versions::list_live(&mut connection, package.id).await };
    let (fetched, live) = tokio::join!(fetch, live);
    fetched?;
    let live = live?;
    context.check()?;

    let difference = Difference::between(&known, listing, &live, package);
    let mut changed = Vec::new();
    if !difference.read.is_empty() {
        let published = bytes_besides(&live, &difference);
        let read = read::read(context, mirror, difference.read, published);
        changed = timed("read", read.boxed()).await?;
    }
    let root = changed
        .iter()
        .find(|observed| is_default(&observed.name, listing));
    Ok(Some(Observation {
        default_branch: listing.default_branch.clone(),
        root_name: root.map(|observed| observed.declares.clone()),
        is_first: known.is_empty(),
        removed: difference.removed,
        held: BTreeMap::new(),
        changed,
        live,
    }))
}

async fn has_all(mirror: &Mirror, listing: &Listing) -> Result<bool, VcsError> {
    let there = mirror.refs().await?;
    Ok(listing.refs.keys().all(|name| there.contains_key(name)))
}

/// How large the published composer.json are that will not be read again.
fn bytes_besides(live: &[Version], difference: &Difference) -> u64 {
    let read: HashSet<&str> = difference
        .read
        .iter()
        .map(|(name, _)| name.as_str())
        .collect();
    live.iter()
        .filter(|version| !read.contains(version.ref_name.as_str()))
        .filter(|version| !difference.removed.contains(&version.ref_name))
        .map(|version| version.manifest.len() as u64)
        .sum()
}
