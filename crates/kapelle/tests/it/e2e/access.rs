//! Tokens: none, wrong ones, those of others, and what becomes of revoked ones.

use kapelle_testing::composer::{Composer, Project};
use serde_json::Value;

use super::library::{Library, install_anew};
use super::organization::Organization;
use super::world::{World, eventually};

async fn publish(world: &World, name: &str) -> (Organization, Library) {
    let organization = world.organization(name).await;
    let core = Library::with_releases("acme/core", &["1.0.0"]);
    organization.publish(&[&core]).await;
    (organization, core)
}

/// A token that may only read, with its id.
async fn create_token(organization: &Organization) -> (String, String) {
    let arguments = ["token", "create", "--access", "read"];
    let created = organization.run(&arguments).await.succeeded().json();
    let text = |value: &Value| value.as_str().map_or(value.to_string(), str::to_owned);
    (text(&created["token"]), text(&created["id"]))
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_token_composer_says_what_to_do() {
    let world = World::start().await;
    let (organization, _core) = publish(&world, "acme").await;

    for composer in Composer::all() {
        let project = Project::new(&composer, &organization.repository_url);
        let project = project.require("acme/core", "^1.0");
        let refused = project.run(["update"]).await.failed();
        let advice = "this repository needs a token: composer config --auth http-basic.HOST token";
        assert!(refused.stderr.contains(advice), "{refused}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn with_a_wrong_token_composer_says_that_it_is_wrong() {
    let world = World::start().await;
    let (organization, _core) = publish(&world, "acme").await;

    for composer in Composer::all() {
        for wrong in [
            "packagist_ort_nonsense",
            "x",
            &organization.token.to_uppercase(),
        ] {
            let project = Project::new(&composer, &organization.repository_url)
                .log_in("token", wrong)
                .require("acme/core", "^1.0");
            let refused = project.run(["update"]).await.failed();
            let sentence = "the token that was sent is unknown, expired or revoked";
            assert!(refused.stderr.contains(sentence), "{refused}");
            assert!(
                !refused.to_string().contains(wrong) || wrong == "x",
                "{refused}"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_opens_its_own_organization_only() {
    let world = World::start().await;
    let (ours, _core) = publish(&world, "acme").await;
    let (theirs, _other) = publish(&world, "other").await;

    for composer in Composer::all() {
        let project = Project::new(&composer, &ours.repository_url)
            .log_in("token", &theirs.token)
            .require("acme/core", "^1.0");
        let refused = project.run(["update"]).await.failed();
        assert!(refused.stderr.contains("404"), "{refused}");

        let welcome = theirs.project(&composer).require("acme/core", "^1.0");
        welcome.run(["update"]).await.succeeded();
    }
    for path in [
        "packages.json",
        "p2/acme/core.json",
        "search.json?q=",
        "packages/list.json",
    ] {
        let (status, body) = ours.get_with(&theirs.token, path).await;
        assert_eq!(status, 404, "{path}: {}", String::from_utf8_lossy(&body));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_token_stops_for_metadata_and_for_dists() {
    let world = World::start().await;
    let (organization, core) = publish(&world, "acme").await;
    for composer in Composer::all() {
        let (token, id) = create_token(&organization).await;
        let project = Project::new(&composer, &organization.repository_url)
            .log_in("anybody", &token)
            .require("acme/core", "^1.0");
        project.run(["update"]).await.succeeded();
        install_anew(&project).await;

        let arguments = ["token", "remove", &id];
        organization.run(&arguments).await.succeeded();
        let is_refused = async || {
            let (status, _) = organization.get_with(&token, "packages.json").await;
            (status == 401).then_some(())
        };
        eventually("the end of the token", is_refused).await;

        project.clear_cache();
        let refused = project.run(["update"]).await.failed();
        assert!(refused.stderr.contains("expired or revoked"), "{refused}");
        let hidden = core.hide();
        project.remove_vendor();
        let refused = project.run(["install"]).await.failed();
        assert!(refused.stderr.contains("expired or revoked"), "{refused}");
        drop(hidden);
    }
}
