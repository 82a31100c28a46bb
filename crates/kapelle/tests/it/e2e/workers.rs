//! A server that only serves, and a worker that only works, on the same database.

use kapelle_testing::composer::Composer;
use kapelle_testing::on_both_databases;
use kapelle_testing::process::Process;
use serde_json::json;

use super::library::{Library, install_anew, says};
use super::organization::{Organization, client};
use super::world::{World, eventually};

async fn is_published(organization: &Organization, package: &str, version: &str) {
    let look = async || {
        let versions = organization.versions(package).await;
        versions.iter().any(|one| one == version).then_some(())
    };
    eventually(&format!("{package} {version}"), look).await;
}

on_both_databases! {
    async fn a_separate_worker_publishes_what_the_server_serves(url: String) {
        let settings = [("DATABASE_URL", url.as_str())];
        let world = World::serving(&settings, &["--no-worker"]).await;
        let organization = world.organization("acme").await;
        let core = Library::with_releases("acme/core", &["1.0.0"]);
        let kit = Library::new("acme/kit").set("require", json!({"acme/core": "^1.0"}));
        kit.release("1.0.0");
        for library in [&core, &kit] {
            organization.run(&["package", "add", &library.url()]).await.succeeded();
        }
        assert_eq!(organization.metadata("acme/core").await, Vec::<serde_json::Value>::new());

        let worker = Process::start(world.installation().command(&["worker"]));
        is_published(&organization, "acme/core", "1.0.0").await;
        is_published(&organization, "acme/kit", "1.0.0").await;
        for package in ["acme/core", "acme/kit"] {
            organization.wait_for_dists(package).await;
        }
        let composers = Composer::all();
        let mut projects = Vec::new();
        for composer in &composers {
            let project = organization.project(composer).require("acme/kit", "^1.0");
            project.run(["update"]).await.succeeded();
            projects.push(project);
        }

        core.release("1.1.0");
        let address = world.url(&format!("/api/update-package?apiToken={}", organization.token));
        let told = client()
            .post(address)
            .header("content-type", "application/json")
            .body(json!({"repository": core.url()}).to_string())
            .send()
            .await
            .expect("the server answers");
        assert_eq!(told.status().as_u16(), 202);
        is_published(&organization, "acme/core", "1.1.0").await;
        for project in &projects {
            install_anew(project).await;
            assert_eq!(says(project, "acme/core"), "1.0.0");
            project.run(["update"]).await.succeeded();
            assert_eq!(says(project, "acme/core"), "1.1.0");
        }

        let ended = worker.terminate().await;
        assert!(ended.status.success(), "{ended:?}");
        assert!(!world.log().contains("ERROR"), "{}", world.log());
    }

    async fn a_revoked_token_stops_in_a_server_that_another_process_told(url: String) {
        let settings = [("DATABASE_URL", url.as_str())];
        let world = World::with(&settings).await;
        let organization = world.organization("acme").await;
        let created = organization.run(&["token", "create"]).await.succeeded().json();
        let token = created["token"].as_str().expect("a token");
        let (status, _) = organization.get_with(token, "packages.json").await;
        assert_eq!(status, 200);

        let id = created["id"].to_string();
        organization.run(&["token", "remove", &id]).await.succeeded();
        let is_refused = async || {
            let (status, _) = organization.get_with(token, "packages.json").await;
            (status == 401).then_some(())
        };
        eventually("the end of the token", is_refused).await;
    }
}
