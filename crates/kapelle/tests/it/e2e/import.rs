//! A satis.json in: its repositories are served, and what is not taken over is listed by name.

use std::path::PathBuf;

use kapelle_testing::composer::Composer;
use kapelle_testing::git_server::GitServer;
use serde_json::{Value, json};

use super::library::{Library, install_anew, says};
use super::organization::Organization;
use super::world::{World, eventually};

/// Two repositories that are taken over, and much that is not.
fn satis(world: &World, core: &str, kit: &str) -> PathBuf {
    let satis = json!({
        "name": "acme/satis",
        "homepage": "https://satis.example.com",
        "repositories": [
            {"type": "vcs", "url": core},
            {"type": "git", "url": kit},
            {"type": "composer", "url": "https://repo.packagist.org"},
            {"type": "svn", "url": "https://svn.example.com/lib"},
            {"type": "artifact", "url": "packages/"},
            {"type": "package", "package": {"name": "acme/inline", "version": "1.0.0"}},
        ],
        "require": {"acme/kit": "^1.0"},
        "require-all": true,
        "require-dependencies": true,
        "archive": {"directory": "dist", "format": "tar", "skip-dev": true, "whitelist": ["acme/kit"]},
        "twig-template": "views/index.html.twig",
    });
    let path = world.folder().join("satis.json");
    std::fs::write(&path, satis.to_string()).expect("the file is written");
    path
}

fn libraries() -> [Library; 2] {
    let core = Library::with_releases("acme/core", &["1.0.0", "1.1.0"]);
    let kit = Library::new("acme/kit").set("require", json!({"acme/core": "^1.0"}));
    kit.commit("main", "'on ' . \\Acme\\Core\\Code::SAYS")
        .create();
    kit.repository
        .tag("1.0.0", &kit.repository.resolve("main").expect("a commit"));
    [core, kit]
}

async fn installs(organization: &Organization) {
    for composer in Composer::all() {
        let project = organization.project(&composer).require("acme/kit", "^1.0");
        project.run(["update"]).await.succeeded();
        install_anew(&project).await;
        assert_eq!(says(&project, "acme/kit"), "on 1.1.0");
    }
}

fn texts(list: &Value, key: &str) -> Vec<String> {
    let list = list.as_array().expect("a list").iter();
    list.map(|entry| entry[key].as_str().expect("a text").to_owned())
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_satis_file_is_imported_served_and_installed_from() {
    let world = World::start().await;
    let organization = world.organization("acme").await;
    let [core, kit] = libraries();
    let server = GitServer::of(&kit.repository).await;
    let file = satis(&world, &core.url(), &server.url("acme/lib.git"));
    let file = file.to_str().expect("a plain path");

    let report = organization
        .run(&["import", file, "--wait"])
        .await
        .succeeded()
        .json();

    assert_eq!(
        texts(&report["packages"], "name"),
        ["acme/core", "acme/kit"]
    );
    assert_eq!(texts(&report["packages"], "state"), ["success", "success"]);
    assert_eq!(report["refused"], json!([]));
    let left_out = texts(&report["left_out"], "what").join("\n");
    for named in [
        "https://repo.packagist.org",
        "https://svn.example.com/lib",
        "packages/",
        "acme/inline",
        "require",
        "require-dependencies",
        "archive.format",
        "archive.whitelist",
        "twig-template",
    ] {
        assert!(left_out.contains(named), "{named} is not named: {report:#}");
    }
    for package in ["acme/core", "acme/kit"] {
        organization.wait_until_served(package).await;
    }
    installs(&organization).await;

    let again = organization
        .run(&["import", file, "--wait"])
        .await
        .succeeded()
        .json();
    assert_eq!(again["packages"], json!([]));
    assert_eq!(
        again["known"],
        json!([core.url(), server.url("acme/lib.git")])
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_repository_of_a_satis_file_does_not_stop_the_others() {
    let world = World::start().await;
    let organization = world.organization("acme").await;
    let [core, _kit] = libraries();
    let file = satis(&world, &core.url(), "ext::sh%20-c%20true");
    let file = file.to_str().expect("a plain path");

    let ran = organization.run(&["import", file, "--wait"]).await;
    let report = ran.json();
    let sentence = ran.refused(1);
    assert!(
        sentence.contains("1 repositories were refused"),
        "{sentence}"
    );
    assert_eq!(texts(&report["packages"], "name"), ["acme/core"]);
    assert!(
        texts(&report["refused"], "reason")[0].contains("remote helper"),
        "{report:#}"
    );
    assert_eq!(organization.versions("acme/core").await.len(), 3);

    for (text, reason) in [("[]", "is not a JSON object"), ("{", "is not a satis.json")] {
        std::fs::write(file, text).expect("the file is written");
        let sentence = organization.run(&["import", file]).await.refused(1);
        assert!(sentence.contains(reason), "{sentence}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_imports_a_file_when_it_starts() {
    let mut world = World::start().await;
    let organization = world.organization("acme").await;
    let [core, kit] = libraries();
    let file = satis(&world, &core.url(), &kit.url());
    world.stop().await;

    world
        .serve(&["--import", file.to_str().expect("a plain path")])
        .await;

    for package in ["acme/core", "acme/kit"] {
        let published = async || {
            let versions = organization.versions(package).await;
            (!versions.is_empty()).then_some(())
        };
        eventually(package, published).await;
    }
    installs(&organization).await;
}
