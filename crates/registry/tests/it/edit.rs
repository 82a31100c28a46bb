//! A package whose repository moves, and the ways to name one that was removed.

use kapelle_registry::actor::{TokenAccess, TokenActor};
use kapelle_registry::credential::{self, CredentialKind, NewCredential};
use kapelle_registry::package::{self, Edit, PackageError, Source};
use kapelle_registry::{Actor, jobs};
use kapelle_storage::db::packages::Package;
use kapelle_testing::git::GitRepository;
use kapelle_testing::on_both_databases;
use serde_json::Value;

use crate::world::World;

const LIB: &str = r#"{"name": "acme/lib"}"#;
const LFS: &str = "version https://git-lfs.github.com/spec/v1\n\
    oid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393\nsize 12345\n";

fn to(url: &str) -> Edit {
    Edit {
        source: Some(from(url)),
        ..Edit::default()
    }
}

fn from(url: &str) -> Source {
    Source::Repository {
        kind: "vcs".to_owned(),
        url: url.to_owned(),
    }
}

fn with(credential_id: Option<i64>) -> Edit {
    Edit {
        credential_id: Some(credential_id),
        ..Edit::default()
    }
}

async fn edit(world: &World, package: &Package, edit: &Edit) -> Result<Package, PackageError> {
    let edited = package::edit(&world.registry, &Actor::Operator, package, edit).await;
    edited.map(|(package, _)| package)
}

async fn find(world: &World, named: &str) -> Result<Package, PackageError> {
    package::find(
        &world.registry,
        &Actor::Operator,
        world.organization_id,
        named,
    )
    .await
}

async fn remove(world: &World, package: &Package) {
    package::remove(&world.registry, &Actor::Operator, package)
        .await
        .unwrap();
}

async fn undo(world: &World, named: &str) -> Result<Package, PackageError> {
    package::undo(
        &world.registry,
        &Actor::Operator,
        world.organization_id,
        named,
    )
    .await
}

async fn purge(world: &World, named: &str) -> Result<(), PackageError> {
    package::purge(
        &world.registry,
        &Actor::Operator,
        world.organization_id,
        named,
    )
    .await
}

async fn add_credential(world: &World, host: &str) -> i64 {
    let new = NewCredential {
        kind: CredentialKind::Token,
        host: host.to_owned(),
        username: String::new(),
        secret: "s3cret".into(),
        description: String::new(),
        automatic: true,
    };
    credential::add(
        &world.registry,
        &Actor::Operator,
        world.organization_id,
        &new,
    )
    .await
    .unwrap()
}

