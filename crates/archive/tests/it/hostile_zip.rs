//! Zips that lie.

use kapelle_archive::{ArchiveError, Limits};
use rstest::rstest;

use crate::world::{HandEntry, composer_json, composer_json_with, hand_zip};

/// A zip of composer.json and this entry.
fn with(entry: HandEntry) -> Vec<u8> {
    hand_zip(&[HandEntry::deflated("composer.json", b"{}"), entry])
}

fn changed(change: impl FnOnce(&mut HandEntry)) -> Vec<u8> {
    let mut entry = HandEntry::deflated("src/a", b"some content");
    change(&mut entry);
    with(entry)
}

fn refusal(zip: &[u8]) -> ArchiveError {
    composer_json(zip).unwrap_err()
}

#[test]
fn the_zip_that_the_others_are_made_from_is_fine() {
    let found = composer_json(&changed(|_| {})).unwrap();
    assert_eq!(found.content, b"{}");
    assert_eq!((found.entries, found.unpacked_bytes), (2, 14));
}

#[rstest]
#[case::absolute("/etc/passwd", "is absolute")]
#[case::parent("../evil", "has a segment of dots")]
#[case::inner_parent("src/../../evil", "has a segment of dots")]
#[case::backslash("..\\evil", "contains a backslash")]
#[case::nul("a\0.php", "contains a control character")]
#[case::escape("a\u{1b}[2J", "contains a control character")]
#[case::drive("C:/evil", "begins with a drive letter")]
#[case::nameless("", "is empty")]
#[case::two_slashes("a//b", "has an empty segment")]
fn dangerous_names_are_refused(#[case] name: &str, #[case] problem: &str) {
    let error = refusal(&with(HandEntry::new(name, b"x")));
    assert!(
        matches!(&error, ArchiveError::Name { problem: found, .. } if *found == problem),
        "{error}"
    );
}

#[rstest]
#[case("composer.json")]
#[case("COMPOSER.json")]
#[case("composer.json/a")]
fn names_that_are_there_twice_are_refused(#[case] name: &str) {
    let error = refusal(&with(HandEntry::new(name, b"x")));
    assert!(matches!(error, ArchiveError::Duplicate { .. }), "{error}");
}

#[test]
fn a_file_behind_a_link_is_refused() {
    let mut link = HandEntry::new("l", b"src");
    link.mode = 0o120_777;
    let behind = HandEntry::new("l/a", b"x");
    for entries in [[link.clone(), behind.clone()], [behind, link]] {
        let error = refusal(&hand_zip(&entries));
        assert!(matches!(error, ArchiveError::Duplicate { .. }), "{error}");
    }
}

#[rstest]
#[case("/etc/passwd")]
#[case("../../x")]
#[case("b/../../../x")]
#[case("")]
fn links_that_leave_are_refused(#[case] target: &str) {
    let mut link = HandEntry::deflated("src/l", target.as_bytes());
    link.mode = 0o120_777;
    let error = refusal(&with(link));
    assert!(
        matches!(error, ArchiveError::EscapingLink { .. }),
        "{error}"
    );
}

#[test]
fn a_link_inside_is_fine_and_a_monstrous_one_is_not() {
    let mut link = HandEntry::new("src/l", b"../composer.json");
    link.mode = 0o120_777;
    assert!(composer_json(&with(link)).is_ok());
    let mut link = HandEntry::new("src/l", &[b'x'; 5000]);
    link.mode = 0o120_777;
    assert!(matches!(refusal(&with(link)), ArchiveError::Damaged { .. }));
}

#[rstest]
#[case(0o020_644, "a device")]
#[case(0o060_644, "a device")]
#[case(0o010_644, "a pipe")]
#[case(0o140_644, "of an unknown kind")]
fn devices_and_pipes_are_refused(#[case] mode: u32, #[case] named: &str) {
    let error = refusal(&changed(|entry| entry.mode = mode));
    assert!(
        matches!(&error, ArchiveError::UnsupportedEntry { kind, .. } if *kind == named),
        "{error}"
    );
}

#[test]
fn a_directory_that_hides_content_is_refused() {
    let error = refusal(&with(HandEntry::new("src/", b"hidden")));
    assert!(matches!(error, ArchiveError::Damaged { .. }), "{error}");
}

