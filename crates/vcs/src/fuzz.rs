//! Fuzz targets of the parsers of what git and ssh print.

use std::process::Command;

use kapelle_testing::fuzz::{Script, bytes, check, text};

use crate::attributes::Attributes;
use crate::host_key::HostKey;
use crate::listing::{Lines, Listing};
use crate::object::{Commit, entries};
use crate::objects::header_of;
use crate::oid::Oid;
use crate::pattern::Pattern;
use crate::read::{check_path, commit_time, contents_of, object};
use crate::refs::packed_refs;
use crate::tree::{Modes, TreeSummary};
use crate::{Protocols, RepositoryUrl, VcsError, refname, text as said};

const OID: &str = "1111111111111111111111111111111111111111";
const LISTING: &str = "ref: refs/heads/main\tHEAD\n1111111111111111111111111111111111111111\tHEAD\n\
    1111111111111111111111111111111111111111\trefs/heads/main\n2222222222222222222222222222222222222222\trefs/heads/a/b\n\
    3333333333333333333333333333333333333333\trefs/tags/1.0.0\n1111111111111111111111111111111111111111\trefs/tags/1.0.0^{}\n\
    4444444444444444444444444444444444444444\trefs/pull/1/head\n";
const WORDS: &[&str] = &[
    "\n",
    "\t",
    " ",
    "\r",
    "\0",
    "\u{1b}[31m",
    "\u{202e}",
    "^{}",
    "refs/heads/",
    "refs/tags/",
    "refs/",
    "HEAD",
    "ref: ",
    "/",
    "..",
    ".lock",
    "@{",
    "~",
    "^",
    ":",
    "?",
    "*",
    "[",
    "\\",
    "-",
    "--upload-pack=x",
    ".",
    "@",
    OID,
    "0000000000000000000000000000000000000000",
    "1111111111111111111111111111111111111111111111111111111111111111",
    "é",
    "$(id)",
    "blob",
    "missing",
];

fn listed(input: &[u8], piece: usize, limit: usize) -> Result<Listing, VcsError> {
    let url = RepositoryUrl::parse("https://git.example.org/acme/lib", &Protocols::default())
        .expect("an ordinary URL");
    let mut lines = Lines::new(&url, limit);
    input
        .chunks(piece)
        .try_for_each(|piece| lines.feed(piece))?;
    Ok(lines.finish())
}

#[test]
fn a_listing_holds_only_what_can_be_mirrored_whatever_the_pieces() {
    const LIMIT: usize = 50;
    check!()
        .with_generator((bytes([LISTING], WORDS), 1..200_usize))
        .for_each(|(input, piece): &(Vec<u8>, usize)| {
            let whole = listed(input, input.len().max(1), LIMIT);
            let pieces = listed(input, *piece, LIMIT);
            match (&whole, &pieces) {
                (Ok(whole), Ok(pieces)) => assert_eq!(whole, pieces),
                // A line that is too long is refused as soon as it is seen to be, which depends on the pieces.
                _ => assert!(
                    whole.is_err() || input.len() > 8 * 1024,
                    "{whole:?} {pieces:?}"
                ),
            }
            let Ok(listing) = whole else { return };
            for (name, oid) in &listing.refs {
                assert_eq!(refname::check(name), Ok(()));
                assert!(refname::is_oid(oid), "{oid}");
                let taken = |other: &str| listing.refs.contains_key(other);
                assert_eq!(refname::blocked_by(name, taken), None);
            }
            assert!(listing.refs.len() + listing.rejected.len() <= LIMIT);
            for (name, _) in &listing.rejected {
                assert!(
                    !name.contains(said::is_invisible) && name.len() <= 1000,
                    "{name:?}"
                );
            }
            let branch = listing
                .default_branch
                .map(|branch| format!("refs/heads/{branch}"));
            assert!(branch.is_none_or(|name| refname::check(&name).is_ok()));
        });
}

