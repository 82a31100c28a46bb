//! Looking around: search, show, audit, and what there is to complete a name with.

use kapelle_testing::composer::Composer;
use serde_json::json;

use super::library::Library;
use super::world::World;

#[tokio::test(flavor = "multi_thread")]
async fn packages_are_searched_listed_shown_and_audited() {
    let world = World::start().await;
    let organization = world.organization("acme").await;
    let core = Library::with_releases("acme/core", &["1.0.0", "1.1.0"]);
    let tool = Library::new("acme/tool")
        .set("description", json!("Polishes brass instruments."))
        .set("type", json!("composer-plugin-that-is-none"))
        .set("provide", json!({"virtual/polish": "1.0"}));
    tool.release("2.0.0");
    organization.publish(&[&core, &tool]).await;

    for composer in Composer::all() {
        let project = organization.project(&composer).require("acme/core", "^1.0");
        project.run(["update"]).await.succeeded();

        let found = project.run(["search", "brass"]).await.succeeded().stdout;
        assert!(
            found.contains("acme/tool") && found.contains("Polishes"),
            "{found}"
        );
        assert!(!found.contains("acme/core"), "{found}");
        let nothing = project.run(["search", "zither"]).await.succeeded().stdout;
        assert!(!nothing.contains("acme/"), "{nothing}");
        let names = project
            .run(["search", "-N", "acme"])
            .await
            .succeeded()
            .stdout;
        assert!(
            names.contains("acme/core") && names.contains("acme/tool"),
            "{names}"
        );

        let all = project
            .run(["show", "-a", "acme/*"])
            .await
            .succeeded()
            .stdout;
        assert!(
            all.contains("acme/core") && all.contains("acme/tool"),
            "{all}"
        );
        let shown = project
            .run(["show", "-a", "acme/core"])
            .await
            .succeeded()
            .stdout;
        assert!(shown.contains("The library acme/core."), "{shown}");
        let versions = shown.lines().find(|line| line.starts_with("versions"));
        let versions = versions.expect("a line with versions");
        for version in ["dev-main", "1.1.0", "1.0.0"] {
            assert!(versions.contains(version), "{versions}");
        }

        let audit = project.run(["audit"]).await.succeeded();
        assert!(
            audit.to_string().contains("No security vulnerability"),
            "{audit}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_package_is_reported_with_those_that_provide_it() {
    let world = World::start().await;
    let organization = world.organization("acme").await;
    let tool = Library::new("acme/tool").set("provide", json!({"virtual/polish": "1.0"}));
    tool.release("2.0.0");
    organization.publish(&[&tool]).await;

    for composer in Composer::all() {
        let project = organization
            .project(&composer)
            .require("virtual/polish", "^1.0");
        let failed = project.run(["update"]).await.failed();
        assert!(failed.stderr.contains("acme/tool"), "{failed}");

        let provided = project.require("acme/tool", "^2.0");
        provided.run(["update"]).await.succeeded();
        assert_eq!(provided.locked("acme/tool")["version"], "2.0.0");
    }
}
