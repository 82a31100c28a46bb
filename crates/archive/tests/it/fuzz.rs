//! Fuzz targets: archives that somebody uploads, and trees that somebody committed.

use std::collections::HashSet;
use std::io::{Cursor, Read, Write};
use std::time::{Duration, Instant};

use flate2::Compression;
use flate2::write::GzEncoder;
use kapelle_archive::{Limits, read_root_file};
use kapelle_testing::fuzz::{Script, bytes, check, script};

use crate::world::{HandEntry, Tar, dist_with, hand_zip};

/// Small enough that nothing may take long, large enough that the seeds pass.
const LIMITS: Limits = Limits {
    entries: 50,
    unpacked: 4 << 20,
    packed: 1 << 20,
    ratio: 200,
    depth: 8,
    root_file: 64 << 10,
};
const WORDS: &[&str] = &[
    "PK\u{1}\u{2}",
    "PK\u{3}\u{4}",
    "PK\u{5}\u{6}",
    "PK\u{6}\u{6}",
    "PK\u{6}\u{7}",
    "\0",
    "\0\0\0\0\0\0\0\0",
    "../",
    "/",
    "\\",
    "./",
    "C:",
    "composer.json",
    "ustar\0",
    "ustar  \0",
    "path=",
    "linkpath=",
    "size=",
    "12 path=../x\n",
    "GNU.sparse",
    "\u{1f}\u{8b}\u{8}",
    "\u{ff}",
    "0000777\0",
    "77777777777\0",
];
/// Names that entries get, fine and not.
const NAMES: [&str; 16] = [
    "composer.json",
    "COMPOSER.JSON",
    "src/a.php",
    "src",
    "src/",
    "./src/b",
    "top/composer.json",
    "../evil",
    "/etc/passwd",
    "a\\b",
    "a//b",
    "C:/x",
    "a\0b",
    "",
    ".DS_Store",
    "ü/é",
];

fn honest() -> Vec<Vec<u8>> {
    let zip = hand_zip(&[
        HandEntry::deflated("top/composer.json", b"{\"name\":\"acme/lib\"}"),
        HandEntry::new("top/src/a.php", b"<?php"),
        HandEntry::deflated("top/src/b.php", &[b'x'; 3000]),
    ]);
    let tar = Tar::new()
        .directory("top/")
        .file("top/composer.json", "{}")
        .link("top/l", "composer.json")
        .pax(&[("path", b"top/a-long-name")])
        .file("x", "content")
        .finish();
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    gzip.write_all(&tar).unwrap();
    vec![zip, gzip.finish().unwrap(), tar]
}

/// What is accepted keeps every promise; what is not is an error and no panic, and neither takes long.
fn judge(path: &std::path::Path, archive: &[u8]) {
    std::fs::write(path, archive).unwrap();
    let start = Instant::now();
    let found = read_root_file(path, "composer.json", &LIMITS);
    assert!(
        start.elapsed() < Duration::from_secs(30),
        "took {:?}",
        start.elapsed()
    );
    match found {
        Ok(found) => {
            assert!(
                found.path == "composer.json" || found.path.ends_with("/composer.json"),
                "{found:?}"
            );
            assert!(
                found.path.matches('/').count() <= 1 && !found.path.contains(".."),
                "{found:?}"
            );
            assert!(found.entries <= LIMITS.entries && found.unpacked_bytes <= LIMITS.unpacked);
            assert!(found.content.len() as u64 <= LIMITS.root_file);
            if archive.starts_with(b"PK") {
                agree(archive, &found.content);
            }
        }
        Err(error) => assert!(!error.to_string().contains('\u{1b}'), "{error:?}"),
    }
}

/// An independent reader sees the same file in what we accepted, and unpacks nothing elsewhere.
fn agree(archive: &[u8], content: &[u8]) {
    let mut other = zip::ZipArchive::new(Cursor::new(archive)).expect("others can read it, too");
    let mut seen = false;
    for index in 0..other.len() {
        let mut entry = other.by_index(index).expect("others find the entry, too");
        let inside = entry
            .enclosed_name()
            .expect("others would unpack it inside, too");
        assert!(!inside.is_absolute());
        if inside.ends_with("composer.json") && inside.components().count() <= 2 {
            let mut read = Vec::new();
            seen |= entry.read_to_end(&mut read).is_ok() && read == content;
        }
    }
    assert!(seen, "others read another composer.json");
}

