//! Names, refs and patterns.

use std::sync::LazyLock;

use kapelle_composer::name::MAX_NAME_BYTES;
use kapelle_composer::{
    ArchiveExclude, Constraint, PackageName, branch_version, is_platform, printable, tag_matches,
    tag_version,
};
use kapelle_testing::fuzz::{check, text, texts};
use regex::Regex;

use super::{MANIFESTS, REFS, WORDS, promptly};

const NAMES: &[&str] = &[
    "/", "-", "--", "_", ".", "a", "Z", "0", "nul", "lpt9", ".json", ".JSON", " ", "\n", "\0", "é",
    "\u{212a}",
];

/// The rule as Composer's `ValidatingArrayLoader` writes it, and its exceptions.
fn is_name_by_the_book(name: &str) -> bool {
    static RULE: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"\A[a-z0-9]([_.-]?[a-z0-9]+)*/[a-z0-9](([_.]|-{1,2})?[a-z0-9]+)*\z").unwrap()
    });
    let is_device = |part: &str| {
        let (word, number) = part.split_at(part.len().min(3));
        matches!(part, "nul" | "con" | "prn" | "aux")
            || (matches!(word, "com" | "lpt") && number.len() == 1 && ("1"..="9").contains(&number))
    };
    name.len() <= MAX_NAME_BYTES
        && RULE.is_match(name)
        && name.strip_suffix(".json").is_none()
        && !name.split('/').any(is_device)
}

#[test]
fn names_are_those_that_composers_expression_accepts() {
    let seeds = [
        "acme/http-client",
        "a/b--c",
        "com1/x",
        "x/nul",
        "a/b.json",
        "Acme/HTTPClient",
        "0/0",
        "a.b_c-d/e",
    ];
    check!()
        .with_generator(text(seeds, NAMES))
        .for_each(|name: &String| {
            match promptly(|| PackageName::parse(name)) {
                Ok(parsed) => {
                    assert!(is_name_by_the_book(name), "{name:?}");
                    assert_eq!(format!("{}/{}", parsed.vendor(), parsed.project()), *name);
                }
                Err(error) => {
                    assert!(!is_name_by_the_book(name), "{name:?}: {error}");
                    assert!(
                        !error.to_string().contains(char::is_control)
                            || name.len() <= MAX_NAME_BYTES,
                        "{error:?}"
                    );
                }
            }
            let asked_for = PackageName::lookup(name).is_ok();
            assert_eq!(
                asked_for,
                is_name_by_the_book(&name.to_ascii_lowercase()),
                "{name:?}"
            );
            assert!(!(asked_for && is_platform(name)), "{name:?}");
        });
}

#[test]
fn tags_and_branches_become_versions_that_can_be_required() {
    check!()
        .with_generator((text(texts(REFS), WORDS), text(texts(REFS), WORDS)))
        .for_each(|(name, declared): &(String, String)| {
            if let Ok(branch) = promptly(|| branch_version(name)) {
                // Like Composer, we look before a `#` becomes a `+`.
                let required = Constraint::parse(&branch.normalized);
                assert!(name.contains('#') || required.is_ok(), "{branch:?}");
                assert!(!branch.version.contains('#'), "{branch:?}");
            }
            let Ok(tag) = promptly(|| tag_version(name)) else {
                return;
            };
            assert_eq!(
                kapelle_composer::version::normalize(&tag.version).as_deref(),
                Ok(&*tag.normalized),
                "{tag:?}"
            );
            let by_tag = tag.normalized.clone();
            match tag_matches(Some(declared), tag) {
                Ok(tag) => assert_eq!(tag.normalized, by_tag),
                Err(error) => assert!(!error.to_string().contains(['\u{1b}', '\r']), "{error:?}"),
            }
        });
}

#[test]
fn patterns_of_archive_exclude_cost_little_whatever_they_say() {
    const GLOBS: &[&str] = &[
        "*",
        "**",
        "/**/",
        "?",
        "[",
        "]",
        "[!a-z]",
        "[[:alpha:]]",
        "{",
        "}",
        ",",
        "{a,b}",
        "\\",
        "!",
        "/",
        ".",
        "$",
        "(",
        ")",
        "+",
        "\n",
        "\0",
        "^",
        "|",
        "é",
    ];
    let seeds = texts(include_str!("../../data/archive-exclude.json"));
    check!()
        .with_generator((text(seeds.clone(), GLOBS), text(seeds, GLOBS)))
        .for_each(|(pattern, path): &(String, String)| {
            let exclude = promptly(|| ArchiveExclude::new([pattern.as_str(), "!keep"]));
            promptly(|| exclude.excludes(path));
            assert!(exclude.ignored().len() <= 1);
            assert!(!exclude.excludes("keep"), "{pattern:?}");
        });
}

#[test]
fn nothing_printable_drives_a_terminal() {
    let words = &[
        "\u{1b}[31m",
        "\u{9b}31m",
        "\r",
        "\u{7}",
        "\u{202e}",
        "\u{2066}",
        "\u{85}",
        "\t",
        "\n",
    ];
    check!()
        .with_generator(text(texts(MANIFESTS), words))
        .for_each(|text: &String| {
            let shown = printable(text);
            let harmless = |c: char| c == '\t' || c == '\n' || !c.is_control();
            assert!(shown.chars().all(harmless), "{shown:?}");
            assert_eq!(printable(&shown), shown);
        });
}
