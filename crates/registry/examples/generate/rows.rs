//! Writing generated packages as the last step of a synchronization and the builds after it leave them.

use kapelle_registry::Registry;
use kapelle_registry::document::PackageDocuments;
use kapelle_storage::db::audit::{self, NewAuditEntry};
use kapelle_storage::db::package_refs::PackageRef;
use kapelle_storage::db::packages::{self, Identity, NewPackage};
use kapelle_storage::db::{
    blobs, dists, package_references, package_refs, provided_names, versions,
};
use kapelle_storage::{StorageError, Transaction};

use crate::package::Generated;

/// What one transaction, or all of them, wrote.
#[derive(Debug, Default)]
pub(crate) struct Written {
    pub(crate) packages: usize,
    pub(crate) versions: usize,
    pub(crate) names: Vec<String>,
}

/// Writes a batch in one transaction, the documents last: they hold the lock of the change sequence.
pub(crate) async fn write(
    registry: &Registry,
    batch: Vec<(Generated, PackageDocuments)>,
) -> Result<Written, Box<dyn std::error::Error>> {
    let mut written = Written::default();
    let mut transaction = registry.database().write().await?;
    for (generated, documents) in &batch {
        write_package(&mut transaction, generated, documents).await?;
        written.packages += 1;
        written.versions += generated.versions.len();
        written.names.extend(generated.package.name.clone());
    }
    for (_, documents) in &batch {
        documents.write(registry, &mut transaction).await?;
    }
    transaction.commit().await?;
    Ok(written)
}

async fn write_package(
    transaction: &mut Transaction,
    generated: &Generated,
    documents: &PackageDocuments,
) -> Result<(), StorageError> {
    let Generated {
        package, versions, ..
    } = generated;
    let now = package.created_at;
    let new = NewPackage {
        organization_id: package.organization_id,
        kind: &package.kind,
        origin: &package.origin,
        repository_url: &package.repository_url,
        repository_key: &package.repository_key,
        credential_id: package.credential_id,
        created_at: now,
    };
    let id = packages::insert(transaction, new).await?;
    packages::advance_revision(transaction, id, 0).await?;
    let identity = Identity {
        name: package.name.as_deref(),
        description: &package.description,
        package_type: &package.package_type,
        abandoned: package.abandoned.as_deref(),
        default_branch: package.default_branch.as_deref(),
    };
    packages::set_identity(transaction, id, identity).await?;
    for version in versions {
        versions::insert(transaction, id, content(version), version.published_at, now).await?;
        package_references::publish(transaction, id, &version.reference, "generated", now).await?;
    }
    provided_names::replace(transaction, id, &documents.provided).await?;
    package_refs::upsert(transaction, id, &refs(generated)).await?;
    packages::set_synced(transaction, id, now, None).await?;
    for (action, subject) in [
        ("package.add", &package.repository_url),
        (
            "package.synchronize",
            package.name.as_ref().unwrap_or(&package.repository_url),
        ),
    ] {
        let entry = NewAuditEntry {
            organization_id: Some(package.organization_id),
            at: now,
            actor: "generate",
            action,
            subject,
            detail: "{}",
        };
        audit::insert(transaction, entry).await?;
    }
    write_dists(transaction, id, generated).await
}

async fn write_dists(
    transaction: &mut Transaction,
    package_id: i64,
    generated: &Generated,
) -> Result<(), StorageError> {
    for dist in &generated.dists {
        blobs::touch(transaction, &dist.sha256, dist.size, dist.created_at).await?;
        let dist = dists::Dist {
            package_id,
            ..dist.clone()
        };
        dists::insert_if_absent(transaction, &dist).await?;
    }
    Ok(())
}

fn refs(generated: &Generated) -> Vec<PackageRef> {
    let seen = |version: &versions::Version| PackageRef {
        name: version.ref_name.clone(),
        commit_id: version.reference.clone(),
        error: None,
    };
    generated.versions.iter().map(seen).collect()
}

fn content(version: &versions::Version) -> versions::Content<'_> {
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
