//! What the handbook promises about faults is shown by tests.

use std::path::Path;

/// Page and heading of the tables whose last column names tests.
const PAGE: &str = "docs/reliability.md";
const COLUMN: &str = "shown by";

/// First and last cell of each row of the tables that end in that column.
fn promises(page: &str) -> Vec<(&str, &str)> {
    let mut rows = Vec::new();
    let mut is_ours = false;
    for line in page.lines() {
        let row = line
            .strip_prefix("| ")
            .and_then(|line| line.strip_suffix(" |"));
        let Some(row) = row else {
            // The line under the headings is no row, and not the end of the table either.
            is_ours = is_ours && line.starts_with("|-");
            continue;
        };
        let cells: Vec<&str> = row.split(" | ").collect();
        match cells.as_slice() {
            [.., last] if *last == COLUMN => is_ours = true,
            [first, .., last] if is_ours => rows.push((*first, *last)),
            _ => {}
        }
    }
    rows
}

/// Whether a cell names a test as `crate path::to::test`; that there is one is looked at with those of all pages.
fn names_a_test(cell: &str) -> bool {
    let mut codes = cell.split('`').skip(1).step_by(2);
    codes.any(|code| {
        let parts = code.split_once(' ');
        parts.is_some_and(|(_, path)| path.contains("::"))
    })
}

#[test]
fn every_fault_of_the_reliability_page_names_a_test() {
    let path = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../..")).join(PAGE);
    let page = std::fs::read_to_string(path).expect("the page is there");
    let promises = promises(&page);
    assert!(promises.len() >= 20, "{} rows in {PAGE}", promises.len());
    let without: Vec<_> = promises
        .iter()
        .filter(|(_, tests)| !names_a_test(tests))
        .collect();
    assert!(without.is_empty(), "{without:#?}");
}

#[test]
fn a_row_without_a_test_is_noticed() {
    let page = "| fault | shown by |\n|---|---|\n| a | `x y::z` |\n| b | luck |\n\n| c | d |\n|---|---|\n| e | f |\n";
    let rows = promises(page);
    assert_eq!(rows, [("a", "`x y::z`"), ("b", "luck")]);
    assert!(names_a_test(rows[0].1) && !names_a_test(rows[1].1));
}
