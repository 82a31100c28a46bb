//! Tars that lie, in every format they come in.

use std::io::Write;

use flate2::{Compression, write::GzEncoder};
use kapelle_archive::{ArchiveError, Limits};
use rstest::rstest;
use tar::EntryType;

use crate::world::{Tar, composer_json, composer_json_with};

fn gzip(tar: &[u8]) -> Vec<u8> {
    let mut packed = GzEncoder::new(Vec::new(), Compression::best());
    packed.write_all(tar).unwrap();
    packed.finish().unwrap()
}

fn honest() -> Tar {
    Tar::new().file("composer.json", "{}")
}

#[rstest]
#[case::absolute("/etc/passwd")]
#[case::parent("../evil")]
#[case::hidden_parent("./../evil")]
#[case::backslash("..\\evil")]
#[case::control("a\nb")]
#[case::drive("c:/evil")]
fn dangerous_names_are_refused(#[case] name: &str) {
    let error = composer_json(&honest().file(name, "").finish()).unwrap_err();
    assert!(matches!(error, ArchiveError::Name { .. }), "{error}");
}

#[test]
fn a_dangerous_name_in_an_extended_header_is_refused() {
    for name in ["../evil", "a\0b", ""] {
        let tar = honest()
            .pax(&[("path", name.as_bytes())])
            .file("fine", "")
            .finish();
        let error = composer_json(&tar).unwrap_err();
        assert!(
            matches!(error, ArchiveError::Name { .. }),
            "{name:?}: {error}"
        );
    }
}

#[rstest]
#[case(honest().file("composer.json", "{}"))]
#[case(honest().file("Composer.JSON", "{}"))]
#[case(honest().file("./composer.json", "{}"))]
#[case(honest().file("src/a", "").file("SRC/b", ""))]
#[case(honest().file("ä", "").file("Ä", ""))]
#[case(honest().link("l", "src").file("l/a", ""))]
#[case(honest().file("l/a", "").link("l", "src"))]
fn names_that_are_there_twice_are_refused(#[case] tar: Tar) {
    let error = composer_json(&tar.finish()).unwrap_err();
    assert!(matches!(error, ArchiveError::Duplicate { .. }), "{error}");
}

#[rstest]
#[case("/etc/passwd")]
#[case("../up")]
#[case("src/../../up")]
#[case("")]
fn links_that_leave_are_refused(#[case] target: &str) {
    let error = composer_json(&honest().link("l", target).finish()).unwrap_err();
    assert!(
        matches!(error, ArchiveError::EscapingLink { .. }),
        "{error}"
    );
}

#[rstest]
#[case(EntryType::Link, "a hard link")]
#[case(EntryType::Char, "a device")]
#[case(EntryType::Block, "a device")]
#[case(EntryType::Fifo, "a pipe")]
#[case(EntryType::GNUSparse, "a sparse file")]
#[case(EntryType::new(b'V'), "of an unknown kind")]
fn only_files_directories_and_symbolic_links_are_allowed(
    #[case] kind: EntryType,
    #[case] named: &str,
) {
    let error = composer_json(&honest().special(kind, "x", "").finish()).unwrap_err();
    assert!(
        matches!(&error, ArchiveError::UnsupportedEntry { kind, .. } if *kind == named),
        "{error}"
    );
}

#[rstest]
#[case::two_sizes(honest().pax(&[("size", b"600")]).file("x", ""))]
#[case::no_size(honest().pax(&[("size", b"many")]).file("x", ""))]
#[case::sparse(honest().pax(&[("GNU.sparse.major", b"1")]).file("x", ""))]
#[case::pax_is_garbage(honest().special(EntryType::XHeader, "x", "9999 path=x\n").file("y", ""))]
#[case::pax_for_nothing(honest().pax(&[("path", b"x")]))]
#[case::global_name(honest().special(EntryType::XGlobalHeader, "g", "9 path=x\n").file("y", ""))]
#[case::directory_with_content(honest().special(EntryType::Directory, "d/", "content"))]
#[case::link_with_content(honest().special(EntryType::Symlink, "l", "content"))]
#[case::large_header(honest().special(EntryType::GNULongName, "x", &"x".repeat(2 << 20)).file("y", ""))]
fn headers_that_programs_read_differently_are_refused(#[case] tar: Tar) {
    let error = composer_json(&tar.finish()).unwrap_err();
    assert!(matches!(error, ArchiveError::Damaged { .. }), "{error}");
}

