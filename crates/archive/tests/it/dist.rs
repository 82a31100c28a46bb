//! What a dist contains, and that it is always the same bytes.

use std::io::Read;

use kapelle_archive::{ArchiveError, DistBuilder, DistOptions, Limits, Packer, write_dist};
use rstest::rstest;

use crate::world::{Tar, dist, dist_with, names};

/// A small package with one of everything.
fn package() -> Tar {
    Tar::new()
        .pax(&[("comment", b"0123456789abcdef0123456789abcdef01234567")])
        .file("README.md", "# Utilities\n")
        .directory("bin/")
        .executable("bin/tool", "#!/usr/bin/env php\n<?php\n")
        .file("composer.json", r#"{"name":"acme/util"}"#)
        .directory("empty/")
        .link("latest", "src/Util.php")
        .directory("src/")
        .file("src/Util.php", "<?php // utilities\n".repeat(500))
        .file("src/nothing", "")
}

#[test]
fn the_same_tree_gives_the_bytes_that_were_published_before() {
    let (zip, report) = dist(&package().finish()).unwrap();
    // These digests are in lock files. If they change, dists that are built again differ from those published.
    insta::assert_snapshot!(hex::encode(report.sha1), @"245aed40bb145a9a6294b3abe65e52b638a1c327");
    insta::assert_snapshot!(hex::encode(report.sha256), @"49a7f4c1f4b44c43a7917a42a62966fabbd0a2e22cfb1d59bc50dcf65e436246");
    assert_eq!(report.size, zip.len() as u64);
    assert_eq!(report.entries, 10);
    assert_eq!(report.unpacked_bytes, 9569);
}

#[test]
fn paths_that_are_long_and_many_are_refused_before_they_fill_memory() {
    let limits = Limits::default();
    let long = "x".repeat(4_000);
    for left_out in [true, false] {
        let exclude = |_: &str| left_out;
        let options = options(&limits, &exclude);
        let mut builder = DistBuilder::new(&options).unwrap();
        let mut add = |number: usize| {
            let path = format!("{number}{long}").into_bytes();
            if builder.wants(&path)? {
                builder.file(&path, false, &mut &b""[..], 0)?;
            }
            Ok::<_, ArchiveError>(())
        };
        let refused = (0..20_000).find_map(|number| add(number).err());
        let sentence = refused.expect("80 MB of names").to_string();
        assert_eq!(
            sentence,
            "the paths in the archive are longer than 67108864 bytes together"
        );
    }
}

/// As [`dist`] has them; the spool stays in memory here.
fn options<'a>(limits: &'a Limits, exclude: &'a dyn Fn(&str) -> bool) -> DistOptions<'a> {
    DistOptions {
        top_directory: "acme-util-1a2b3c",
        exclude,
        submodules: false,
        modified_at: 1_700_000_000,
        limits,
        spool: std::path::Path::new("/nowhere"),
    }
}

#[test]
fn entries_added_one_by_one_in_any_order_give_the_same_bytes() {
    let long = "<?php // utilities\n".repeat(500);
    let (expected, report) = dist(&package().finish()).unwrap();
    let limits = Limits::default();
    let options = options(&limits, &|_| false);
    let mut packer = Packer::default();
    let util = packer
        .pack(&mut long.as_bytes(), long.len() as u64)
        .unwrap();
    let nothing = packer.pack(&mut &b""[..], 0).unwrap();
    for _ in 0..2 {
        let mut builder = DistBuilder::new(&options).unwrap();
        for (path, executable, content) in [
            ("composer.json", false, r#"{"name":"acme/util"}"#),
            ("bin/tool", true, "#!/usr/bin/env php\n<?php\n"),
            ("README.md", false, "# Utilities\n"),
        ] {
            assert!(builder.wants(path.as_bytes()).unwrap());
            let size = content.len() as u64;
            builder
                .file(path.as_bytes(), executable, &mut content.as_bytes(), size)
                .unwrap();
        }
        builder.packed(b"src/nothing", false, &nothing).unwrap();
        builder.packed(b"src/Util.php", false, &util).unwrap();
        builder.directory(b"src").unwrap();
        builder.submodule(b"empty").unwrap();
        builder.link(b"latest", b"src/Util.php").unwrap();
        let mut zip = Vec::new();
        assert_eq!(builder.finish(&mut zip).unwrap(), report);
        assert_eq!(zip, expected);
    }
}

#[test]
fn a_builder_leaves_out_what_is_excluded_and_keeps_the_limits() {
    let limits = Limits {
        entries: 3,
        unpacked: 10,
        ..Limits::default()
    };
    let options = options(&limits, &|path| path == "tests/t");
    let mut builder = DistBuilder::new(&options).unwrap();
    assert!(!builder.wants(b"tests/t").unwrap());
    assert!(builder.wants(b"a").unwrap());
    let large = builder.file(b"a", false, &mut &b"0123456789x"[..], 11);
    assert!(
        matches!(large, Err(ArchiveError::TooLargeUnpacked { limit: 10 })),
        "{large:?}"
    );

    let mut builder = DistBuilder::new(&options).unwrap();
    builder.submodule(b"module").unwrap();
    assert!(!builder.wants(b"tests/t").unwrap());
    assert!(builder.wants(b"a").unwrap());
    assert!(matches!(
        builder.wants(b"b"),
        Err(ArchiveError::TooManyEntries { limit: 3 })
    ));
    let cut = builder.file(b"a", false, &mut &b"x"[..], 2);
    assert!(matches!(cut, Err(ArchiveError::Damaged { .. })), "{cut:?}");
    let mut zip = Vec::new();
    assert!(builder.finish(&mut zip).unwrap().has_submodules);
    assert_eq!(names(&zip), ["module/"]);
}

#[test]
fn the_digests_are_those_of_the_bytes_written() {
    use sha1::Digest;
    let (zip, report) = dist(&package().finish()).unwrap();
    assert_eq!(report.sha1.as_slice(), sha1::Sha1::digest(&zip).as_slice());
    assert_eq!(
        report.sha256.as_slice(),
        sha2::Sha256::digest(&zip).as_slice()
    );
}

/// Gives a byte at a time, as a slow pipe may.
struct Dripping<'a>(&'a [u8]);

impl Read for Dripping<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let end = buffer.len().min(1);
        self.0.read(&mut buffer[..end])
    }
}

