//! The Composer fixture, against a repository of one package that is written by hand.

use std::net::Ipv4Addr;
use std::process::Command;

use axum::Router;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use kapelle_testing::composer::{Composer, Project};
use serde_json::json;
use tempfile::TempDir;
use tokio::net::TcpListener;

/// `token:secret` as a Basic credential.
const LOGIN: &str = "Basic dG9rZW46c2VjcmV0";

/// Serves `acme/lib` 1.0.0 to those who log in, and returns the repository's URL.
async fn repository() -> String {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .await
        .expect("a loopback port");
    let url = format!("http://{}", listener.local_addr().expect("its address"));
    let package = json!({
        "name": "acme/lib", "version": "1.0.0",
        "dist": {"type": "tar", "url": format!("{url}/lib.tar"), "reference": "1", "shasum": ""},
    });
    let root = json!({"packages": {"acme/lib": {"1.0.0": package}}}).to_string();
    let archive = archive();
    let router = Router::new()
        .route(
            "/packages.json",
            get(async |headers| with_login(&headers, root)),
        )
        .route(
            "/lib.tar",
            get(async |headers| with_login(&headers, archive)),
        );
    tokio::spawn(async { axum::serve(listener, router).await });
    url
}

fn with_login(headers: &HeaderMap, body: impl IntoResponse) -> Response {
    if headers.get("authorization").is_some_and(|it| it == LOGIN) {
        body.into_response()
    } else {
        StatusCode::UNAUTHORIZED.into_response()
    }
}

fn archive() -> Vec<u8> {
    let folder = TempDir::new().expect("a temporary folder");
    let script = "mkdir lib && echo '{\"name\":\"acme/lib\"}' > lib/composer.json && tar -c lib";
    let tar = Command::new("sh")
        .args(["-c", script])
        .current_dir(folder.path())
        .output()
        .expect("a shell with tar");
    assert!(tar.status.success(), "{tar:?}");
    tar.stdout
}

#[tokio::test]
async fn a_project_installs_updates_and_compares_code() {
    let repository = repository().await;
    for composer in Composer::all() {
        let project = Project::new(&composer, &repository)
            .log_in("token", "secret")
            .require("acme/lib", "^1.0");

        let update = project.run(["update", "-vvv"]).await.succeeded();
        assert!(
            update
                .answers()
                .contains(&(200, format!("{repository}/packages.json"))),
            "{}: {update}",
            composer.name()
        );
        assert_eq!(project.locked("acme/lib")["version"], "1.0.0");
        let installed = project.installed_digest("acme/lib");

        project.clear_cache();
        project.remove_vendor();
        project.run(["install"]).await.succeeded();
        assert_eq!(project.installed_digest("acme/lib"), installed);

        let file = project.path().join("vendor/acme/lib/composer.json");
        std::fs::write(file, "{}").expect("a change to installed code");
        assert_ne!(project.installed_digest("acme/lib"), installed);
    }
}

#[tokio::test]
async fn a_project_without_a_login_or_beyond_loopback_fails() {
    let repository = repository().await;
    for composer in Composer::all() {
        let stranger = Project::new(&composer, &repository).require("acme/lib", "*");
        let refused = stranger.run(["update"]).await.failed();
        assert!(refused.stderr.contains("401"), "{refused}");

        let outside = Project::new(&composer, "http://registry.invalid").require("acme/lib", "*");
        outside.run(["update"]).await.failed();
        assert!(!outside.path().join("composer.lock").exists());
    }
}
