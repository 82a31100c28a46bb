//! Which files `archive.exclude` keeps out of a dist.

use kapelle_composer::ArchiveExclude;
use rstest::rstest;
use serde_json::Value;

const DOCUMENTED: [&str; 4] = ["/foo/bar", "baz", "/*.test", "!/foo/bar/baz"];
const TESTED: [&str; 6] = [
    "prefixB.foo",
    "!/prefixB.foo",
    "/prefixA.foo",
    "prefixC.*",
    "!*/*/*/prefixC.foo",
    ".*",
];

#[rstest]
#[case(&DOCUMENTED, &["dir/foo/bar/file", "foo/bar/baz", "file.php", "foo/my.test"], &["foo/bar/any", "foo/baz", "my.test", "foo/bar"])]
#[case(&TESTED, &["prefixB.foo", "A/prefixA.foo", "B/sub/prefixC.foo"], &["A/prefixB.foo", "prefixA.foo", "A/prefixC.foo", ".foo"])]
fn patterns_mean_what_composers_documentation_and_tests_say(
    #[case] patterns: &[&str],
    #[case] kept: &[&str],
    #[case] excluded: &[&str],
) {
    let exclude = ArchiveExclude::new(patterns);
    for path in kept {
        assert!(!exclude.excludes(path), "{path} is kept");
    }
    for path in excluded {
        assert!(exclude.excludes(path), "{path} is excluded");
        assert!(exclude.excludes(&format!("/{path}")), "/{path} is excluded");
    }
}

#[test]
fn composers_own_filter_gives_the_same_answers() {
    let fixture: Value =
        serde_json::from_str(include_str!("../data/archive-exclude.json")).unwrap();
    let strings = |value: &Value| -> Vec<String> { serde_json::from_value(value.clone()).unwrap() };
    let paths = strings(&fixture["paths"]);
    let mut differences = Vec::new();
    for case in fixture["cases"].as_array().unwrap() {
        let patterns = strings(&case[0]);
        let exclude = ArchiveExclude::new(&patterns);
        let Some(answers) = case[1].as_str() else {
            if exclude.ignored() != patterns {
                differences.push(format!("{patterns:?} should be ignored"));
            }
            continue;
        };
        for (path, answer) in paths.iter().zip(answers.chars()) {
            if exclude.excludes(path) != (answer == '1') {
                differences.push(format!("{patterns:?} {path:?}: Composer says {answer}"));
            }
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

#[test]
fn a_pattern_that_cannot_be_compiled_leaves_the_others_alone() {
    let exclude = ArchiveExclude::new(["/tests", "a}b", "[z-a]", "{x", "x\0"]);
    assert!(exclude.excludes("tests/a.php"));
    assert_eq!(exclude.ignored(), ["a}b", "[z-a]", "{x", "x\0"]);
}

#[test]
fn endless_pattern_lists_are_cut_and_reported() {
    let patterns = std::iter::repeat_n("tests".to_owned(), 300).chain(["x".repeat(2000)]);
    let exclude = ArchiveExclude::new(patterns);
    assert_eq!(exclude.ignored().len(), 45);
    assert!(exclude.excludes("tests"));
}

/// A backtracking matcher would need longer than the universe has.
#[test]
fn a_pattern_cannot_make_matching_slow() {
    let exclude = ArchiveExclude::new([
        format!("/{}b", "*a".repeat(200)),
        format!("{}b", "{a,{a,*}}".repeat(50)),
    ]);
    assert!(!exclude.excludes(&format!("{}c", "a".repeat(3000))));
}
