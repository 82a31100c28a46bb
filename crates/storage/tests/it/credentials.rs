//! Credentials and who holds on to them.

use kapelle_storage::db::{credentials, organizations, packages};
use kapelle_testing::on_both_databases;

use crate::world::{NOW, identity, open, organization, package};

on_both_databases! {
    async fn a_credential_in_use_is_not_deleted(url: String) {
        let db = open(&url).await;
        let organization = organization(&db, "acme").await;
        let mut tx = db.write().await.unwrap();
        let id = credentials::insert(&mut tx, new(organization)).await.unwrap();
        let user = package(&mut tx, organization, "git.example.org/acme/lib").await;
        packages::set_credential(&mut tx, user, Some(id)).await.unwrap();

        let error = credentials::delete(&mut tx, organization, id).await.unwrap_err().to_string();
        assert!(error.contains("https://git.example.org/acme/lib"), "{error}");
        packages::set_identity(&mut tx, user, identity("acme/lib", "")).await.unwrap();
        let error = credentials::delete(&mut tx, organization, id).await.unwrap_err().to_string();
        assert_eq!(
            error,
            format!("the credential {id} is still used by the package acme/lib; give that package another credential first")
        );

        packages::remove(&mut tx, user, NOW).await.unwrap();
        assert!(credentials::delete(&mut tx, organization, id).await.unwrap());
        assert!(!credentials::delete(&mut tx, organization, id).await.unwrap());
        let forgotten = packages::find(&mut tx, organization, user).await.unwrap().unwrap();
        assert_eq!(forgotten.credential_id, None);
    }

    async fn another_organizations_credential_is_neither_seen_nor_deleted(url: String) {
        let db = open(&url).await;
        let (acme, other) = (organization(&db, "acme").await, organization(&db, "other").await);
        let mut tx = db.write().await.unwrap();
        let id = credentials::insert(&mut tx, new(acme)).await.unwrap();
        assert_eq!(credentials::find(&mut tx, other, id).await.unwrap(), None);
        assert_eq!(credentials::find_by_host(&mut tx, other, "git.example.org").await.unwrap(), []);
        assert!(!credentials::delete(&mut tx, other, id).await.unwrap());
        assert_eq!(credentials::find_by_host(&mut tx, acme, "git.example.org").await.unwrap()[0].id, id);
        assert_eq!(credentials::list(&mut tx, acme).await.unwrap().len(), 1);
    }

    async fn secrets_are_replaced_one_by_one_and_never_shown(url: String) {
        let db = open(&url).await;
        let organization = organization(&db, "acme").await;
        let mut tx = db.write().await.unwrap();
        let id = credentials::insert(&mut tx, new(organization)).await.unwrap();
        assert!(!credentials::exchange_secret(&mut tx, id, b"another", b"lost").await.unwrap());
        assert!(credentials::exchange_secret(&mut tx, id, b"sealed", b"sealed again").await.unwrap());
        let found = credentials::find(&mut tx, organization, id).await.unwrap().unwrap();
        assert_eq!(&*found.secret, b"sealed again");
        assert!(format!("{found:?}").contains("secret: Hidden(12 bytes)"), "{found:?}");
        organizations::replace_secret(&mut tx, organization, b"new").await.unwrap();
        assert!(!organizations::exchange_secret(&mut tx, organization, b"sealed", b"lost").await.unwrap());
        assert!(organizations::exchange_secret(&mut tx, organization, b"new", b"newer").await.unwrap());
        assert_eq!(&*organizations::list(&mut tx).await.unwrap()[0].hook_secret, b"newer");
    }
}

fn new(organization_id: i64) -> credentials::NewCredential<'static> {
    credentials::NewCredential {
        organization_id,
        kind: "token",
        host: "git.example.org",
        username: "",
        secret: b"sealed",
        description: "for tests",
        created_at: NOW,
        automatic: true,
    }
}
