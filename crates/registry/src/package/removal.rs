//! Removing a package, taking that back, and destroying its bytes.

use std::collections::BTreeSet;

use kapelle_storage::StorageError;
use kapelle_storage::db::blobs::{self, Blob};
use kapelle_storage::db::linked_names::{self, Relation};
use kapelle_storage::db::packages::{self as rows, Package};
use kapelle_storage::db::{
    artifacts, definitions, dists, package_references, package_refs, versions,
};

use super::{PackageError, display_name, live_of_repository, lookup, record};
use crate::access;
use crate::actor::Actor;
use crate::blob;
use crate::document;
use crate::jobs::{self, BuildDists, SyncPackage};
use crate::registry::Registry;

/// Hides a package: it can be restored until the undo time has passed.
pub async fn remove(
    registry: &Registry,
    actor: &Actor,
    package: &Package,
) -> Result<(), PackageError> {
    access::administer(actor, package.organization_id)?;
    let now = registry.now();
    let mut transaction = registry.database().write().await?;
    let name = display_name(package);
    match rows::remove(&mut transaction, package.id, now).await {
        Err(StorageError::RowMissing { .. }) => return Err(PackageError::Unknown(name)),
        outcome => outcome?,
    }
    record(
        registry,
        &mut transaction,
        actor,
        package.organization_id,
        "package.remove",
        &name,
    )
    .await?;
    document::withdraw(registry, &mut transaction, package).await?;
    transaction.commit().await?;
    registry.catch_up().await?;
    Ok(())
}

/// Brings a removed package back, and looks at its repository again. It is named in the same ways as by
/// [`find`](super::find).
pub async fn undo(
    registry: &Registry,
    actor: &Actor,
    organization_id: i64,
    named: &str,
) -> Result<Package, PackageError> {
    access::administer(actor, organization_id)?;
    let mut transaction = registry.database().write().await?;
    let candidates = lookup::removed(&mut transaction, organization_id, named).await?;
    let package = lookup::restorable(registry, &mut transaction, candidates).await?;
    let package = package.ok_or_else(|| PackageError::NothingToUndo(named.to_owned()))?;
    rows::hold(&mut transaction, package.id).await?;
    let is_purged = match package.kind.as_str() {
        "custom" => definitions::find(&mut transaction, package.id)
            .await?
            .is_none(),
        "artifact" => artifacts::count(&mut transaction, package.id).await? == 0,
        _ => false,
    };
    if is_purged || package_references::is_purged(&mut transaction, package.id).await? {
        return Err(PackageError::NothingToUndo(named.to_owned()));
    }
    let name = display_name(&package);
    if let Some(own) = &package.name
        && rows::find_by_name(&mut transaction, organization_id, own)
            .await?
            .is_some()
    {
        return Err(PackageError::NameTaken(name));
    }
    if let Some(other) =
        live_of_repository(&mut transaction, organization_id, &package.repository_key).await?
    {
        return Err(PackageError::NameTaken(display_name(&other)));
    }
    rows::restore(&mut transaction, package.id).await?;
    record(
        registry,
        &mut transaction,
        actor,
        organization_id,
        "package.undo",
        &name,
    )
    .await?;
    let look = SyncPackage {
        organization_id,
        package_id: package.id,
    };
    jobs::enqueue(registry, &mut transaction, &look).await?;
    // Builds that were due meanwhile were left undone.
    let build = BuildDists {
        organization_id,
        package_id: package.id,
    };
    jobs::enqueue(registry, &mut transaction, &build).await?;
    document::bring_back(registry, &mut transaction, &package).await?;
    transaction.commit().await?;
    registry.catch_up().await?;
    document::refresh_package(registry, package.id, None)
        .await
        .map_err(|error| PackageError::Document(error.to_string()))?;
    registry.wake_workers();
    Ok(package)
}

/// Destroys a removed package's bytes for ever; its references are refused from now on. It is named in the same ways
/// as by [`find`](super::find).
pub async fn purge(
    registry: &Registry,
    actor: &Actor,
    organization_id: i64,
    named: &str,
) -> Result<(), PackageError> {
    access::administer(actor, organization_id)?;
    let now = registry.now();
    let mut connection = registry.database().read().await?;
    let removed = lookup::removed(&mut connection, organization_id, named).await?;
    drop(connection);
    if removed.is_empty() {
        return Err(PackageError::NothingToPurge(named.to_owned()));
    }
    for package in removed {
        let mut transaction = registry.database().write().await?;
        // Whoever is giving it an archive waits, or is waited for.
        if rows::hold(&mut transaction, package.id).await?.is_some() {
            // It was restored since it was looked for.
            return Err(PackageError::NothingToPurge(named.to_owned()));
        }
        package_references::mark_all_purged(&mut transaction, package.id, now).await?;
        let dists = dists::list(&mut transaction, package.id).await?;
        dists::delete_all(&mut transaction, package.id).await?;
        versions::purge(&mut transaction, package.id, i64::MAX).await?;
        package_refs::delete_all(&mut transaction, package.id).await?;
        for relation in [Relation::Provides, Relation::Requires] {
            linked_names::replace(&mut transaction, package.id, relation, &[]).await?;
        }
        definitions::delete(&mut transaction, package.id).await?;
        let uploaded = artifacts::list(&mut transaction, package.id).await?;
        let mut orphans = Vec::new();
        let dists = dists.into_iter().map(|dist| dist.sha256);
        let all: BTreeSet<Vec<u8>> = dists
            .chain(uploaded.into_iter().map(|artifact| artifact.sha256))
            .collect();
        let all: Vec<Vec<u8>> = all.into_iter().collect();
        artifacts::delete_all(&mut transaction, organization_id, package.id, &all).await?;
        for sha256 in all {
            orphans.extend(blobs::claim(&mut transaction, &sha256, now).await?);
        }
        record(
            registry,
            &mut transaction,
            actor,
            organization_id,
            "package.purge",
            &display_name(&package),
        )
        .await?;
        transaction.commit().await?;
        destroy(registry, &package, orphans).await?;
    }
    Ok(())
}

async fn destroy(
    registry: &Registry,
    package: &Package,
    orphans: Vec<Blob>,
) -> Result<(), PackageError> {
    let failed = |error: &dyn std::error::Error| {
        PackageError::Destroy(display_name(package), error.to_string())
    };
    for claimed in orphans {
        blob::collect(registry, &claimed)
            .await
            .map_err(|error| failed(&error))?;
    }
    let mirror = registry.parts.git.mirror(package.id);
    mirror.reset().await.map_err(|error| failed(&error))
}
