//! What most tests begin with: an open database, an organization, packages in it.

use kapelle_storage::db::{organizations, packages, versions};
use kapelle_storage::{Database, Transaction};

/// The moment at which most tests happen.
pub(crate) const NOW: i64 = 1_700_000_000_000;

/// A connected and migrated database.
pub(crate) async fn open(url: &str) -> Database {
    let db = Database::connect(url).await.unwrap();
    db.migrate(NOW).await.unwrap();
    db
}

/// A new organization's key.
pub(crate) async fn organization(db: &Database, slug: &str) -> i64 {
    let mut tx = db.write().await.unwrap();
    let id = organizations::insert(&mut tx, slug, "Acme", b"sealed", NOW)
        .await
        .unwrap();
    tx.commit().await.unwrap();
    id
}

/// A new package's key; it has no name yet, and the repository `https://{repository}`.
pub(crate) async fn package(tx: &mut Transaction, organization_id: i64, repository: &str) -> i64 {
    let new = packages::NewPackage {
        organization_id,
        name: None,
        kind: "vcs",
        origin: "private",
        repository_url: &format!("https://{repository}"),
        repository_key: repository,
        repository_type: "vcs",
        suborganization_access: "",
        credential_id: None,
        created_at: NOW,
    };
    packages::insert(tx, new).await.unwrap()
}

/// A new package's key; it has a name, a description and the version 1.0.0.
pub(crate) async fn named_package(
    tx: &mut Transaction,
    organization_id: i64,
    name: &str,
    description: &str,
) -> i64 {
    let id = package(tx, organization_id, &format!("example.org/{name}")).await;
    packages::set_identity(tx, id, identity(name, description))
        .await
        .unwrap();
    versions::insert(tx, [&version(id, "1.0.0")], NOW)
        .await
        .unwrap();
    id
}

/// What a synchronization says about a library.
pub(crate) fn identity<'n>(name: &'n str, description: &'n str) -> packages::Identity<'n> {
    packages::Identity {
        name: Some(name),
        description,
        package_type: "library",
        abandoned: None,
        default_branch: Some("main"),
    }
}

/// A version of a package that is its own normalized form, not written yet.
pub(crate) fn version(package_id: i64, version: &str) -> versions::Version {
    versions::Version {
        id: 0,
        package_id,
        version: version.to_owned(),
        version_normalized: version.to_owned(),
        stability: "stable".to_owned(),
        ref_name: format!("refs/tags/{version}"),
        reference: "0123456789012345678901234567890123456789".to_owned(),
        manifest: "{}".into(),
        default_branch: false,
        released_at: NOW - 1000,
        published_at: NOW,
        updated_at: NOW,
        removed_at: None,
    }
}
