//! A repository's refs in, published versions out; or what was uploaded or written down.
//!
//! `ls-remote`, fetch what differs, read composer.json at each changed ref by object id, decide what each ref
//! means, publish in steps of at most 500 versions, each a valid state. What is wrong with one ref is written on
//! that ref and loses nothing else.

mod difference;
mod given;
mod identity;
mod name;
mod observe;
mod plan;
mod protect;
mod publish;
mod read;
mod repair;
mod rescue;
mod step;
mod timing;
mod upstream;

use futures::FutureExt;
use kapelle_composer::PackageName;
use kapelle_storage::Connection;
use kapelle_storage::db::package_references;
use kapelle_storage::db::packages::{self, Package};

use crate::document;
use crate::jobs::{JobContext, JobError};
pub(crate) use rescue::{Fate, bring, fate};
use timing::timed;

/// Says that everything is as it was; so does the job that ends with it.
const UNCHANGED: &str = "nothing changed";

/// What came of a look at a repository.
enum Look {
    /// Nothing differs, and nothing was fetched.
    Same,
    /// There is nothing to publish, but the mirror lacked something.
    Restored,
    /// Something was published; the text says what.
    Published(String),
}

/// Synchronizes one package with its repository; the text says what changed.
pub(crate) async fn run(context: &JobContext, package_id: i64) -> Result<String, JobError> {
    let registry = &context.registry;
    let mut connection = registry.database().read().await?;
    let package = packages::find_by_id(&mut connection, package_id).await?;
    let Some(package) = package.filter(|package| package.removed_at.is_none()) else {
        return Ok("the package was removed: nothing to do".to_owned());
    };
    let outcome = match package.kind.as_str() {
        "custom" | "artifact" => {
            drop(connection);
            publish_given(context, &package).await
        }
        _ => synchronize(context, connection, &package).await,
    };
    if let Err(error @ (JobError::Retry(_) | JobError::Postpone(_) | JobError::Fail(_))) = &outcome
    {
        publish::record_failure(context, &package, &error.to_string()).await?;
    }
    if !matches!(outcome, Ok(Look::Same)) {
        forget_purged(context, package_id).await?;
    }
    match outcome? {
        Look::Published(summary) => Ok(summary),
        Look::Same | Look::Restored => {
            publish::record_success(context, &package).await?;
            Ok(UNCHANGED.to_owned())
        }
    }
}

/// What was purged while it was being fetched is in the mirror again: it goes once more.
async fn forget_purged(context: &JobContext, package_id: i64) -> Result<(), JobError> {
    let registry = &context.registry;
    let mut connection = registry.database().read().await?;
    let package = packages::find_by_id(&mut connection, package_id).await?;
    if package.is_some_and(|package| package.removed_at.is_some())
        && package_references::is_purged(&mut connection, package_id).await?
    {
        drop(connection);
        registry.parts.git.mirror(package_id).reset().await?;
    }
    Ok(())
}

/// Renders and publishes a package's documents from what is in the database now, such as new checksums.
pub(crate) async fn republish(context: &JobContext, package_id: i64) -> Result<(), JobError> {
    document::refresh_package(&context.registry, package_id, Some(context)).await
}

/// What there is to publish of a package without a repository.
async fn publish_given(context: &JobContext, package: &Package) -> Result<Look, JobError> {
    let published = match package.kind.as_str() {
        "custom" => given::custom(context, package).await?,
        _ => given::artifacts(context, package).await?,
    };
    Ok(published.map_or(Look::Same, Look::Published))
}

async fn synchronize(
    context: &JobContext,
    connection: Connection,
    package: &Package,
) -> Result<Look, JobError> {
    let Some(mut observation) = observe::observe(context, connection, package).await? else {
        return Ok(Look::Same);
    };
    if observation.is_unchanged(package) {
        return Ok(Look::Restored);
    }
    let name = observation.name(package)?;
    let mut plan = timed(
        "plan",
        plan::plan(context, package, &name, &observation).boxed(),
    )
    .await?;
    let held = timed(
        "protect",
        protect::old_references(context, package, &plan).boxed(),
    )
    .await?;
    if !held.is_empty() {
        observation.hold(&held);
        plan = plan::plan(context, package, &name, &observation).await?;
    }
    let publish = publish::publish(context, package, &name, observation.present(), plan);
    let published = timed("publish", publish.boxed()).await?;
    match observation.held.iter().next() {
        None => Ok(Look::Published(summary(&name, published))),
        Some((held, reason)) => Err(JobError::Retry(format!(
            "{}; {held}: {reason}",
            summary(&name, published)
        ))),
    }
}

fn summary(name: &PackageName, published: publish::Published) -> String {
    let publish::Published {
        new,
        changed,
        removed,
        faulty,
    } = published;
    format!(
        "{name}: {new} new, {changed} changed, {removed} removed versions; {faulty} refs without a version"
    )
}
