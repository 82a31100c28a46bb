//! What a dist holds, and its checksum.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use kapelle_testing::composer::{Composer, Project};
use serde_json::json;

use super::library::{Library, install_anew, installed};
use super::organization::Organization;
use super::world::World;

/// A library with everything that makes an archive hard, in version 1.0.0.
fn library() -> (Library, String) {
    let core = Library::new("acme/core")
        .set(
            "archive",
            json!({"exclude": ["/docs", "*.bak", "!keep.bak"]}),
        )
        .set("bin", json!(["bin/play"]));
    let attributes = "/tests export-ignore\n.gitattributes export-ignore\nCOMMIT export-subst\n";
    let commit = core
        .commit("main", "'1.0.0'")
        .file(".gitattributes", attributes)
        .file("COMMIT", "$Format:%H$\n")
        .executable("bin/play", "#!/usr/bin/env php\n<?php echo 'plays';\n")
        .symlink("current", "src/Code.php")
        .file("tests/CodeTest.php", "<?php\n")
        .file("docs/index.md", "# Documentation\n")
        .file("src/old.bak", "old\n")
        .file("src/keep.bak", "kept\n")
        .file("grüße und küsse.txt", "ü\n")
        .file(".hidden", "seen\n")
        .submodule("lib/part", "0123456789012345678901234567890123456789")
        .create();
    core.repository.tag("1.0.0", &commit);
    (core, commit)
}

async fn published(world: &World) -> (Organization, Library, String) {
    let organization = world.organization("acme").await;
    let (core, commit) = library();
    organization.publish(&[&core]).await;
    (organization, core, commit)
}

/// What is installed, as `path` or `path -> target` or `path*` for an executable; folders end in a slash when empty.
fn listing(project: &Project) -> Vec<String> {
    fn walk(folder: &Path, prefix: &str, into: &mut Vec<String>) {
        for entry in fs::read_dir(folder).expect("an installed folder") {
            let path = entry.expect("an entry").path();
            let name = path
                .file_name()
                .expect("a name")
                .to_string_lossy()
                .into_owned();
            let name = format!("{prefix}{name}");
            let kind = fs::symlink_metadata(&path).expect("metadata");
            if kind.is_symlink() {
                let target = fs::read_link(&path).expect("a target");
                into.push(format!("{name} -> {}", target.display()));
            } else if kind.is_dir() {
                let before = into.len();
                walk(&path, &format!("{name}/"), into);
                if into.len() == before {
                    into.push(format!("{name}/"));
                }
            } else if kind.permissions().mode() & 0o111 != 0 {
                into.push(format!("{name}*"));
            } else {
                into.push(name);
            }
        }
    }
    let mut all = Vec::new();
    walk(&project.path().join("vendor/acme/core"), "", &mut all);
    all.sort();
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dist_has_modes_links_and_empty_submodules_and_not_what_is_excluded() {
    let world = World::start().await;
    let (organization, _core, commit) = published(&world).await;

    for composer in Composer::all() {
        let project = organization.project(&composer).require("acme/core", "^1.0");
        project.run(["update"]).await.succeeded();
        installed(&project, "acme/core");

        let expected = [
            ".hidden",
            "COMMIT",
            "bin/play*",
            "composer.json",
            "current -> src/Code.php",
            "grüße und küsse.txt",
            "lib/part/",
            "src/Code.php",
            "src/keep.bak",
        ];
        assert_eq!(listing(&project), expected, "{}", composer.name());
        let subst = fs::read_to_string(project.path().join("vendor/acme/core/COMMIT"));
        assert_eq!(subst.expect("the commit's file"), format!("{commit}\n"));
        let played = Command::new(project.path().join("vendor/bin/play")).output();
        let played = played.expect("the executable runs");
        assert_eq!(String::from_utf8_lossy(&played.stdout), "plays");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_checksum_is_locked_after_the_background_build_and_then_verified() {
    let world = World::start().await;
    let (organization, core, commit) = published(&world).await;
    organization.wait_for_dists("acme/core").await;

    for composer in Composer::all() {
        let project = organization.project(&composer).require("acme/core", "^1.0");
        project.run(["update"]).await.succeeded();
        let dist = project.locked("acme/core")["dist"].clone();
        let url = format!(
            "{}/dists/acme/core/{commit}.zip",
            organization.repository_url
        );
        assert_eq!(dist["url"], url.as_str());
        assert_eq!(dist["reference"], commit.as_str());
        let shasum = dist["shasum"].as_str().expect("a checksum");
        assert!(shasum.len() == 40 && shasum.bytes().all(|digit| digit.is_ascii_hexdigit()));
        install_anew(&project).await;
        installed(&project, "acme/core");

        let lock = project.path().join("composer.lock");
        let text = fs::read_to_string(&lock).expect("the lock file");
        fs::write(&lock, text.replace(shasum, &"0".repeat(40))).expect("another checksum");
        project.clear_cache();
        project.remove_vendor();
        let _hidden = core.hide();
        let refused = project.run(["install"]).await.failed();
        assert!(
            refused.stderr.contains("checksum verification"),
            "{refused}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_lock_file_of_the_repository_has_complete_urls_and_no_secret() {
    let world = World::start().await;
    let (organization, _core, _commit) = published(&world).await;
    for composer in Composer::all() {
        // Credentials in the repository's URL are inherited by what is relative to it.
        let with_login = organization
            .repository_url
            .replace("http://", &format!("http://token:{}@", organization.token));
        let project = Project::new(&composer, &with_login).require("acme/core", "^1.0");
        project.run(["update"]).await.succeeded();
        let lock = project.lock();
        assert!(!lock.to_string().contains(&organization.token), "{lock:#}");
        let package = project.locked("acme/core");
        for url in [&package["dist"]["url"], &package["notification-url"]] {
            let url = url.as_str().unwrap_or_default();
            assert!(url.starts_with(&organization.repository_url), "{package:#}");
        }
        install_anew(&project).await;
    }
}