#[test]
fn how_the_tar_arrives_does_not_show() {
    let tar = package().finish();
    let whole = dist(&tar).unwrap();
    let dripping = dist_with(Dripping(&tar), &Limits::default(), &|_| false).unwrap();
    assert_eq!(whole, dripping);
}

#[test]
fn the_order_of_the_tar_does_not_show() {
    let sorted = Tar::new()
        .file("a", "1")
        .file("b-c", "2")
        .directory("b/")
        .file("b/x", "3");
    let other = Tar::new()
        .directory("b/")
        .file("b/x", "3")
        .file("b-c", "2")
        .file("a", "1");
    assert_eq!(
        dist(&sorted.finish()).unwrap(),
        dist(&other.finish()).unwrap()
    );
}

#[test]
fn the_content_before_a_file_does_not_show_in_its_compression() {
    let text = "some text that compresses, some text that compresses".repeat(99);
    let alone = dist(&Tar::new().file("z", &text).finish()).unwrap().1.size;
    let behind = Tar::new()
        .file("a", text.repeat(40))
        .file("z", &text)
        .finish();
    let (behind, _) =
        dist_with(behind.as_slice(), &Limits::default(), &|path| path == "a").unwrap();
    assert_eq!(behind.len() as u64, alone);
}

#[test]
fn everything_lies_in_one_top_directory_sorted_by_bytes() {
    let (zip, _) = dist(&package().finish()).unwrap();
    assert_eq!(
        names(&zip),
        [
            "README.md",
            "bin/",
            "bin/tool",
            "composer.json",
            "empty/",
            "latest",
            "src/",
            "src/Util.php",
            "src/nothing"
        ]
    );
    let archive = zip::ZipArchive::new(std::io::Cursor::new(&zip)).unwrap();
    assert_eq!(
        archive.name_for_index(0).unwrap().unwrap(),
        "acme-util-1a2b3c/"
    );
}

#[test]
fn directories_that_the_tar_does_not_list_are_entries_all_the_same() {
    let (zip, _) = dist(&Tar::new().file("a/b/c", "1").file("a/d", "2").finish()).unwrap();
    assert_eq!(names(&zip), ["a/", "a/b/", "a/b/c", "a/d"]);
}

