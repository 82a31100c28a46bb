//! Pages that say which test shows something name tests that exist.
//!
//! A test is named in backticks by its crate and its path, as in `vcs url::nothing_that_looks_like_an_option_is_taken`:
//! what `cargo nextest run -p kapelle-vcs` prints, without the part behind it that tells databases and cases apart.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

fn workspace() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

fn crates() -> BTreeSet<String> {
    let folders = std::fs::read_dir(workspace().join("crates")).expect("the folder of crates");
    folders
        .map(|entry| {
            entry
                .expect("a crate")
                .file_name()
                .to_string_lossy()
                .into_owned()
        })
        .collect()
}

/// Every page for people: those at the top, and the handbook.
fn pages() -> Vec<PathBuf> {
    let folders = [workspace().to_owned(), workspace().join("docs")];
    let entries = folders
        .iter()
        .flat_map(|folder| std::fs::read_dir(folder).expect("a folder of pages"));
    entries
        .map(|entry| entry.expect("a page").path())
        .filter(|path| path.extension().is_some_and(|end| end == "md"))
        .collect()
}

/// Crate and path of each test that a page names.
fn named(page: &str, crates: &BTreeSet<String>) -> Vec<(String, String)> {
    let is_path = |text: &str| {
        let is_word = |word: &str| {
            !word.is_empty()
                && word
                    .bytes()
                    .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
        };
        text.contains("::") && text.split("::").all(is_word)
    };
    page.split('`')
        .skip(1)
        .step_by(2)
        .filter_map(|code| code.split_once(' '))
        .filter(|(name, path)| crates.contains(*name) && is_path(path))
        .map(|(name, path)| (name.to_owned(), path.to_owned()))
        .collect()
}

/// Whether a crate has a test of that path: in the file that the modules lead to, in the sources or in the tests.
fn exists(name: &str, path: &str) -> bool {
    let mut modules: Vec<&str> = path.split("::").collect();
    let function = modules.pop().unwrap_or_default();
    if modules.last() == Some(&"tests") {
        modules.pop();
    }
    let folder = workspace().join("crates").join(name);
    let below = modules.join("/");
    let files = [
        format!("tests/it/{below}.rs"),
        format!("tests/it/{below}/mod.rs"),
        format!("src/{below}.rs"),
        format!("src/{below}/mod.rs"),
    ];
    let has = |text: String| text.contains(&format!("fn {function}("));
    files
        .iter()
        .any(|file| std::fs::read_to_string(folder.join(file)).is_ok_and(has))
}

#[test]
fn every_test_that_a_page_names_exists() {
    let crates = crates();
    let mut missing = Vec::new();
    for page in pages() {
        let text = std::fs::read_to_string(&page).expect("a page of text");
        for (name, path) in named(&text, &crates) {
            if !exists(&name, &path) {
                missing.push(format!("{}: {name} {path}", page.display()));
            }
        }
    }
    assert!(missing.is_empty(), "{missing:#?}");
}

/// A row of these tables without a test would be a claim.
#[test]
fn every_lesson_and_every_fault_names_a_test() {
    let tables = [
        ("docs/security.md", "Lessons of others", 14),
        ("docs/reliability.md", "Faults", 25),
        (
            "docs/reliability.md",
            "The database, and several machines",
            15,
        ),
    ];
    for (page, section, at_least) in tables {
        let rows = rows(page, section);
        assert!(rows.len() >= at_least, "{page}, {section}: {}", rows.len());
        let crates = crates();
        let without: Vec<_> = rows
            .iter()
            .filter(|row| named(row, &crates).is_empty())
            .collect();
        assert!(without.is_empty(), "{without:#?}");
    }
}

/// The rows of the table in a section.
fn rows(page: &str, section: &str) -> Vec<String> {
    let page = std::fs::read_to_string(workspace().join(page)).expect("the page");
    let (_, section) = page
        .split_once(&format!("\n## {section}\n"))
        .expect("its section");
    let section = section.split("\n## ").next().unwrap_or_default();
    let rows = section.lines().filter(|line| line.starts_with("| "));
    rows.skip(1).map(str::to_owned).collect()
}

#[test]
fn a_name_is_found_where_its_modules_lead() {
    let crates = crates();
    let page = "See `testing named_tests::a_name_is_found_where_its_modules_lead`, `testing x`, and `cargo test`.";
    let found = named(page, &crates);
    assert_eq!(found.len(), 1);
    assert!(exists(&found[0].0, &found[0].1));
    assert!(!exists("testing", "named_tests::there_is_no_such_test"));
    assert!(!exists(
        "testing",
        "process::a_name_is_found_where_its_modules_lead"
    ));
    assert!(exists(
        "vcs",
        "text::tests::a_detail_leaves_out_tracing_and_hints"
    ));
}