#[test]
fn entries_of_a_tree_are_those_that_are_written() {
    let seed = [
        b"100644 a\0".as_slice(),
        &[1; 20],
        b"40000 b\0",
        &[2; 20],
        b"160000 c\0",
        &[3; 20],
    ]
    .concat();
    let words = &[
        "100644 ",
        "40000 ",
        "120000 x\0",
        "160000 ",
        "100755 ",
        "0",
        " ",
        "\0",
        ".git",
        "..",
        "/",
    ];
    check!()
        .with_generator(bytes([seed], words))
        .for_each(|tree: &Vec<u8>| {
            let mut used = 0;
            for entry in entries(tree) {
                let Some(entry) = entry else { return };
                assert!(!entry.name.is_empty() && !entry.name.contains(&0));
                let written = tree[used..].windows(entry.name.len() + 1);
                let at = written
                    .clone()
                    .position(|it| it == [entry.name, b"\0"].concat());
                used += at.expect("its name stands there") + entry.name.len() + 1 + Oid::LENGTH;
            }
            assert_eq!(used, tree.len());
        });
}

#[test]
fn the_head_of_a_commit_is_read_within_the_calendar() {
    let seed = format!(
        "tree {OID}\nparent {OID}\nauthor A <a@b> 1700000000 +0000\ncommitter B <b> 1700000001 -0100\n\nmessage\n"
    );
    let words = &[
        "author ",
        "committer ",
        "tree ",
        "\n",
        "\n\n",
        "<",
        ">",
        " ",
        "-",
        "+",
        "99999999999999999999",
        "\0",
        OID,
    ];
    check!()
        .with_generator(bytes([seed.as_str()], words))
        .for_each(|head: &Vec<u8>| {
            let Some(commit) = Commit::parse(head) else {
                return;
            };
            assert!(head.starts_with(format!("tree {}", commit.tree).as_bytes()));
            for time in [commit.time.authored, commit.time.committed] {
                assert!((0..=253_402_300_799_000).contains(&time), "{time}");
            }
        });
}

#[test]
fn what_is_said_of_an_object_is_said_of_that_object() {
    let lines = [
        format!("{OID} blob 12"),
        format!("{OID} missing"),
        format!("{OID} tag 0"),
    ];
    check!()
        .with_generator(text(lines, WORDS))
        .for_each(|line: &String| {
            let Ok(found) = header_of(line, OID) else {
                return;
            };
            let said = line.strip_prefix(OID).expect("said of that object");
            assert_eq!(found.is_none(), said == " missing", "{line:?}");
        });
}

#[test]
fn attributes_are_judged_the_same_however_often_they_are_said() {
    let files = [
        "/tests export-ignore\n*.md export-ignore diff\nREADME.md -export-ignore\n",
        "* text=auto eol=lf\n/docs/** export-ignore\n",
    ];
    let words = &[
        "export-ignore",
        "-export-ignore",
        "!",
        "*",
        "**",
        "**/",
        "/",
        "?",
        "[",
        "\\",
        "\"",
        "#",
        " ",
        "\t",
        "\r",
        "\n",
        "=",
        "a",
    ];
    check!()
        .with_generator((
            bytes(files, words),
            text(["tests/a", "README.md", "docs/a/b.md", "a"], words),
        ))
        .for_each(|(file, path): &(Vec<u8>, String)| {
            let Some(once) = Attributes::parse(file) else {
                return;
            };
            let twice = Attributes::parse(&[file.as_slice(), b"\n", file].concat())
                .expect("it was fine once");
            for is_folder in [false, true] {
                let said = once.ignores(path.as_bytes(), is_folder);
                assert_eq!(twice.ignores(path.as_bytes(), is_folder), said);
            }
        });
}

#[test]
fn a_pattern_without_signs_matches_itself_and_stars_match_more() {
    let words = &["*", "**", "**/", "/**", "/", "?", "a", "b", "!", "[", "é"];
    check!()
        .with_generator((
            text(["a/b", "/a/*.md", "**/a", "a/**/b", "docs/"], words),
            text(["a/b", "x/a", "a"], words),
        ))
        .for_each(|(pattern, path): &(String, String)| {
            let Some(parsed) = Pattern::parse(pattern) else {
                return;
            };
            let matched = parsed.matches(path.as_bytes(), true);
            if !pattern.contains(['*', '?']) {
                let plain = pattern.trim_start_matches('/').trim_end_matches('/');
                assert!(parsed.matches(plain.as_bytes(), true), "{pattern:?}");
                assert!(!matched || path.ends_with(plain), "{pattern:?} {path:?}");
            }
            if matched
                && let Some(wider) = pattern
                    .split_once('?')
                    .map(|(before, after)| format!("{before}*{after}"))
                && let Some(wider) = Pattern::parse(&wider)
            {
                assert!(wider.matches(path.as_bytes(), true), "{pattern:?} {path:?}");
            }
        });
}