#[rstest]
#[case::content(1)]
#[case::strong(1 << 6)]
#[case::headers(1 << 13)]
fn encryption_is_refused(#[case] flags: u16) {
    let error = refusal(&changed(|entry| entry.flags = flags));
    assert_eq!(
        error.to_string(),
        r#"the archive contains "src/a" in encrypted form; upload it without a password"#
    );
}

#[rstest]
#[case::deflate64(9)]
#[case::bzip2(12)]
#[case::lzma(14)]
#[case::zstd(93)]
#[case::aes(99)]
fn other_methods_are_refused(#[case] method: u16) {
    let error = refusal(&changed(|entry| entry.method = method));
    assert!(
        matches!(&error, ArchiveError::Method { method: found, .. } if *found == method),
        "{error}"
    );
}

#[rstest]
#[case::smaller_than_it_is(11)]
#[case::larger_than_it_is(13)]
#[case::none(0)]
fn a_size_that_is_not_true_is_refused(#[case] size: u32) {
    let error = refusal(&changed(|entry| entry.size = size));
    insta::allow_duplicates! {
        insta::assert_snapshot!(error, @r#"the archive is damaged: "src/a" has another size or checksum than it says"#);
    }
}

#[test]
fn a_bomb_that_announces_a_small_size_is_not_inflated() {
    let mut bomb = HandEntry::deflated("src/a", &vec![0; 32 << 20]);
    bomb.size = 100;
    assert!(matches!(refusal(&with(bomb)), ArchiveError::Damaged { .. }));
}

#[test]
fn a_wrong_checksum_is_refused() {
    let error = refusal(&changed(|entry| entry.crc ^= 1));
    assert!(matches!(error, ArchiveError::Damaged { .. }), "{error}");
}

#[test]
fn content_that_does_not_inflate_is_refused() {
    let error = refusal(&changed(|entry| entry.content.fill(0xff)));
    assert!(matches!(error, ArchiveError::Damaged { .. }), "{error}");
}

#[test]
fn bytes_hidden_behind_the_compressed_content_are_refused() {
    let error = refusal(&changed(|entry| entry.content.extend(b"hidden")));
    assert!(
        error.to_string().contains("bytes behind its content"),
        "{error}"
    );
}

#[test]
fn a_stored_entry_has_one_size() {
    let mut entry = HandEntry::new("src/a", b"content");
    entry.size = 6;
    assert!(refusal(&with(entry)).to_string().contains("has two sizes"));
}

#[test]
fn a_name_that_differs_before_the_content_is_refused() {
    let error = refusal(&changed(|entry| entry.local_name = b"src/b".to_vec()));
    assert!(
        error.to_string().contains("is described in two ways"),
        "{error}"
    );
}

#[test]
fn a_second_name_in_an_extra_field_is_refused() {
    let second = |name: &[u8]| [&[0x75, 0x70, 10, 0, 1, 0, 0, 0, 0][..], name].concat();
    assert!(composer_json(&changed(|entry| entry.extra = second(b"src/a"))).is_ok());
    let error = refusal(&changed(|entry| entry.extra = second(b"src/b")));
    assert!(error.to_string().contains("has a second name"), "{error}");
}

#[test]
fn entries_that_share_their_bytes_are_refused() {
    let one = HandEntry::deflated("a", b"the same");
    let mut two = one.clone();
    two.name = b"b".to_vec();
    two.local_name = b"b".to_vec();
    two.offset = Some(0);
    // Both name the first header, which says "a": already refused. With equal names it would be a duplicate.
    assert!(matches!(
        refusal(&hand_zip(&[one, two])),
        ArchiveError::Damaged { .. }
    ));
    // A header inside the content of another entry.
    let inner = hand_zip(&[HandEntry::new("inner", b"x")]);
    let outer = HandEntry::new("outer", &inner);
    let mut inside = HandEntry::new("inner", b"x");
    inside.offset = Some(30 + 5);
    let error = refusal(&hand_zip(&[outer, inside]));
    assert_eq!(
        error.to_string(),
        "the archive is damaged: two entries share their bytes"
    );
}

#[rstest]
#[case::behind_the_directory(u32::MAX - 1)]
#[case::not_a_header(1)]
fn an_entry_that_is_elsewhere_is_refused(#[case] offset: u32) {
    let error = refusal(&changed(|entry| entry.offset = Some(offset)));
    assert!(matches!(error, ArchiveError::Damaged { .. }), "{error}");
}

#[test]
fn bytes_before_behind_and_between_are_refused() {
    let zip = changed(|_| {});
    let behind = [zip.as_slice(), b"more"].concat();
    assert!(
        refusal(&behind)
            .to_string()
            .contains("bytes behind its end")
    );
    let before = [&hand_zip(&[HandEntry::new("x", b"")]), zip.as_slice()].concat();
    assert!(refusal(&before).to_string().contains("not where it says"));
    let (content, end) = zip.split_at(zip.len() - 22);
    let between = [content, b"more", end].concat();
    assert!(refusal(&between).to_string().contains("not where it says"));
}

#[test]
fn a_second_end_in_the_comment_is_refused() {
    let mut zip = changed(|_| {});
    let comment = hand_zip(&[HandEntry::new("other", b"")]);
    let length = zip.len();
    zip[length - 2..].copy_from_slice(&u16::try_from(comment.len()).unwrap().to_le_bytes());
    zip.extend(&comment);
    assert!(matches!(refusal(&zip), ArchiveError::Damaged { .. }));
}

#[test]
fn every_cut_is_noticed() {
    let zip = changed(|_| {});
    for length in 4..zip.len() {
        let error = refusal(&zip[..length]);
        assert!(
            matches!(error, ArchiveError::Damaged { .. }),
            "{length}: {error}"
        );
    }
}

#[test]
fn a_count_that_is_not_true_is_refused() {
    for (count, expected) in [(1, "longer"), (3, "too early"), (0, "longer")] {
        let mut zip = changed(|_| {});
        let end = zip.len() - 22;
        zip[end + 8] = count;
        zip[end + 10] = count;
        let error = refusal(&zip);
        assert!(error.to_string().contains(expected), "{count}: {error}");
    }
}

#[test]
fn the_64_bit_directory_is_not_trusted_either() {
    let mut zip = changed(|_| {});
    let end = zip.len() - 22;
    zip[end + 16..end + 20].fill(0xff);
    let error = refusal(&zip);
    assert!(
        error.to_string().contains("64-bit directory is missing"),
        "{error}"
    );
}

#[test]
fn an_archive_that_inflates_beyond_measure_is_refused() {
    let bomb = with(HandEntry::deflated("src/a", &vec![0; 8 << 20]));
    let error = refusal(&bomb);
    assert_eq!(
        error.to_string(),
        "the archive unpacks to more than 200 times its size"
    );
    let small = with(HandEntry::deflated("src/a", &vec![0; 1 << 19]));
    assert!(composer_json(&small).is_ok());
}

#[test]
fn each_limit_is_kept() {
    let zip = changed(|_| {});
    let refused = |limits: Limits| composer_json_with(&zip, &limits).unwrap_err();
    let entries = refused(Limits {
        entries: 1,
        ..Limits::default()
    });
    assert!(
        matches!(entries, ArchiveError::TooManyEntries { limit: 1 }),
        "{entries}"
    );
    let unpacked = refused(Limits {
        unpacked: 13,
        ..Limits::default()
    });
    assert!(
        matches!(unpacked, ArchiveError::TooLargeUnpacked { limit: 13 }),
        "{unpacked}"
    );
    let packed = refused(Limits {
        packed: zip.len() as u64 - 1,
        ..Limits::default()
    });
    assert!(
        matches!(packed, ArchiveError::TooLargePacked { .. }),
        "{packed}"
    );
    let root_file = refused(Limits {
        root_file: 1,
        ..Limits::default()
    });
    assert!(
        matches!(root_file, ArchiveError::RootFileTooLarge { .. }),
        "{root_file}"
    );
    let depth = refused(Limits {
        depth: 1,
        ..Limits::default()
    });
    assert!(depth.to_string().contains("nested too deeply"), "{depth}");
}
