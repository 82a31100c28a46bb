//! Random trees, written and read again.

use std::collections::BTreeMap;
use std::io::{Cursor, Read};

use proptest::prelude::*;

use crate::world::{Tar, composer_json, dist};

#[derive(Clone, Debug)]
enum Node {
    File(Vec<u8>, bool),
    Link(String),
}

/// Trees in which no name is both a file and a directory: files are called `f…`, directories `d…`.
fn trees() -> impl Strategy<Value = BTreeMap<String, Node>> {
    let directory = proptest::string::string_regex("(d[a-zä.-]{0,3}/){0,3}").unwrap();
    let name = || proptest::string::string_regex("f[a-z0-9 _.ß-]{0,8}").unwrap();
    let content =
        prop::collection::vec(prop::sample::select(vec![0_u8, b'a', b'b', 0xff]), 0..5000);
    let node = prop_oneof![
        4 => (content, any::<bool>()).prop_map(|(content, mode)| Node::File(content, mode)),
        1 => name().prop_map(Node::Link),
    ];
    let path = (directory, name()).prop_map(|(directory, name)| directory + &name);
    prop::collection::btree_map(path, node, 0..24)
}

fn tar_of<'a>(tree: impl Iterator<Item = (&'a String, &'a Node)>) -> Vec<u8> {
    let add = |tar: Tar, (path, node): (&String, &Node)| match node {
        Node::File(content, false) => tar.file(path, content),
        Node::File(content, true) => tar.executable(path, content),
        Node::Link(target) => tar.link(path, target),
    };
    tree.fold(Tar::new(), add).finish()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_tree_comes_back_as_it_was(tree in trees()) {
        let (zip, report) = dist(&tar_of(tree.iter())).unwrap();
        prop_assert_eq!(&dist(&tar_of(tree.iter().rev())).unwrap().0, &zip);
        let mut archive = zip::ZipArchive::new(Cursor::new(&zip)).unwrap();
        prop_assert_eq!(archive.len() as u64, report.entries);
        let mut found = 0;
        for index in 0..archive.len() {
            let mut entry = archive.by_index(index).unwrap();
            let name = entry.name().unwrap().into_owned();
            let path = name.strip_prefix("acme-util-1a2b3c/").unwrap();
            let Some(node) = tree.get(path) else {
                prop_assert!(entry.is_dir(), "{}", name);
                continue;
            };
            found += 1;
            let mode = entry.unix_mode();
            let mut content = Vec::new();
            entry.read_to_end(&mut content).unwrap();
            match node {
                Node::File(expected, executable) => {
                    prop_assert_eq!(&content, expected);
                    let expected = if *executable { 0o100_755 } else { 0o100_644 };
                    prop_assert_eq!(mode, Some(expected));
                }
                Node::Link(target) => {
                    prop_assert_eq!(content, target.as_bytes());
                    prop_assert_eq!(mode, Some(0o120_777));
                }
            }
        }
        prop_assert_eq!(found, tree.len());
    }

    #[test]
    fn our_own_strict_reader_accepts_what_we_write(tree in trees()) {
        let tar = tar_of(tree.iter());
        let manifest = Tar::new().file("composer.json", "{}").finish();
        let both = [&manifest[..manifest.len() - 1024], &tar].concat();
        let (zip, report) = dist(&both).unwrap();
        if report.case_collisions == 0 {
            let found = composer_json(&zip).unwrap();
            prop_assert_eq!(found.path, "acme-util-1a2b3c/composer.json");
            prop_assert_eq!(found.entries, report.entries);
            prop_assert_eq!(found.unpacked_bytes, report.unpacked_bytes);
        }
    }

    #[test]
    fn no_garbage_makes_the_readers_panic(
        mut bytes in prop::collection::vec(any::<u8>(), 0..600),
        kind in 0..4,
        flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..8),
    ) {
        let tar = Tar::new().file("composer.json", "{}").link("l", "composer.json").finish();
        match kind {
            0 => bytes.splice(0..0, *b"PK\x03\x04").for_each(drop),
            1 => bytes.splice(0..0, [0x1f, 0x8b, 8]).for_each(drop),
            2 => bytes = tar,
            _ => bytes = dist(&tar).unwrap().0,
        }
        for (at, value) in flips {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        if let Err(error) = composer_json(&bytes) {
            prop_assert!(!error.to_string().is_empty());
        }
        if let Err(error) = dist(&bytes) {
            prop_assert!(!error.to_string().is_empty());
        }
    }
}