on_both_databases! {
    async fn a_package_follows_its_repository_and_keeps_what_only_the_old_one_had(url: String) {
        let world = World::new(&url).await;
        let old = GitRepository::with_releases(&[("1.0.0", LIB), ("1.1.0", LIB)]);
        let added = world.add(&old).await;
        world.work().await;
        let (package, reference) = (world.now(&added).await, old.resolve("refs/tags/1.1.0").unwrap());
        let before = world.dist("acme/lib", &reference).await;

        let new = GitRepository::with_releases(&[("2.0.0", LIB)]);
        let edited = edit(&world, &package, &to(&new.url())).await.unwrap();
        assert_eq!((edited.id, edited.repository_url), (package.id, new.url()));
        let source = |versions: &[Value]| versions[0]["source"]["url"].clone();
        let versions = world.versions("p2/acme/lib.json").await.unwrap();
        assert_eq!(source(&versions), new.url().as_str(), "at once");
        world.work().await;
        assert_eq!(world.numbers("p2/acme/lib.json").await, ["2.0.0"]);
        assert_eq!(world.dist("acme/lib", &reference).await, before);
        let (subject, detail) = world.audited("package.edit").await;
        assert_eq!(subject, "acme/lib");
        assert!(detail.contains(&old.url()) && detail.contains(&new.url()), "{detail}");
    }

    async fn an_edit_is_refused_that_would_leave_a_package_wrong(url: String) {
        let world = World::new(&url).await;
        let repository = GitRepository::with_releases(&[("1.0.0", LIB)]);
        let package = world.add(&repository).await;
        let other = GitRepository::with_releases(&[("1.0.0", r#"{"name": "acme/other"}"#)]);
        world.add(&other).await;
        world.work().await;
        let package = world.now(&package).await;

        let taken = edit(&world, &package, &to(&other.url())).await;
        assert!(matches!(taken, Err(PackageError::Duplicate { name, .. }) if name == "acme/other"));
        let unknown = edit(&world, &package, &with(Some(999))).await;
        assert!(matches!(unknown, Err(PackageError::UnknownCredential(999))));
        assert!(matches!(edit(&world, &package, &to("ftp://example.com/lib")).await, Err(PackageError::Url(_))));

        let credential = add_credential(&world, "git.example.com").await;
        let moved = Edit {
            source: Some(from("https://git.example.com/acme/lib.git")),
            credential_id: Some(Some(credential)),
            ..Edit::default()
        };
        let moved = edit(&world, &package, &moved).await.unwrap();
        assert_eq!(moved.credential_id, Some(credential));
        let elsewhere = edit(&world, &moved, &to("https://example.org/acme/lib.git")).await;
        assert!(matches!(elsewhere, Err(PackageError::CredentialHost { .. })), "{elsewhere:?}");
        let free = edit(&world, &moved, &with(None)).await.unwrap();
        assert_eq!((free.credential_id, free.repository_url), (None, moved.repository_url.clone()));

        let token = Actor::Token(TokenActor {
            id: 1,
            organization_id: world.organization_id,
            access: TokenAccess::Update,
            expires_at: None,
        });
        let denied = package::edit(&world.registry, &token, &package, &with(None)).await;
        assert!(matches!(denied, Err(PackageError::Denied(_))));
        remove(&world, &package).await;
        assert!(matches!(edit(&world, &package, &with(None)).await, Err(PackageError::Unknown(_))));
    }

    async fn a_package_without_a_name_is_restored_by_its_url_and_purged_by_its_id(url: String) {
        let world = World::new(&url).await;
        let repository = GitRepository::with_releases(&[]);
        let package = world.add(&repository).await;
        remove(&world, &package).await;
        let sentence = find(&world, &repository.url()).await.unwrap_err().to_string();
        let command = format!("`kapelle package undo {}` restores it", repository.url());
        assert!(sentence.contains("was removed on 2026-11-01") && sentence.contains(&command), "{sentence}");
        assert_eq!(undo(&world, &repository.url()).await.unwrap().id, package.id);
        let id = package.id.to_string();
        assert!(matches!(undo(&world, &id).await, Err(PackageError::NothingToUndo(_))), "it is there");
        assert!(matches!(purge(&world, &id).await, Err(PackageError::NothingToPurge(_))), "it is there");

        remove(&world, &package).await;
        assert_eq!(undo(&world, &id).await.unwrap().id, package.id);
        remove(&world, &package).await;
        purge(&world, &id).await.unwrap();
        assert!(matches!(purge(&world, "acme/never").await, Err(PackageError::NothingToPurge(_))));
    }

    async fn a_removed_package_is_told_apart_from_one_that_never_was(url: String) {
        let world = World::new(&url).await;
        let repository = GitRepository::with_releases(&[("1.0.0", LIB)]);
        let package = world.add(&repository).await;
        world.work().await;
        remove(&world, &world.now(&package).await).await;
        let removed = find(&world, "acme/lib").await;
        assert!(matches!(removed, Err(PackageError::Removed { name, .. }) if name == "acme/lib"));
        assert!(matches!(find(&world, "acme/never").await, Err(PackageError::Unknown(_))));
        purge(&world, "acme/lib").await.unwrap();
        assert!(matches!(find(&world, "acme/lib").await, Err(PackageError::Unknown(_))));
    }

    async fn what_a_dist_leaves_out_is_shown_and_logged(url: String) {
        let world = World::new(&url).await;
        let repository = GitRepository::with_releases(&[("1.0.0", LIB)]);
        let plain = repository.resolve("refs/tags/1.0.0").unwrap();
        let commit = repository.commit("main").file("logo.png", LFS).submodule("vendor/x", &plain).create();
        repository.tag("1.1.0", &commit);
        world.add(&repository).await;
        let ran = world.work().await;
        let shown = package::show(&world.registry, &Actor::Operator, world.organization_id, "acme/lib");
        let dists = shown.await.unwrap().dists;
        let flags = |reference: &str| {
            let dist = dists.iter().find(|dist| dist.reference == reference).unwrap();
            (dist.has_submodules, dist.has_lfs)
        };
        assert_eq!((flags(&plain), flags(&commit)), ((false, false), (true, true)));

        let build = ran.iter().find(|ran| ran.kind == "BuildDists").unwrap();
        let log = jobs::log(&world.registry, &Actor::Operator, build.id).await.unwrap();
        let lines: Vec<&str> = log.iter().map(|line| line.line.as_str()).collect();
        assert!(lines.iter().any(|line| line.contains("1 of the new dists have an empty folder")), "{lines:?}");
        assert!(lines.iter().any(|line| line.contains("Git LFS")), "{lines:?}");
    }
}
