//! Requiring, updating and installing, with packages that depend on each other.

use kapelle_testing::composer::Composer;
use serde_json::json;

use super::library::{Library, install_anew, installed, says};
use super::organization::Organization;
use super::world::World;

/// `acme/kit`, which requires `acme/core`; both are published.
async fn publish_kit(organization: &Organization) -> [Library; 2] {
    let core = Library::with_releases("acme/core", &["1.0.0", "1.1.0"]);
    let kit = Library::new("acme/kit").set("require", json!({"acme/core": "^1.0"}));
    let commit = kit
        .commit("main", "'kit on ' . \\Acme\\Core\\Code::SAYS")
        .create();
    kit.repository.tag("v1.0.0", &commit);
    organization.publish(&[&core, &kit]).await;
    [core, kit]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_required_package_brings_its_dependencies_and_its_code_runs() {
    let world = World::start().await;
    let organization = world.organization("acme").await;
    let _libraries = publish_kit(&organization).await;

    for composer in Composer::all() {
        let project = organization.project(&composer);
        project.run(["require", "acme/kit"]).await.succeeded();

        let manifest = std::fs::read_to_string(project.path().join("composer.json"));
        assert!(
            manifest
                .expect("the project's")
                .contains(r#""acme/kit": "^1.0""#)
        );
        assert_eq!(project.locked("acme/kit")["version"], "v1.0.0");
        assert_eq!(project.locked("acme/core")["version"], "1.1.0");
        installed(&project, "acme/kit");
        installed(&project, "acme/core");
        assert_eq!(says(&project, "acme/kit"), "kit on 1.1.0");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_update_gets_nothing_but_304() {
    let world = World::start().await;
    let organization = world.organization("acme").await;
    let [core, kit] = publish_kit(&organization).await;
    for library in ["acme/core", "acme/kit"] {
        organization.wait_for_dists(library).await;
    }

    for composer in Composer::all() {
        for stability in ["stable", "dev"] {
            let project = organization
                .project(&composer)
                .require("acme/kit", "^1.0")
                .set("minimum-stability", stability)
                .set("prefer-stable", true);
            let first = project.run(["update", "-vvv"]).await.succeeded();
            assert!(first.answers().iter().any(|(status, _)| *status == 200));

            let second = project.run(["update", "-vvv"]).await.succeeded();
            let answers = second.answers();
            let asked = |file: &str| answers.iter().any(|(_, url)| url.ends_with(file));
            assert!(asked("/packages.json") && asked("/p2/acme/core.json"));
            assert_eq!(asked("/p2/acme/core~dev.json"), stability == "dev");
            // Asking for advisories is a POST, which has no 304.
            let got = answers
                .iter()
                .filter(|(_, url)| !url.ends_with("/security-advisories"));
            let changed: Vec<_> = got.filter(|(status, _)| *status != 304).collect();
            assert!(changed.is_empty(), "{}: {changed:?}", composer.name());
        }
    }
    drop((core, kit));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_update_after_a_change_gets_what_has_changed_and_304_for_the_rest() {
    let world = World::start().await;
    let organization = world.organization("acme").await;
    let [core, _kit] = publish_kit(&organization).await;
    let projects: Vec<_> = Composer::all()
        .iter()
        .map(|composer| organization.project(composer).require("acme/kit", "^1.0"))
        .collect();
    for project in &projects {
        project.run(["update"]).await.succeeded();
    }
    for library in ["acme/core", "acme/kit"] {
        organization.wait_for_dists(library).await;
    }
    for project in &projects {
        project.run(["update"]).await.succeeded();
    }

    core.release("1.2.0");
    organization.synchronize("acme/core").await.succeeded();
    organization.wait_for_dists("acme/core").await;

    for project in &projects {
        let answers = project.run(["update", "-vvv"]).await.succeeded().answers();
        let status = |file: &str| {
            let answer = answers.iter().find(|(_, url)| url.ends_with(file));
            answer.map(|(status, _)| *status)
        };
        assert_eq!(status("/p2/acme/core.json"), Some(200));
        assert_eq!(status("/p2/acme/kit.json"), Some(304));
        assert_eq!(says(project, "acme/kit"), "kit on 1.2.0");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lock_file_installs_with_nothing_cached() {
    let world = World::start().await;
    let organization = world.organization("acme").await;
    let libraries = publish_kit(&organization).await;

    for composer in Composer::all() {
        let project = organization.project(&composer).require("acme/kit", "^1.0");
        project.run(["update"]).await.succeeded();
        let before = ["acme/kit", "acme/core"].map(|name| installed(&project, name));

        install_anew(&project).await;

        let after = ["acme/kit", "acme/core"].map(|name| installed(&project, name));
        assert_eq!(after, before);
        assert_eq!(says(&project, "acme/kit"), "kit on 1.1.0");
    }
    drop(libraries);
}
