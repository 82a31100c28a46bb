//! The ways to name a package: its name, its id, the URL of its repository.

use kapelle_storage::db::package_references;
use kapelle_storage::db::packages::{self as rows, Package};
use kapelle_storage::{Handle, StorageError};
use kapelle_vcs::{Protocols, RepositoryUrl};
use time::OffsetDateTime;

use super::{PackageError, display_name};
use crate::access;
use crate::actor::Actor;
use crate::clock::{Millis, SECOND};
use crate::registry::Registry;

/// One live package by its name, its repository's URL, or its id. One that was removed and can be restored is told
/// apart from one that never was.
pub async fn find(
    registry: &Registry,
    actor: &Actor,
    organization_id: i64,
    named: &str,
) -> Result<Package, PackageError> {
    access::inspect(actor, organization_id)?;
    let mut connection = registry.database().read().await?;
    if let Some(package) = live(&mut connection, organization_id, named).await? {
        return Ok(package);
    }
    let candidates = removed(&mut connection, organization_id, named).await?;
    Err(
        match restorable(registry, &mut connection, candidates).await? {
            Some(package) => PackageError::Removed {
                name: display_name(&package),
                date: date(package.removed_at),
            },
            None => PackageError::Unknown(named.to_owned()),
        },
    )
}

async fn live(
    on: &mut impl Handle,
    organization_id: i64,
    named: &str,
) -> Result<Option<Package>, StorageError> {
    let by_name = rows::find_by_name(on, organization_id, &named.to_lowercase()).await?;
    if by_name.is_some() {
        return Ok(by_name);
    }
    let found = match (named.parse::<i64>(), key(named)) {
        (Ok(id), _) => rows::find(on, organization_id, id).await?,
        (_, Some(key)) => rows::find_by_repository_key(on, Some(organization_id), &key)
            .await?
            .into_iter()
            .next(),
        _ => None,
    };
    Ok(found.filter(|package| package.removed_at.is_none()))
}

/// Every removed package that is meant, in no particular order.
pub(super) async fn removed(
    on: &mut impl Handle,
    organization_id: i64,
    named: &str,
) -> Result<Vec<Package>, StorageError> {
    let mut found = rows::find_any_by_name(on, organization_id, &named.to_lowercase()).await?;
    if found.is_empty() {
        match (named.parse::<i64>(), key(named)) {
            (Ok(id), _) => found.extend(rows::find(on, organization_id, id).await?),
            (_, Some(key)) => {
                found = rows::find_removed_by_repository_key(on, organization_id, &key).await?;
            }
            _ => {}
        }
    }
    found.retain(|package| package.removed_at.is_some());
    Ok(found)
}

/// The one of `removed` that was removed last, if it still can be restored.
pub(super) async fn restorable(
    registry: &Registry,
    on: &mut impl Handle,
    removed: Vec<Package>,
) -> Result<Option<Package>, StorageError> {
    let undo = Millis::try_from(registry.limits().undo.as_millis()).unwrap_or(Millis::MAX);
    let oldest = Some(registry.now().saturating_sub(undo));
    let last = removed
        .into_iter()
        .filter(|package| package.removed_at >= oldest)
        .max_by_key(|package| package.removed_at);
    match last {
        Some(last) if package_references::is_purged(on, last.id).await? => Ok(None),
        last => Ok(last),
    }
}

/// What is named is only compared, never opened, so every protocol may occur in it.
fn key(named: &str) -> Option<String> {
    let url = RepositoryUrl::parse(named, &Protocols::all());
    url.ok().map(|url| url.key())
}

/// The day in UTC.
fn date(at: Option<Millis>) -> String {
    let moment = OffsetDateTime::from_unix_timestamp(at.unwrap_or_default().div_euclid(SECOND));
    moment.map_or_else(|_| "a day".to_owned(), |moment| moment.date().to_string())
}