#[test]
fn a_bent_archive_is_read_whole_or_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("upload");
    check!()
        .with_generator(bytes(honest(), WORDS))
        .for_each(|archive: &Vec<u8>| judge(&path, archive));
}

#[test]
fn a_zip_put_together_at_random_is_read_whole_or_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("upload");
    check!()
        .with_generator(script())
        .for_each(|script: &Vec<u8>| {
            let mut script = Script::new(script);
            let entries: Vec<_> = (0..=script.byte() % 5)
                .map(|_| entry(&mut script))
                .collect();
            judge(&path, &hand_zip(&entries));
        });
}

fn entry(script: &mut Script<'_>) -> HandEntry {
    let name = script.one_of(&NAMES).copied().unwrap_or_default();
    let length = usize::from(script.byte() % 8);
    let times = [1, 2, 5000][usize::from(script.byte() % 3)];
    let content = script.raw(length).repeat(times);
    let mut entry = match script.byte() % 2 {
        0 => HandEntry::new(name, &content),
        _ => HandEntry::deflated(name, &content),
    };
    match script.byte() % 16 {
        0 => entry.flags = 1 << (script.byte() % 16),
        1 => entry.method = u16::from(script.byte() % 16),
        2 => {
            entry.size = entry
                .size
                .wrapping_add(u32::from(script.byte()))
                .wrapping_sub(3);
        }
        3 => entry.crc ^= u32::from(script.byte()),
        4 => entry.mode = u32::from(script.byte()) << 8 | 0o644,
        5 => entry.mode = 0o120_777,
        6 => entry.local_name = script.raw(6).to_vec(),
        7 => entry.offset = Some(u32::from(script.byte())),
        8 => entry.extra = script.raw(16).to_vec(),
        9 => entry.content.extend(script.raw(4)),
        10 => entry.size = u32::MAX,
        _ => {}
    }
    entry
}

#[test]
fn a_bent_tree_becomes_a_zip_that_stays_in_its_folder_or_nothing() {
    let trees = [
        Tar::new()
            .file("composer.json", "{}")
            .directory("src/")
            .executable("src/a", "x")
            .link("l", "src/a")
            .finish(),
        Tar::new()
            .pax(&[("path", b"a/b/c"), ("comment", b"x")])
            .file("x", "y")
            .directory("empty/")
            .finish(),
    ];
    check!()
        .with_generator(bytes(trees, WORDS))
        .for_each(|tar: &Vec<u8>| stays_inside(tar));
}

#[test]
fn a_tree_put_together_at_random_becomes_a_zip_that_stays_in_its_folder_or_nothing() {
    check!()
        .with_generator(script())
        .for_each(|script: &Vec<u8>| {
            let mut script = Script::new(script);
            let mut tar = Tar::new();
            for _ in 0..=script.byte() % 6 {
                let name = script.one_of(&NAMES).copied().unwrap_or_default();
                let target = script.one_of(&NAMES).copied().unwrap_or_default();
                tar = match script.byte() % 5 {
                    0 => tar.directory(name),
                    1 => tar.link(name, target),
                    2 => tar.pax(&[("path", target.as_bytes())]).file(name, "x"),
                    3 => tar.pax(&[("linkpath", target.as_bytes())]).link(name, "y"),
                    _ => tar.file(name, target),
                };
            }
            stays_inside(&tar.finish());
        });
}

fn stays_inside(tar: &[u8]) {
    let start = Instant::now();
    let written = dist_with(tar, &LIMITS, &|path| path.contains("excluded"));
    assert!(
        start.elapsed() < Duration::from_secs(30),
        "took {:?}",
        start.elapsed()
    );
    let Ok((zip, report)) = written else { return };
    let again = dist_with(tar, &LIMITS, &|path| path.contains("excluded")).unwrap();
    assert_eq!(
        (&again.0, &again.1),
        (&zip, &report),
        "the same tree, other bytes"
    );
    let mut archive = zip::ZipArchive::new(Cursor::new(&zip)).expect("what we write can be read");
    let mut names = HashSet::new();
    for index in 0..archive.len() {
        let entry = archive.by_index(index).expect("an entry");
        let inside = entry.enclosed_name().expect("a name that stays inside");
        assert!(
            inside.starts_with("acme-util-1a2b3c"),
            "{}",
            inside.display()
        );
        assert!(
            names.insert(inside.clone()),
            "{} is there twice",
            inside.display()
        );
    }
}