#[test]
fn excluded_paths_are_left_out_and_a_file_can_be_taken_back_in() {
    let tar = Tar::new()
        .file("a.php", "")
        .directory("docs/")
        .file("docs/guide.md", "")
        .directory("tests/")
        .directory("tests/fixtures/")
        .file("tests/fixtures/keep", "")
        .file("tests/some.php", "")
        .finish();
    let exclude = |path: &str| {
        path == "docs" || path.starts_with("docs/") || {
            (path == "tests" || path.starts_with("tests/")) && path != "tests/fixtures/keep"
        }
    };
    let (zip, report) = dist_with(tar.as_slice(), &Limits::default(), &exclude).unwrap();
    assert_eq!(
        names(&zip),
        ["a.php", "tests/", "tests/fixtures/", "tests/fixtures/keep"]
    );
    assert!(!report.has_submodules);
}

#[test]
fn a_directory_whose_content_is_all_excluded_is_left_out_too() {
    let tar = Tar::new()
        .file("a", "")
        .directory("tests/")
        .file("tests/b", "")
        .finish();
    let exclude = |path: &str| path.starts_with("tests/");
    let (zip, _) = dist_with(tar.as_slice(), &Limits::default(), &exclude).unwrap();
    assert_eq!(names(&zip), ["a"]);
}

#[test]
fn the_exclusion_is_asked_about_every_path_without_slashes_around() {
    let asked = std::cell::RefCell::new(Vec::new());
    let exclude = |path: &str| {
        asked.borrow_mut().push(path.to_owned());
        false
    };
    let tar = Tar::new()
        .directory("src/")
        .file("src/a", "")
        .link("l", "src")
        .finish();
    dist_with(tar.as_slice(), &Limits::default(), &exclude).unwrap();
    assert_eq!(*asked.borrow(), ["src", "src/a", "l"]);
}

#[test]
fn links_that_leave_the_tree_are_dropped_and_counted() {
    let tar = Tar::new()
        .link("absolute", "/etc/passwd")
        .directory("d/")
        .link("d/far", "../../outside")
        .link("d/near", "../kept")
        .link("far", "../outside")
        .file("kept", "")
        .finish();
    let (zip, report) = dist(&tar).unwrap();
    assert_eq!(names(&zip), ["d/", "d/near", "kept"]);
    assert_eq!(report.dropped_links, 3);
}

#[test]
fn submodules_and_lfs_pointers_are_reported() {
    let pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n";
    let tar = Tar::new()
        .file("big.bin", pointer)
        .directory("vendored/")
        .finish();
    let (_, report) = dist(&tar).unwrap();
    assert!(report.has_lfs && report.has_submodules);
    let large = Tar::new().file("about-lfs.md", pointer.repeat(20)).finish();
    let (_, report) = dist(&large).unwrap();
    assert!(!report.has_lfs && !report.has_submodules);
}

#[test]
fn names_that_differ_only_in_case_are_kept_and_counted() {
    let tar = Tar::new()
        .file("Readme", "1")
        .file("readme", "2")
        .file("ÄB", "3")
        .file("äb", "4");
    let (zip, report) = dist(&tar.finish()).unwrap();
    assert_eq!(names(&zip).len(), 4);
    assert_eq!(report.case_collisions, 2);
}

#[test]
fn long_names_and_targets_come_from_extended_headers() {
    let long = format!("{}/{}", "d".repeat(150), "f".repeat(200));
    let tar = Tar::new()
        .pax(&[("path", long.as_bytes()), ("SCHILY.xattr.x", b"a\nb")])
        .file("short", "content")
        .pax(&[("linkpath", long.as_bytes())])
        .link("l", "cut off")
        .special(
            tar::EntryType::GNULongName,
            "././@LongLink",
            &format!("g{long}\0"),
        )
        .file("cut off", "")
        .finish();
    let (zip, _) = dist(&tar).unwrap();
    assert_eq!(
        names(&zip),
        [
            format!("{}/", "d".repeat(150)),
            long.clone(),
            format!("g{}/", "d".repeat(150)),
            format!("g{long}"),
            "l".to_owned()
        ]
    );
    let mut archive = zip::ZipArchive::new(std::io::Cursor::new(zip)).unwrap();
    let mut target = String::new();
    archive
        .by_name("acme-util-1a2b3c/l")
        .unwrap()
        .read_to_string(&mut target)
        .unwrap();
    assert_eq!(target, long);
}

#[test]
fn more_content_than_memory_is_spooled_to_disk_and_complete() {
    // Bytes that do not compress.
    let mut state = 1_u32;
    let mut noise = vec![0_u8; 10 << 20];
    for byte in &mut noise {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        *byte = state.to_be_bytes()[0];
    }
    let (zip, report) = dist(&Tar::new().file("z", &noise).file("a", "small").finish()).unwrap();
    assert!(report.size > 10 << 20);
    let mut archive = zip::ZipArchive::new(std::io::Cursor::new(zip)).unwrap();
    let mut read = Vec::new();
    archive
        .by_name("acme-util-1a2b3c/z")
        .unwrap()
        .read_to_end(&mut read)
        .unwrap();
    assert!(read == noise);
}

