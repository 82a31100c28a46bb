//! Dists of real git repositories, unpacked by the program that Composer uses first.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use kapelle_archive::DistReport;
use tempfile::TempDir;

use crate::world::{dist, names, text};

fn run(folder: &Path, program: &str, arguments: &[&str]) -> Vec<u8> {
    let output = Command::new(program)
        .args(arguments)
        .current_dir(folder)
        .env("HOME", folder)
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .output()
        .unwrap_or_else(|error| panic!("{program} is needed by this test: {error}"));
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "{program} {arguments:?}: {complaint}"
    );
    output.stdout
}

/// A repository whose files the closure lays down, committed, as its dist.
fn of_repository(fill: impl Fn(&Path)) -> (Vec<u8>, DistReport) {
    let folder = tempfile::tempdir().unwrap();
    let git = |arguments: &[&str]| {
        let identity = ["-c", "user.name=T", "-c", "user.email=t@example.org"];
        run(folder.path(), "git", &[&identity, arguments].concat())
    };
    git(&["init", "-q"]);
    fill(folder.path());
    git(&["add", "-A"]);
    git(&["commit", "-q", "-m", "content", "--allow-empty"]);
    dist(&git(&["archive", "--format=tar", "HEAD"])).unwrap()
}

fn write(folder: &Path, name: &str, content: &str) {
    let path = folder.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, content).unwrap();
}

/// Unpacks a dist; the folder that its top directory became.
fn unzip(zip: &[u8]) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("dist.zip"), zip).unwrap();
    run(folder.path(), "unzip", &["-tq", "dist.zip"]);
    run(folder.path(), "unzip", &["-q", "dist.zip"]);
    let top = folder.path().join("acme-util-1a2b3c");
    (folder, top)
}

#[test]
fn unzip_restores_modes_links_names_and_content() {
    let (zip, report) = of_repository(|folder| {
        write(folder, "composer.json", "{}\n");
        write(folder, "bin/tool", "#!/bin/sh\n");
        fs::set_permissions(folder.join("bin/tool"), fs::Permissions::from_mode(0o755)).unwrap();
        write(folder, "src/Größe.php", "<?php\n");
        write(
            folder,
            &format!("{}/{}", "deep".repeat(30), "name".repeat(40)),
            "long\n",
        );
        symlink("src/Größe.php", folder.join("link")).unwrap();
        symlink("../../outside", folder.join("bin/escape")).unwrap();
    });
    assert_eq!(report.dropped_links, 1);
    let (_folder, top) = unzip(&zip);
    let mode = |name: &str| fs::metadata(top.join(name)).unwrap().permissions().mode() & 0o777;
    assert_eq!(
        (mode("composer.json"), mode("bin/tool"), mode("src")),
        (0o644, 0o755, 0o755)
    );
    assert_eq!(
        fs::read_link(top.join("link")).unwrap(),
        Path::new("src/Größe.php")
    );
    assert_eq!(text(&top.join("link")), "<?php\n");
    assert_eq!(
        text(&top.join("deep".repeat(30)).join("name".repeat(40))),
        "long\n"
    );
    assert!(!top.join("bin/escape").exists());
}

#[test]
fn zipinfo_shows_unix_modes_and_the_commits_time() {
    let (zip, _) = of_repository(|folder| {
        write(folder, "a", "text\n");
        symlink("a", folder.join("l")).unwrap();
        write(folder, "d/x", "");
    });
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("dist.zip"), &zip).unwrap();
    let listing = run(folder.path(), "unzip", &["-Z", "-T", "dist.zip"]);
    let listing = String::from_utf8(listing).unwrap();
    let listing: Vec<_> = listing.lines().skip(2).collect();
    insta::assert_snapshot!(listing.join("\n"), @r"
    drwxr-xr-x  2.0 unx        0 b- stor 20231114.221320 acme-util-1a2b3c/
    -rw-r--r--  2.0 unx        5 b- defN 20231114.221320 acme-util-1a2b3c/a
    drwxr-xr-x  2.0 unx        0 b- stor 20231114.221320 acme-util-1a2b3c/d/
    -rw-r--r--  2.0 unx        0 b- stor 20231114.221320 acme-util-1a2b3c/d/x
    lrwxrwxrwx  2.0 unx        1 b- stor 20231114.221320 acme-util-1a2b3c/l
    5 files, 6 bytes uncompressed, 8 bytes compressed:  -33.3%
    ");
}

#[test]
fn export_ignore_is_honoured_and_may_leave_an_empty_directory() {
    let (zip, _) = of_repository(|folder| {
        write(
            folder,
            ".gitattributes",
            "/tests export-ignore\n/docs/* export-ignore\n",
        );
        write(folder, "tests/a", "");
        write(folder, "docs/b", "");
        write(folder, "src/c", "");
    });
    assert_eq!(names(&zip), [".gitattributes", "docs/", "src/", "src/c"]);
}

#[test]
fn a_submodule_is_an_empty_directory_and_sorted_as_one() {
    let (zip, report) = of_repository(|folder| {
        write(folder, "sub-x", "");
        write(folder, "sub.x", "");
        let commit = "160000,0123456789abcdef0123456789abcdef01234567,sub";
        run(
            folder,
            "git",
            &["update-index", "--add", "--cacheinfo", commit],
        );
        fs::create_dir(folder.join("sub")).unwrap();
    });
    assert_eq!(names(&zip), ["sub-x", "sub.x", "sub/"]);
    assert!(report.has_submodules);
    let (_folder, top) = unzip(&zip);
    assert_eq!(fs::read_dir(top.join("sub")).unwrap().count(), 0);
}

#[test]
fn an_empty_commit_is_a_dist_of_its_top_directory() {
    let (zip, report) = of_repository(|_| {});
    assert_eq!(report.entries, 1);
    assert!(names(&zip).is_empty());
}
