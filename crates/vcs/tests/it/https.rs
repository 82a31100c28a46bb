//! Repositories over https, with a certificate of our own.

use kapelle_outbound::{AddressPolicy, ClientConfig};
use kapelle_testing::git::GitRepository;
use kapelle_testing::git_server::GitServer;
use kapelle_vcs::{Access, VcsError};

use crate::world::{World, basic, client, loopback, url};

#[tokio::test]
async fn a_private_repository_behind_an_own_certificate_is_mirrored() {
    let repository = GitRepository::with_releases(&[("1.0.0", "{}")]);
    let server = GitServer::builder()
        .repository("acme/lib.git", repository.path())
        .basic_auth("me", "s3cret")
        .start_tls(&["git.example.invalid"])
        .await;
    let folder = tempfile::tempdir().unwrap();
    let bundle = folder.path().join("ca.pem");
    std::fs::write(&bundle, server.certificate().unwrap()).unwrap();
    let world = World::with(|config| {
        config.ca_bundle = Some(bundle);
        config.outbound = client(ClientConfig {
            policy: AddressPolicy::new(vec!["127.0.0.0/8".parse().unwrap()]),
            lookup: loopback(),
            ..ClientConfig::default()
        });
    });
    let port = server.address().port();
    let at = url(&format!("https://git.example.invalid:{port}/acme/lib.git"));
    let credential = basic("me", "s3cret");
    let access = Access {
        credential: Some(&credential),
        ..Access::anonymous(&at)
    };
    let listing = world.git.list_refs(&access).await.unwrap();
    let fetched = world.mirror().fetch(&access, &listing, &[]).await.unwrap();
    assert_eq!(fetched.received, 2);
}

#[tokio::test]
async fn a_certificate_that_nobody_vouches_for_is_refused() {
    let repository = GitRepository::with_releases(&[("1.0.0", "{}")]);
    let server = GitServer::builder()
        .repository("acme/lib.git", repository.path())
        .start_tls(&["127.0.0.1"])
        .await;
    let at = url(&server.url("acme/lib.git"));
    let error = World::new()
        .git
        .list_refs(&Access::anonymous(&at))
        .await
        .unwrap_err();
    assert!(
        matches!(error, VcsError::CertificateRefused { .. }),
        "{error:?}"
    );
    let sentence = error.to_string();
    assert!(
        sentence.contains("vcs.ca_file (KAPELLE_VCS__CA_FILE)") && !sentence.contains("CAfile:"),
        "{sentence}"
    );
    assert_eq!(server.requests(), []);
}
