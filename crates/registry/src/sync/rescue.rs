//! Commits that the mirror here does not have: fetched from upstream by their name, else looked for on other depots,
//! else given up.

use kapelle_storage::db::depots::Depot;
use kapelle_storage::db::package_references;
use kapelle_storage::db::packages::Package;
use kapelle_vcs::Mirror;
use serde_json::json;

use super::upstream::Upstream;
use crate::actor::Actor;
use crate::audit;
use crate::jobs::{JobContext, JobError};
use crate::package;

/// What becomes of a commit that neither upstream nor the mirror here has.
#[derive(Debug)]
pub(crate) enum Fate {
    /// Another depot has it, and is not given up yet.
    Kept(Depot),
    /// Nobody has it. The sentence says so; it was noted.
    Lost(String),
}

/// Fetches what the mirror lacks of `commits`, with everything that upstream has now where the mirror lacks that, too.
/// Gives those that are not to be had.
pub(crate) async fn bring(
    context: &JobContext,
    package: &Package,
    commits: &[String],
) -> Result<Vec<String>, JobError> {
    let mirror = context.registry.parts.git.mirror(package.id);
    let mut upstream = Upstream::of(context, package).await?;
    let listing = upstream.list(context).await?;
    mirror.fetch(&upstream.access(), &listing, &[]).await?;
    let missing = fetch_by_name(context, &upstream, &mirror, commits).await?;
    // What was purged meanwhile must not stay.
    super::forget_purged(context, package.id).await?;
    Ok(missing)
}

/// The same from an upstream whose refs were fetched just now.
pub(super) async fn fetch_by_name(
    context: &JobContext,
    upstream: &Upstream,
    mirror: &Mirror,
    commits: &[String],
) -> Result<Vec<String>, JobError> {
    let mut missing = Vec::new();
    for commit in mirror.missing(commits).await? {
        context.check()?;
        if !mirror.fetch_commit(&upstream.access(), &commit).await? {
            missing.push(commit);
        }
    }
    Ok(missing)
}

/// Who has a published commit that is not to be had here. Nobody: that is noted, once.
pub(crate) async fn fate(
    context: &JobContext,
    package: &Package,
    reference: &str,
) -> Result<Fate, JobError> {
    let registry = &context.registry;
    let mut connection = registry.database().read().await?;
    let published = package_references::find(&mut connection, package.id, reference).await?;
    if let Some(published) = &published
        && let Some(depot) = registry.keeper(&mut connection, published).await?
    {
        return Ok(Fate::Kept(depot));
    }
    drop(connection);
    let name = package::display_name(package);
    let sentence = format!(
        "{name} at {reference} is lost: upstream no longer has that commit, and no copy of the repository that is in use \
         has it. Its dist cannot be built, and lock files that name it cannot be installed; if there is a data folder \
         that still has it, start a worker on it, otherwise push the commit again"
    );
    let mut transaction = registry.database().write().await?;
    let now = registry.now();
    if package_references::mark_lost(&mut transaction, package.id, reference, now).await? {
        let entry = audit::Entry {
            organization_id: Some(package.organization_id),
            action: "dist.lose",
            subject: &name,
            detail: json!({ "reference": reference }),
        };
        let actor = Actor::Job("BuildOneDist");
        audit::record(registry, &mut transaction, &actor, entry).await?;
        tracing::error!(package = name, reference, "a published commit is lost");
    }
    context.fence(&mut transaction).await?;
    transaction.commit().await?;
    Ok(Fate::Lost(sentence))
}