#[test]
fn a_flipped_bit_in_a_header_is_noticed() {
    let mut tar = honest().finish();
    tar[3] ^= 1;
    let error = composer_json(&tar).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the archive is damaged: a header's checksum is wrong"
    );
}

#[test]
fn archives_cut_short_are_refused() {
    let tar = honest().file("src/a", "x".repeat(3000)).finish();
    for length in [512, 700, 1024, 2000, tar.len() - 1024] {
        let error = composer_json(&tar[..length]).unwrap_err();
        assert!(
            matches!(error, ArchiveError::Damaged { .. }),
            "{length}: {error}"
        );
    }
    let packed = gzip(&tar);
    for length in [2, 5, 20, packed.len() / 2] {
        let error = composer_json(&packed[..length]).unwrap_err();
        assert!(
            matches!(error, ArchiveError::Damaged { .. }),
            "{length}: {error}"
        );
    }
}

#[test]
fn an_archive_that_inflates_beyond_measure_is_refused_before_it_is_inflated() {
    let bomb = gzip(&honest().file("zeros", vec![0; 8 << 20]).finish());
    let error = composer_json(&bomb).unwrap_err();
    assert!(
        matches!(error, ArchiveError::Ratio { limit: 200 }),
        "{error}"
    );
    let limits = Limits {
        unpacked: 1 << 20,
        ..Limits::default()
    };
    let error = composer_json_with(&bomb, &limits).unwrap_err();
    assert!(
        matches!(error, ArchiveError::TooLargeUnpacked { .. }),
        "{error}"
    );
}

#[test]
fn very_many_very_long_names_are_refused_though_they_pack_to_nothing() {
    let many = (0..9_000).fold(honest(), |tar, number| {
        let path = format!("{number:05}{}", "n".repeat(4_080));
        tar.pax(&[("path", path.as_bytes())]).file("x", "")
    });
    let packed = gzip(&many.finish());
    assert!(packed.len() < 1 << 20, "{}", packed.len());
    let error = composer_json(&packed).unwrap_err();
    assert!(matches!(error, ArchiveError::LongNames { .. }), "{error}");
}

#[test]
fn headers_cannot_be_used_to_inflate_without_end() {
    let comment = vec![b'x'; 500_000];
    let limits = Limits {
        entries: 100,
        unpacked: 1 << 20,
        ..Limits::default()
    };
    let spam = (0..40).fold(Tar::new(), |tar, _| tar.pax(&[("comment", &comment)]));
    let error = composer_json_with(&gzip(&spam.file("a", "").finish()), &limits).unwrap_err();
    assert!(
        matches!(error, ArchiveError::TooLargeUnpacked { .. }),
        "{error}"
    );
}

#[test]
fn too_many_and_too_deep_entries_are_refused() {
    let tar = honest().file("a", "").file("b", "").finish();
    let limits = Limits {
        entries: 2,
        ..Limits::default()
    };
    let error = composer_json_with(&tar, &limits).unwrap_err();
    assert!(
        matches!(error, ArchiveError::TooManyEntries { limit: 2 }),
        "{error}"
    );
    let deep = |segments| {
        honest()
            .pax(&[("path", vec!["d"; segments].join("/").as_bytes())])
            .file("x", "")
    };
    assert!(composer_json(&deep(64).finish()).is_ok());
    let error = composer_json(&deep(65).finish()).unwrap_err();
    assert!(
        error.to_string().ends_with("which is nested too deeply"),
        "{error}"
    );
}

/// The size is at byte 124 of a header, the checksum at 148.
#[rstest]
#[case::size(124)]
#[case::checksum(148)]
fn a_number_that_is_none_is_told_without_repeating_it(#[case] field: usize) {
    let mut tar = honest().finish();
    tar[field..field + 7].copy_from_slice(b"0\x1b[2J\x1bc");
    if field == 124 {
        let sum: u32 = (0..512)
            .map(|at| {
                if (148..156).contains(&at) {
                    b' '
                } else {
                    tar[at]
                }
            })
            .map(u32::from)
            .sum();
        tar[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    }
    let error = composer_json(&tar).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the archive is damaged: a number in a header is malformed"
    );
}
