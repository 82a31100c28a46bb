//! Branches as versions: plain, numeric, with odd characters, and under an alias.

use kapelle_testing::composer::Composer;
use serde_json::json;

use super::library::{Library, install_anew, installed, says};
use super::world::World;

/// A library with releases, a default branch under an alias, and branches of every kind.
fn library() -> Library {
    let core = Library::with_releases("acme/core", &["1.0.0"]);
    let root = core.repository.resolve("1.0.0").expect("the release");
    for (branch, says) in [
        ("1.x", "'one x'"),
        ("v0.9", "'zero nine'"),
        ("feature/fast", "'fast'"),
        ("fix#7", "'fix seven'"),
    ] {
        core.commit(branch, says).onto(&root).create();
    }
    let core = core.set("extra", json!({"branch-alias": {"dev-main": "2.x-dev"}}));
    core.commit("main", "'main'").create();
    core
}

#[tokio::test(flavor = "multi_thread")]
async fn every_branch_is_required_by_its_name_or_alias() {
    let world = World::start().await;
    let organization = world.organization("acme").await;
    let core = library();
    organization.publish(&[&core]).await;

    let cases = [
        ("dev-main", "dev-main", "main"),
        ("^2.0@dev", "dev-main", "main"),
        ("2.x-dev", "dev-main", "main"),
        ("1.x-dev", "1.x-dev", "one x"),
        ("v0.9.x-dev", "v0.9.x-dev", "zero nine"),
        ("dev-feature/fast", "dev-feature/fast", "fast"),
        ("dev-fix+7", "dev-fix+7", "fix seven"),
        ("^1.0", "1.0.0", "1.0.0"),
    ];
    for composer in Composer::all() {
        for (constraint, version, code) in cases {
            let project = organization
                .project(&composer)
                .require("acme/core", constraint);
            project.run(["update"]).await.succeeded();
            assert_eq!(
                project.locked("acme/core")["version"],
                version,
                "{constraint}"
            );
            installed(&project, "acme/core");
            assert_eq!(says(&project, "acme/core"), code, "{constraint}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_branch_stands_in_for_a_release_under_an_inline_alias() {
    let world = World::start().await;
    let organization = world.organization("acme").await;
    let core = library();
    let kit = Library::new("acme/kit").set("require", json!({"acme/core": "^1.0"}));
    kit.release("1.0.0");
    organization.publish(&[&core, &kit]).await;

    for composer in Composer::all() {
        let project = organization
            .project(&composer)
            .require("acme/kit", "^1.0")
            .require("acme/core", "dev-feature/fast as 1.0.5");
        project.run(["update"]).await.succeeded();

        assert_eq!(project.locked("acme/core")["version"], "dev-feature/fast");
        assert_eq!(project.lock()["aliases"][0]["alias"], "1.0.5");
        install_anew(&project).await;
        assert_eq!(says(&project, "acme/core"), "fast");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_branch_that_moves_is_followed_by_an_update_and_not_by_an_install() {
    let world = World::start().await;
    let organization = world.organization("acme").await;
    let core = library();
    organization.publish(&[&core]).await;
    let projects: Vec<_> = Composer::all()
        .iter()
        .map(|composer| {
            organization
                .project(composer)
                .require("acme/core", "dev-main")
        })
        .collect();
    for project in &projects {
        project.run(["update"]).await.succeeded();
    }

    core.commit("main", "'rewritten'").orphan().create();
    organization.synchronize("acme/core").await.succeeded();

    for project in &projects {
        install_anew(project).await;
        assert_eq!(says(project, "acme/core"), "main");
        project.run(["update"]).await.succeeded();
        installed(project, "acme/core");
        assert_eq!(says(project, "acme/core"), "rewritten");
    }
}
