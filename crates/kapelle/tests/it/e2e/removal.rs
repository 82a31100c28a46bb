//! Removing a package: the sentence that its users read, and the way back.

use kapelle_testing::composer::Composer;

use super::library::{Library, install_anew, says};
use super::world::World;

#[tokio::test(flavor = "multi_thread")]
async fn a_removed_package_says_so_and_installs_again_after_undo() {
    let world = World::start().await;
    let organization = world.organization("acme").await;
    let core = Library::with_releases("acme/core", &["1.0.0"]);
    organization.publish(&[&core]).await;
    let projects: Vec<_> = Composer::all()
        .iter()
        .map(|composer| organization.project(composer).require("acme/core", "^1.0"))
        .collect();
    for project in &projects {
        project.run(["update"]).await.succeeded();
    }

    let remove = ["package", "remove", "acme/core"];
    organization.run(&remove).await.succeeded();
    let hidden = core.hide();
    for project in &projects {
        project.clear_cache();
        project.remove_vendor();
        let refused = project.run(["install"]).await.failed();
        let sentence = "acme/core was removed from this repository";
        assert!(refused.stderr.contains(sentence), "{refused}");
        let refused = project.run(["update"]).await.failed();
        assert!(refused.stderr.contains("acme/core"), "{refused}");
    }
    let gone = organization.run(&["package", "show", "acme/core"]).await;
    let sentence = gone.refused(3);
    assert!(
        sentence.contains("`kapelle package undo acme/core` restores it"),
        "{sentence}"
    );

    drop(hidden);
    let undo = ["package", "undo", "acme/core"];
    organization.run(&undo).await.succeeded();
    for project in &projects {
        install_anew(project).await;
        assert_eq!(says(project, "acme/core"), "1.0.0");
        project.run(["update"]).await.succeeded();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_purged_package_is_gone_for_ever_and_its_repository_may_be_added_anew() {
    let world = World::start().await;
    let organization = world.organization("acme").await;
    let core = Library::with_releases("acme/core", &["1.0.0"]);
    organization.publish(&[&core]).await;
    organization.wait_for_dists("acme/core").await;
    let composers = Composer::all();
    let project = organization
        .project(&composers[0])
        .require("acme/core", "^1.0");
    project.run(["update"]).await.succeeded();
    let dist = project.locked("acme/core")["dist"]["url"].clone();
    let dist = dist.as_str().expect("the dist's URL").to_owned();
    let path = dist.strip_prefix(&format!("{}/", organization.repository_url));
    let path = path.expect("a complete URL in the repository");

    organization
        .run(&["package", "remove", "acme/core"])
        .await
        .succeeded();
    organization
        .run(&["package", "purge", "acme/core", "--yes"])
        .await
        .succeeded();
    let (status, body) = organization.get_with(&organization.token, path).await;
    assert_eq!(status, 410);
    assert!(String::from_utf8_lossy(&body).contains("withdrawn for ever"));
    let nothing = organization.run(&["package", "undo", "acme/core"]).await;
    nothing.refused(3);

    core.commit("main", "'clean'").orphan().create();
    let clean = core.release("1.0.1");
    core.repository.delete_ref("refs/tags/1.0.0");
    organization.publish(&[&core]).await;
    for composer in composers {
        let project = organization.project(&composer).require("acme/core", "^1.0");
        project.run(["update"]).await.succeeded();
        assert_eq!(
            project.locked("acme/core")["dist"]["reference"],
            clean.as_str()
        );
    }
}
