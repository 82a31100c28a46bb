//! Writing generated packages as the last step of a synchronization and the builds after it leave them.

use kapelle_registry::Registry;
use kapelle_registry::document::PackageDocuments;
use kapelle_storage::db::audit::{self, NewAuditEntry};
use kapelle_storage::db::linked_names::{self, Relation};
use kapelle_storage::db::package_refs::PackageRef;
use kapelle_storage::db::packages::{self, Identity, NewPackage, Package};
use kapelle_storage::db::versions::Version;
use kapelle_storage::db::{blobs, dists, package_references, package_refs, versions};
use kapelle_storage::{StorageError, Transaction};

use crate::Failure;
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
) -> Result<Written, Failure> {
    let (mut generated, documents): (Vec<_>, Vec<_>) = batch.into_iter().unzip();
    let mut transaction = registry.database().write().await?;
    for Generated {
        package,
        versions,
        dists,
    } in &mut generated
    {
        package.id = insert(&mut transaction, package).await?;
        for version in versions {
            version.package_id = package.id;
        }
        for dist in dists {
            dist.package_id = package.id;
        }
    }
    let now = registry.now();
    write_versions(&mut transaction, &generated, now).await?;
    let dists = || generated.iter().flat_map(|generated| &generated.dists);
    let names = dists().map(|dist| (dist.sha256.as_slice(), dist.size));
    blobs::insert_all(&mut transaction, names, now).await?;
    dists::insert_all(&mut transaction, dists()).await?;
    for relation in [Relation::Provides, Relation::Requires] {
        let linked = generated.iter().zip(&documents);
        let linked = linked.flat_map(|(Generated { package, .. }, documents)| {
            let names = match relation {
                Relation::Provides => &documents.links.provides,
                Relation::Requires => &documents.links.requires,
            };
            names.iter().map(|name| (package.id, name.as_str()))
        });
        linked_names::add(&mut transaction, relation, linked).await?;
    }
    if !PackageDocuments::write_all(registry, &mut transaction, &documents).await? {
        return Err("somebody else wrote documents of the same packages".into());
    }
    transaction.commit().await?;
    Ok(Written {
        packages: generated.len(),
        versions: generated.iter().map(|one| one.versions.len()).sum(),
        names: generated
            .into_iter()
            .filter_map(|one| one.package.name)
            .collect(),
    })
}

/// Versions, their commits and their refs.
async fn write_versions(
    transaction: &mut Transaction,
    generated: &[Generated],
    now: i64,
) -> Result<(), StorageError> {
    let all = || generated.iter().flat_map(|generated| &generated.versions);
    versions::insert(transaction, all(), now).await?;
    let commits = all().map(|version| (version.package_id, version.reference.as_str()));
    package_references::publish(transaction, commits, "generated", now).await?;
    let refs: Vec<_> = all().map(seen).collect();
    let refs = refs.iter().map(|(package_id, seen)| (*package_id, seen));
    package_refs::upsert(transaction, refs).await
}

/// The package's key.
async fn insert(transaction: &mut Transaction, package: &Package) -> Result<i64, StorageError> {
    let now = package.created_at;
    let new = NewPackage {
        organization_id: package.organization_id,
        name: None,
        kind: &package.kind,
        origin: &package.origin,
        repository_url: &package.repository_url,
        repository_key: &package.repository_key,
        repository_type: &package.repository_type,
        suborganization_access: &package.suborganization_access,
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
    Ok(id)
}

fn seen(version: &Version) -> (i64, PackageRef) {
    let seen = PackageRef {
        name: version.ref_name.clone(),
        commit_id: version.reference.clone(),
        error: None,
    };
    (version.package_id, seen)
}
