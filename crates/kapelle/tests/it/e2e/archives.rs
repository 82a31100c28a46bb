//! Packages that come from no repository: uploaded archives, and what somebody wrote down.

use kapelle_testing::composer::Composer;
use serde_json::json;

use super::library::{Library, install_anew, installed, says};
use super::world::World;

const ARTIFACTS: &str = "/api/packages/artifacts/";

/// The archive of a release whose composer.json says its version.
fn archive(name: &str, version: &str, format: &str) -> Vec<u8> {
    let library = Library::new(name).set("version", json!(version));
    library.release(version);
    library.archive(version, format)
}

#[tokio::test(flavor = "multi_thread")]
async fn uploaded_archives_of_each_kind_are_installed_and_updated() {
    let world = World::start().await;
    let organization = world.organization("acme").await;
    let mut ids = Vec::new();
    for (version, format) in [("1.0.0", "zip"), ("1.1.0", "tar.gz"), ("1.2.0", "tar")] {
        let bytes = archive("acme/core", version, format);
        let name = format!("core-{version}.{format}");
        ids.push(organization.upload(ARTIFACTS, &name, bytes).await);
    }
    let package = json!({ "repoType": "artifact", "artifactIds": ids });
    organization.define(&package).await;

    for composer in Composer::all() {
        let project = organization.project(&composer);
        for version in ["1.0.0", "1.1.0", "1.2.0"] {
            let wanted = format!("acme/core:{version}");
            project.run(["require", &wanted]).await.succeeded();
            installed(&project, "acme/core");
            assert_eq!(says(&project, "acme/core"), version, "{}", composer.name());
        }
        install_anew(&project).await;
        assert_eq!(says(&project, "acme/core"), "1.2.0");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_custom_package_is_installed_after_the_place_of_its_archive_is_gone() {
    let world = World::start().await;
    let (vendor, organization) = (
        world.organization("vendor").await,
        world.organization("acme").await,
    );
    let library = Library::with_releases("vendor/tool", &["3.0.0"]);
    vendor.publish(&[&library]).await;
    vendor.wait_for_dists("vendor/tool").await;
    let tagged = vendor.metadata("vendor/tool").await;
    let tagged = tagged.iter().find(|version| version["version"] == "3.0.0");
    let dist = &tagged.expect("the release")["dist"];
    let url = dist["url"].as_str().expect("a URL");
    let host = url.trim_start_matches("http://").split('/').next();
    let host = host.expect("a host");
    let add = [
        "credential",
        "add",
        "--kind",
        "http-basic",
        "--host",
        host,
        "--username",
        "token",
        "--chosen-only",
    ];
    let added = organization.run_with_input(&add, &vendor.token).await;
    let credential = added.succeeded().json()["id"].clone();

    let definition = json!([
        {
            "name": "vendor/tool", "version": "3.0.0",
            "autoload": { "psr-4": { "Vendor\\Tool\\": "src/" } },
            "dist": { "type": "zip", "url": url, "shasum": dist["shasum"] },
        },
    ]);
    let package = json!({
        "repoType": "package", "repoConfig": definition.to_string(), "credentials": credential,
    });
    organization.define(&package).await;
    let bundle = json!({
        "repoType": "package",
        "repoConfig": {
            "name": "acme/bundle", "version": "1.0.0", "type": "metapackage", "require": { "vendor/tool": "^3" },
        },
    });
    organization.define(&bundle).await;
    vendor
        .run(&["package", "remove", "vendor/tool"])
        .await
        .succeeded();
    vendor
        .run(&["package", "purge", "vendor/tool", "--yes"])
        .await
        .succeeded();

    for composer in Composer::all() {
        let project = organization.project(&composer);
        project.run(["require", "acme/bundle"]).await.succeeded();
        installed(&project, "vendor/tool");
        assert_eq!(
            says(&project, "vendor/tool"),
            "3.0.0",
            "{}",
            composer.name()
        );
        assert_eq!(project.locked("acme/bundle")["type"], "metapackage");
        assert_eq!(
            project.locked("vendor/tool")["dist"]["shasum"],
            dist["shasum"]
        );
        install_anew(&project).await;
        assert_eq!(says(&project, "vendor/tool"), "3.0.0");
    }
}
