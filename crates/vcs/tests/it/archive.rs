//! The tar stream of a commit.

use std::collections::BTreeMap;
use std::io::Read as _;

use kapelle_testing::git::GitRepository;
use kapelle_vcs::{Mirror, VcsError};

use crate::world::{World, url, write_script};

/// Path to kind, mode and content.
async fn unpack(mirror: &Mirror, commit: &str, folder: Option<&str>) -> BTreeMap<String, String> {
    let mut stream = mirror.archive(commit, folder).await.unwrap();
    tokio::task::spawn_blocking(move || {
        let mut entries = BTreeMap::new();
        let mut archive = tar::Archive::new(&mut stream);
        for entry in archive.entries().unwrap() {
            let mut entry = entry.unwrap();
            let path = entry.path().unwrap().display().to_string();
            let mode = entry.header().mode().unwrap();
            let kind = entry.header().entry_type();
            let link = entry
                .link_name()
                .unwrap()
                .map(|link| link.display().to_string());
            let mut content = String::new();
            entry.read_to_string(&mut content).unwrap();
            let content = link.unwrap_or(content);
            entries.insert(path, format!("{kind:?} {mode:o} {content}"));
        }
        stream.finish().unwrap();
        entries.remove("pax_global_header");
        entries
    })
    .await
    .unwrap()
}

fn attributes() -> &'static str {
    "/tests export-ignore\nversion export-subst\n*.crlf text eol=crlf\n"
}

#[tokio::test]
async fn modes_links_submodules_and_attributes_are_as_git_archives_them() {
    let repository = GitRepository::new();
    let commit = repository
        .commit("main")
        .file(".gitattributes", attributes())
        .file("src/a.php", "<?php")
        .executable("bin/run", "#!/bin/sh")
        .symlink("link", "src/a.php")
        .file("tests/t.php", "no")
        .submodule("module", "0123456789012345678901234567890123456789")
        .create();
    let world = World::new();
    let mirror = world.mirrored(&url(&repository.url())).await;
    let entries = unpack(&mirror, &commit, None).await;
    let names: Vec<_> = entries.keys().map(String::as_str).collect();
    let expected = [
        ".gitattributes",
        "bin/",
        "bin/run",
        "link",
        "module/",
        "src/",
        "src/a.php",
    ];
    assert_eq!(names, expected);
    assert_eq!(entries["bin/run"], "Regular 755 #!/bin/sh");
    assert_eq!(entries["src/a.php"], "Regular 644 <?php");
    assert!(entries["link"].starts_with("Symlink") && entries["link"].ends_with("src/a.php"));

    let folder = unpack(&mirror, &commit, Some("src")).await;
    assert_eq!(folder.keys().collect::<Vec<_>>(), ["a.php"]);
}

#[tokio::test]
async fn placeholders_that_depend_on_refs_are_empty_and_the_others_replaced() {
    let repository = GitRepository::new();
    let text = "$Format:%H$|$Format:%d$|$Format:%D$|$Format:%(describe)$|$Format:%S$|$Format:%G?$|$Format:%ci$";
    let commit = repository
        .commit("main")
        .file(".gitattributes", attributes())
        .file("version", text)
        .create();
    let world = World::new();
    let mirror = world.mirrored(&url(&repository.url())).await;
    let before = unpack(&mirror, &commit, None).await;
    let expected = format!("Regular 644 {commit}||||");
    assert!(
        before["version"].starts_with(&expected),
        "{}",
        before["version"]
    );
    assert!(before["version"].ends_with("2023-11-14 22:13:20 +0000"));

    repository.tag("1.0.0", &commit);
    repository.branch("other", &commit);
    let mirror = world.mirrored(&url(&repository.url())).await;
    assert_eq!(unpack(&mirror, &commit, None).await, before);
}

#[tokio::test]
async fn a_stream_that_git_breaks_off_never_looks_complete() {
    let repository = GitRepository::with_releases(&[("1.0.0", "{}")]);
    let commit = repository.resolve("main").unwrap();
    let log = tempfile::tempdir().unwrap();
    let script = log.path().join("git");
    write_script(
        &script,
        "case $1 in archive) git \"$@\" | head -c 600; echo broken >&2; exit 1;; *) exec git \"$@\";; esac",
    );
    let world = World::with(|config| config.binary = script);
    let mirror = world.mirrored(&url(&repository.url())).await;

    let mut stream = mirror.archive(&commit, None).await.unwrap();
    let error = stream.read_to_end(&mut Vec::new()).unwrap_err();
    assert!(error.to_string().contains("broken"), "{error}");

    let stream = mirror.archive(&commit, None).await.unwrap();
    let error = stream.finish().unwrap_err();
    assert!(matches!(error, VcsError::GitFailed { .. }), "{error:?}");
}

#[tokio::test]
async fn an_abandoned_stream_gives_its_place_back() {
    let repository = GitRepository::new();
    let commit = repository
        .commit("main")
        .file("a", "x".repeat(1_000_000))
        .create();
    let world = World::with(|config| config.parallel_reads = 1);
    let mirror = world.mirrored(&url(&repository.url())).await;
    for _ in 0..3 {
        let mut stream = mirror.archive(&commit, None).await.unwrap();
        stream.read_exact(&mut [0; 100]).unwrap();
    }
    mirror
        .archive(&commit, None)
        .await
        .unwrap()
        .finish()
        .unwrap();
}

#[tokio::test]
async fn placeholders_that_blow_a_file_up_do_not_take_all_memory() {
    let repository = GitRepository::new();
    let commit = repository
        .commit("main")
        .file(".gitattributes", "bomb export-subst")
        .file("bomb", "$Format:%<(16000)%H$\n".repeat(20_000))
        .create();
    let world = World::with(|config| config.max_memory = 128 << 20);
    let mirror = world.mirrored(&url(&repository.url())).await;
    let stream = mirror.archive(&commit, None).await.unwrap();
    let finished = tokio::task::spawn_blocking(move || stream.finish());
    let error = finished.await.unwrap().unwrap_err();
    let sentence =
        format!("the memory that git needs to archive {commit} is larger than 134217728 bytes");
    assert_eq!(error.to_string(), sentence);
}

#[tokio::test]
async fn a_tree_that_would_leave_its_folder_is_refused_for_good() {
    let repository = GitRepository::new();
    let blob = repository.git_with_input(&["hash-object", "-w", "--stdin"], b"x");
    for name in ["..", ".git", ".GIT"] {
        let mut entry = format!("100644 {name}\0").into_bytes();
        entry.extend((0..20).map(|at| u8::from_str_radix(&blob[at * 2..at * 2 + 2], 16).unwrap()));
        let write = ["hash-object", "-w", "--literally", "-t", "tree", "--stdin"];
        let tree = repository.git_with_input(&write, &entry);
        let author = ["-c", "user.name=A", "-c", "user.email=a@example.org"];
        let make = ["commit-tree", "-m", "x", tree.trim()];
        let commit = repository.git(&[&author[..], &make].concat());
        let commit = commit.trim();
        repository.branch("main", commit);
        let world = World::new();
        let mirror = world.mirrored(&url(&repository.url())).await;
        let stream = mirror.archive(commit, None).await.unwrap();
        let finished = tokio::task::spawn_blocking(move || stream.finish());
        let error = finished.await.unwrap().unwrap_err();
        assert!(error.is_permanent());
        assert_eq!(
            error.to_string(),
            format!("git cannot archive {commit}: its tree contains the path {name:?}")
        );
    }
}