/// Each input asks git, so these are few.
#[test]
fn git_takes_every_name_that_we_take() {
    let names = [
        "main",
        "v1.0.0",
        "feature/#1&2",
        "a;b",
        "@",
        "-f",
        "a/b/c.d",
    ];
    check!()
        .with_generator(text(names, WORDS))
        .for_each(|short: &String| {
            let name = format!("refs/tags/{short}");
            if refname::check(&name).is_ok() {
                let judged = Command::new("git")
                    .args(["check-ref-format", &name])
                    .status();
                assert!(judged.expect("git runs").success(), "{name:?}");
            }
        });
}

#[test]
fn objects_are_cut_out_exactly_or_the_answer_is_refused() {
    let answer = format!("{OID} blob 3\nabc\n{OID} blob 0\n\n{OID} blob 12\n{OID} blob\n\n");
    check!()
        .with_generator(bytes([answer.as_str(), "x missing\n"], WORDS))
        .for_each(|input: &Vec<u8>| {
            let Ok(contents) = contents_of(input.clone().into()) else {
                return;
            };
            let used: usize = contents
                .iter()
                .map(|(oid, content)| {
                    assert!(refname::is_oid(oid));
                    content.len() + OID.len()
                })
                .sum();
            assert!(used <= input.len());
        });
}

#[test]
fn lines_of_git_are_read_or_passed_over() {
    let lines = [
        format!("{OID} blob 12"),
        format!("{OID} 1700000000 -1"),
        format!("{OID} refs/tags/1.0.0^{{}}"),
        "git.example.org ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl".to_owned(),
    ];
    check!()
        .with_generator(text(lines, WORDS))
        .for_each(|line: &String| {
            assert!(object(line).is_none_or(|object| refname::is_oid(&object.oid)));
            if let Some((_, time)) = commit_time(line) {
                assert!(time.authored >= 0 && time.committed <= 253_402_300_799_000);
            }
            for name in packed_refs(line.as_bytes()).unwrap_or_default().keys() {
                assert!(name.starts_with("refs/") && !name.contains('\n'));
            }
            if let Some(written) = HostKey::from_line(line).and_then(|key| key.to_line()) {
                assert!(
                    !written.contains(['\n', '\r']) && !written.starts_with('#'),
                    "{written:?}"
                );
            }
            if check_path(line).is_ok() {
                assert!(
                    !line.starts_with('/')
                        && !line.contains('\n')
                        && !line.split('/').any(|part| part == "..")
                );
            }
        });
}

#[test]
fn entries_of_a_tree_are_counted_whatever_the_pieces() {
    let modes = "100644\n040000\n160000\n120000\n100755\n";
    check!()
        .with_generator((bytes([modes], &["\n", "040000", "160000\n"]), 1..64_usize))
        .for_each(|(input, piece): &(Vec<u8>, usize)| {
            let count = |piece: usize| -> TreeSummary {
                let mut modes = Modes::default();
                input.chunks(piece).for_each(|piece| modes.feed(piece));
                modes.summary
            };
            let lines = input.split(|byte| *byte == b'\n').count() - 1;
            assert_eq!(count(*piece), count(1));
            assert_eq!(count(1).entries(), lines as u64);
        });
}

#[test]
fn what_git_says_is_shown_without_secrets_and_escapes() {
    let seeds = [
        "\u{1b}[31mfatal:\u{1b}[0m bad s3cret\r\nhint: try\n",
        "remote: \u{1b}]0;title\u{7}s3cret",
    ];
    check!()
        .with_generator(bytes(
            seeds,
            &["s3cret", "\u{1b}", "[", "\u{9b}", "m", "\r", "s3", "cret"],
        ))
        .for_each(|input: &Vec<u8>| {
            let mut script = Script::new(input);
            let cut = script.below(input.len() + 1);
            for piece in [&input[..], &input[cut..]] {
                let shown = said::clean(piece, &["s3cret".to_owned()]);
                assert!(
                    shown.chars().all(|c| c == '\n' || !c.is_control()),
                    "{shown:?}"
                );
                assert!(!shown.contains("s3cret"), "{shown:?}");
                assert!(said::detail(&shown).chars().count() <= 1000);
            }
        });
}
