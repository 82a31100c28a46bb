//! Never lose a package: what was once locked installs byte by byte as it was, whatever happens upstream.

use std::fs;

use kapelle_testing::composer::{Composer, Project};

use super::library::{Library, install_anew, installed, says};
use super::organization::Organization;
use super::world::World;

/// A project with a lock file, and the digest of what it installed.
struct Locked {
    project: Project,
    digest: String,
}

impl Locked {
    async fn new(organization: &Organization, composer: &Composer, constraint: &str) -> Self {
        let project = organization
            .project(composer)
            .require("acme/core", constraint);
        project.run(["update"]).await.succeeded();
        let digest = installed(&project, "acme/core");
        Self { project, digest }
    }

    async fn all(organization: &Organization, constraint: &str) -> Vec<Self> {
        let mut all = Vec::new();
        for composer in Composer::all() {
            all.push(Self::new(organization, &composer, constraint).await);
        }
        all
    }

    /// Installs from the lock file with nothing cached, and compares the code.
    async fn holds(&self) {
        install_anew(&self.project).await;
        assert_eq!(installed(&self.project, "acme/core"), self.digest);
    }
}

/// What a new project gets now.
async fn newest(organization: &Organization, constraint: &str) -> Vec<String> {
    let mut all = Vec::new();
    for locked in Locked::all(organization, constraint).await {
        all.push(says(&locked.project, "acme/core"));
    }
    all.dedup();
    all
}

/// Makes upstream forget what no ref reaches.
fn collect_garbage(library: &Library) {
    let repository = &library.repository;
    repository.git(&["reflog", "expire", "--expire=now", "--all"]);
    repository.git(&["gc", "--quiet", "--prune=now"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lock_file_outlives_the_deletion_of_its_tag() {
    let world = World::start().await;
    let organization = world.organization("acme").await;
    let core = Library::with_releases("acme/core", &["1.0.0", "1.1.0"]);
    organization.publish(&[&core]).await;
    let locked = Locked::all(&organization, "^1.0").await;
    let commit = core
        .repository
        .resolve("refs/tags/1.1.0")
        .expect("the release");

    core.repository.delete_ref("refs/tags/1.1.0");
    core.commit("main", "'gone on'").orphan().create();
    collect_garbage(&core);
    assert_eq!(
        core.repository.resolve(&format!("{commit}^{{commit}}")),
        None
    );
    organization.synchronize("acme/core").await.succeeded();

    assert_eq!(
        organization.versions("acme/core").await,
        ["1.0.0", "dev-main"]
    );
    assert_eq!(newest(&organization, "^1.0").await, ["1.0.0"]);
    for lock in &locked {
        lock.holds().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn lock_files_outlive_a_moved_tag_a_restart_and_the_repository_itself() {
    let mut world = World::start().await;
    let organization = world.organization("acme").await;
    let core = Library::with_releases("acme/core", &["1.0.0"]);
    organization.publish(&[&core]).await;
    let old = Locked::all(&organization, "^1.0").await;

    let moved = core.commit("main", "'moved'").orphan().create();
    core.repository.tag("1.0.0", &moved);
    organization.synchronize("acme/core").await.succeeded();
    assert_eq!(newest(&organization, "^1.0").await, ["moved"]);
    let new = Locked::all(&organization, "^1.0").await;
    assert_ne!(old[0].digest, new[0].digest);
    organization.wait_for_dists("acme/core").await;
    let all = || old.iter().chain(&new);
    for lock in all() {
        lock.holds().await;
    }

    world.stop().await;
    world.serve(&[]).await;
    collect_garbage(&core);
    organization.synchronize("acme/core").await.succeeded();
    for lock in all() {
        lock.holds().await;
    }

    fs::remove_dir_all(core.repository.path()).expect("the repository goes");
    let failed = organization.synchronize("acme/core").await.refused(4);
    assert!(failed.contains(&core.url()), "{failed}");
    world.stop().await;
    let mirrors = world.installation().data().join("mirrors");
    fs::remove_dir_all(mirrors).expect("even the mirror goes");
    world.serve(&[]).await;
    for lock in all() {
        lock.holds().await;
    }
    assert_eq!(newest(&organization, "^1.0").await, ["moved"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_killed_in_the_middle_serves_all_of_it_afterwards() {
    let mut world = World::start().await;
    let organization = world.organization("acme").await;
    let core = Library::with_releases("acme/core", &["1.0.0"]);
    organization.publish(&[&core]).await;
    let locked = Locked::all(&organization, "^1.0").await;

    let tags: Vec<String> = (1..40).map(|minor| format!("1.{minor}.0")).collect();
    for tag in &tags {
        core.release(tag);
    }
    let arguments = ["package", "sync", "acme/core"];
    organization.run(&arguments).await.succeeded();
    world.kill().await;
    world.serve(&[]).await;

    organization.synchronize("acme/core").await.succeeded();
    organization.wait_for_dists("acme/core").await;
    assert_eq!(organization.versions("acme/core").await.len(), 41);
    assert_eq!(newest(&organization, "^1.0").await, ["1.39.0"]);
    for lock in &locked {
        lock.holds().await;
    }
}