#[test]
fn more_entries_than_16_bits_count_are_all_there() {
    let mut tar = Tar::new();
    for number in 0..66_000 {
        tar = tar.file(&format!("{number:05}"), "");
    }
    let (zip, report) = dist(&tar.finish()).unwrap();
    assert_eq!(report.entries, 66_001);
    assert_eq!(names(&zip).len(), 66_000);
    assert_eq!(report.size, zip.len() as u64);
}

#[rstest]
#[case::absolute("/etc/passwd", "is absolute")]
#[case::parent("../evil", "has a segment of dots")]
#[case::inner_parent("a/../../evil", "has a segment of dots")]
#[case::backslash("a\\b", "contains a backslash")]
#[case::control("a\u{1b}[31m", "contains a control character")]
#[case::drive("C:evil", "begins with a drive letter")]
fn dangerous_names_are_refused(#[case] name: &str, #[case] problem: &str) {
    let error = dist(&Tar::new().file(name, "x").finish()).unwrap_err();
    assert!(
        matches!(&error, ArchiveError::Name { problem: found, .. } if *found == problem),
        "{error}"
    );
}

#[rstest]
#[case::files(Tar::new().file("a", "1").file("a", "2"))]
#[case::directories(Tar::new().directory("a/").directory("a/"))]
#[case::file_and_directory(Tar::new().file("a", "").directory("a/"))]
#[case::directory_and_file(Tar::new().directory("a/").file("a", ""))]
#[case::file_and_content(Tar::new().file("a", "").file("a/b", ""))]
#[case::link_and_content(Tar::new().link("a", "b").directory("b/").file("a/c", ""))]
#[case::dropped_link_and_content(Tar::new().link("a", "/etc").file("a/passwd", ""))]
fn a_name_that_is_there_twice_is_refused(#[case] tar: Tar) {
    let error = dist(&tar.finish()).unwrap_err();
    assert!(matches!(error, ArchiveError::Duplicate { .. }), "{error}");
}

#[test]
fn each_limit_is_kept() {
    let tar = Tar::new()
        .file("a", "x".repeat(1000))
        .file("b", "y".repeat(1000))
        .finish();
    let refused = |limits: Limits| dist_with(tar.as_slice(), &limits, &|_| false).unwrap_err();
    let entries = refused(Limits {
        entries: 1,
        ..Limits::default()
    });
    assert!(
        matches!(entries, ArchiveError::TooManyEntries { limit: 1 }),
        "{entries}"
    );
    let unpacked = refused(Limits {
        unpacked: 1999,
        ..Limits::default()
    });
    assert!(
        matches!(unpacked, ArchiveError::TooLargeUnpacked { limit: 1999 }),
        "{unpacked}"
    );
    let (zip, _) = dist(&tar).unwrap();
    let size = zip.len() as u64;
    let packed = refused(Limits {
        packed: size - 1,
        ..Limits::default()
    });
    assert_eq!(
        packed.to_string(),
        format!("the archive is larger than {} bytes", size - 1)
    );
    let exactly = Limits {
        entries: 2,
        unpacked: 2000,
        packed: size,
        ..Limits::default()
    };
    assert!(dist_with(tar.as_slice(), &exactly, &|_| false).is_ok());
}

#[test]
fn a_tar_that_is_cut_short_gives_no_dist() {
    let tar = package().finish();
    let end = tar.len() - 1024;
    for length in [0, 100, 512, 1024, 2000, end - 512, end] {
        let error = dist(&tar[..length]).unwrap_err();
        assert!(
            matches!(error, ArchiveError::Damaged { .. }),
            "{length}: {error}"
        );
    }
    assert!(dist(&tar[..end + 512]).is_ok());
}

#[test]
fn the_top_directory_is_one_plain_name() {
    for top in ["", "a/b", "..", "/", "a\\b"] {
        let options = DistOptions {
            top_directory: top,
            exclude: &|_| false,
            submodules: false,
            modified_at: 1_700_000_000,
            limits: &Limits::default(),
            spool: &std::env::temp_dir(),
        };
        let error = write_dist(package().finish().as_slice(), &options, Vec::new()).unwrap_err();
        assert!(
            matches!(error, ArchiveError::Name { .. }),
            "{top:?}: {error}"
        );
    }
}
