//! Where composer.json is found, in archives as people make them.

use std::fs;
use std::io::Write;
use std::process::Command;

use bzip2::write::BzEncoder;
use flate2::{Compression, write::GzEncoder};
use kapelle_archive::{ArchiveError, ArchiveKind};
use rstest::rstest;

use crate::world::{HandEntry, Tar, composer_json, hand_zip};

fn zip_of(names: &[&str]) -> Vec<u8> {
    let entries: Vec<_> = names
        .iter()
        .map(|name| match name.strip_suffix('/') {
            Some(_) => HandEntry::new(name, b""),
            None => HandEntry::deflated(name, name.as_bytes()),
        })
        .collect();
    hand_zip(&entries)
}

#[rstest]
#[case::flat(&["src/a", "composer.json"], "composer.json")]
#[case::root_wins(&["top/composer.json", "composer.json"], "composer.json")]
#[case::one_top(&["top/", "top/composer.json", "top/src/a"], "top/composer.json")]
#[case::top_unlisted(&["top/src/a", "top/composer.json"], "top/composer.json")]
#[case::late_top(&["top/composer.json", "top/"], "top/composer.json")]
#[case::finder(&[".DS_Store", "top/composer.json"], "top/composer.json")]
fn it_is_found_where_composer_finds_it(#[case] names: &[&str], #[case] path: &str) {
    let found = composer_json(&zip_of(names)).unwrap();
    assert_eq!(found.path, path);
    assert_eq!(found.content, path.as_bytes());
}

#[rstest]
#[case::nowhere(&["a", "b"])]
#[case::two_tops(&["one/composer.json", "two/a"])]
#[case::top_and_file(&["one/composer.json", "README.md"])]
#[case::file_first(&["README.md", "one/composer.json"])]
#[case::too_deep(&["one/two/composer.json"])]
#[case::a_directory(&["composer.json/"])]
#[case::other_case(&["Composer.json"])]
#[case::empty(&[])]
fn it_is_not_found_elsewhere(#[case] names: &[&str]) {
    let error = composer_json(&zip_of(names)).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the archive has no composer.json at its root, nor in a single top directory"
    );
}

#[test]
fn a_link_called_composer_json_is_not_followed() {
    let mut link = HandEntry::new("composer.json", b"other.json");
    link.mode = 0o120_777;
    let error = composer_json(&hand_zip(&[link, HandEntry::new("other.json", b"{}")])).unwrap_err();
    assert!(matches!(error, ArchiveError::NoRootFile { .. }), "{error}");
}

#[test]
fn tars_are_read_packed_and_not_with_and_without_a_dot_in_front() {
    let dotted = Tar::new()
        .directory("./")
        .file("./composer.json", "{}")
        .file("./src/a", "");
    let plain = Tar::new().directory("top/").file("top/composer.json", "{}");
    for (tar, path) in [
        (dotted.finish(), "composer.json"),
        (plain.finish(), "top/composer.json"),
    ] {
        let found = composer_json(&tar).unwrap();
        assert_eq!((found.kind, found.path.as_str()), (ArchiveKind::Tar, path));
        let mut packed = GzEncoder::new(Vec::new(), Compression::default());
        packed.write_all(&tar).unwrap();
        let found = composer_json(&packed.finish().unwrap()).unwrap();
        assert_eq!(
            (found.kind, found.path.as_str()),
            (ArchiveKind::TarGz, path)
        );
    }
}

#[test]
fn the_zip_of_git_archive_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let git = |arguments: &[&str]| {
        let output = Command::new("git")
            .args(["-c", "user.name=T", "-c", "user.email=t@example.org"])
            .args(arguments)
            .current_dir(folder.path())
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        output.stdout
    };
    git(&["init", "-q"]);
    fs::write(
        folder.path().join("composer.json"),
        "{\"name\":\"acme/util\"}\n",
    )
    .unwrap();
    std::os::unix::fs::symlink("composer.json", folder.path().join("link")).unwrap();
    git(&["add", "-A"]);
    git(&["commit", "-q", "-m", "content"]);
    let archive = |format: &str| {
        let format = format!("--format={format}");
        git(&["archive", &format, "--prefix=top/", "HEAD"])
    };
    let mut packed = BzEncoder::new(Vec::new(), bzip2::Compression::best());
    packed.write_all(&archive("tar")).unwrap();
    let packed = packed.finish().unwrap();
    for (format, archive) in [
        ("zip", archive("zip")),
        ("tar", archive("tar")),
        ("tar.gz", archive("tar.gz")),
        ("tar.bz2", packed),
    ] {
        let found = composer_json(&archive).unwrap();
        assert_eq!(found.path, "top/composer.json", "{format}");
        assert_eq!(found.content, b"{\"name\":\"acme/util\"}\n");
    }
}

#[rstest]
#[case(b"")]
#[case(b"<html>Sign in</html>")]
#[case(b"7z\xbc\xaf\x27\x1c")]
#[case(b"PK")]
fn what_is_no_archive_is_said_to_be_none(#[case] bytes: &[u8]) {
    let error = composer_json(bytes).unwrap_err();
    assert!(matches!(error, ArchiveError::UnknownFormat), "{error}");
}
