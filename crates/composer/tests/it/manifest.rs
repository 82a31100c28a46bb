//! Reading and judging a composer.json.

use insta::assert_snapshot;
use kapelle_composer::{Abandoned, InvalidJson, Limits, Link, Manifest, ManifestError};
use rstest::rstest;
use serde_json::Value;

fn manifest(json: &str) -> Manifest {
    Manifest::parse(json.as_bytes()).unwrap()
}

fn problem(json: &str) -> String {
    Manifest::parse(json.as_bytes())
        .and_then(|manifest| manifest.check())
        .unwrap_err()
        .to_string()
}

#[test]
fn unknown_keys_and_their_order_are_kept() {
    let json = r#"{"z":1,"name":"acme/lib","_comment":["x"],"a":{"y":null,"b":1.50}}"#;
    let raw = serde_json::to_string(manifest(json).raw()).unwrap();
    assert_eq!(raw, json.replace("1.50", "1.5"));
}

#[test]
fn the_last_of_two_equal_keys_counts_at_the_place_of_the_first() {
    let read = manifest(r#"{"name":"acme/old","type":"x","name":"acme/new"}"#);
    assert_eq!(read.name(), Some("acme/new"));
    assert_eq!(read.raw().keys().collect::<Vec<_>>(), ["name", "type"]);
}

#[test]
fn an_empty_list_is_an_empty_map_everywhere() {
    let read = manifest(
        r#"{"require":[],"require-dev":[],"conflict":[],"provide":[],"replace":[],"extra":[],
            "archive":[],"autoload":[],"suggest":[],"support":[],"bin":[],"keywords":[]}"#,
    );
    read.check_as("dev-main").unwrap();
    assert!(
        Link::ALL
            .iter()
            .all(|section| read.links(*section).is_empty())
    );
    assert!(read.branch_aliases().is_empty() && read.archive_excludes().is_empty());
    assert!(manifest("[]").is_empty() && manifest("{}").is_empty());
}

#[rstest]
#[case("", "composer.json is empty; it needs at least a JSON object")]
#[case(" \n", "composer.json is empty; it needs at least a JSON object")]
#[case(
    "\u{feff}{}",
    "composer.json starts with a byte order mark, which JSON forbids; save it as UTF-8 without BOM"
)]
#[case("[1]", "composer.json is a list instead of a JSON object")]
#[case("\"x\"", "composer.json is a string instead of a JSON object")]
#[case(
    "{\n  \"a\": 1,\n}",
    "composer.json is not valid JSON in line 3, column 1: trailing comma"
)]
#[case(
    "{\n  \"a\" 1}",
    "composer.json is not valid JSON in line 2, column 7: expected `:`"
)]
#[case(
    "{} x",
    "composer.json is not valid JSON in line 1, column 4: trailing characters"
)]
#[case(
    "{\"a\": \"\\ud800\"}",
    "composer.json is not valid JSON in line 1, column 14: unexpected end of hex escape"
)]
fn unreadable_json_is_explained_with_its_place(#[case] json: &str, #[case] sentence: &str) {
    assert_eq!(problem(json), sentence);
}

#[test]
fn bytes_that_are_not_utf_8_are_explained_with_their_place() {
    let error = Manifest::parse(b"{\n \"name\": \"caf\xe9\"}").unwrap_err();
    assert_snapshot!(error, @"composer.json is not UTF-8 in line 2, column 14; save it as UTF-8");
}

#[test]
fn size_and_depth_have_limits() {
    let limits = Limits {
        bytes: 40,
        depth: 3,
    };
    let parse = |json: &str| Manifest::parse_within(json.as_bytes(), limits);
    assert!(parse(r#"{"a":[[]],"b":"[[[[{{{{\"[[["}"#).is_ok());
    assert_eq!(
        parse(r#"{"a":[[[]]]}"#),
        Err(InvalidJson::TooDeep { limit: 3 }.into())
    );
    let large = format!("{{\"a\":\"{}\"}}", "x".repeat(40));
    assert_eq!(
        parse(&large),
        Err(InvalidJson::TooLarge {
            bytes: 48,
            limit: 40
        }
        .into())
    );
    let bomb = format!("{}{}", "[".repeat(500_000), "]".repeat(500_000));
    assert_snapshot!(problem(&bomb), @"composer.json is nested deeper than 64 levels; flatten it or raise the limit");
}

#[test]
fn the_views_read_what_composer_reads() {
    let read = manifest(
        r#"{"name":"acme/lib","type":"Symfony-Bundle","version":1.5,"description":"a\u001b[31m b",
            "keywords":["x",1,"y"],"archive":{"exclude":["/tests",5,"!/tests/x"]},
            "extra":{"branch-alias":{"dev-main":"1.x-dev"}},
            "require":{"Acme/B":"^1","acme/b":"^2","php":">=8"},
            "provide":{"psr/log-implementation":"1"},"replace":{"acme/x":"self.version","psr/log-implementation":"*"}}"#,
    );
    assert_eq!(read.package_name().unwrap().as_str(), "acme/lib");
    assert_eq!(read.kind(), "symfony-bundle");
    assert_eq!(read.version(), Some("1.5"));
    assert_eq!(read.description().as_deref(), Some("a[31m b"));
    assert_eq!(read.keywords(), ["x", "y"]);
    assert_eq!(read.archive_excludes(), ["/tests", "!/tests/x"]);
    assert_eq!(read.branch_aliases()["dev-main"], "1.x-dev");
    let link = |name: &str, constraint: &str| (name.to_owned(), constraint.to_owned());
    assert_eq!(
        read.links(Link::Require),
        [link("acme/b", "^2"), link("php", ">=8")]
    );
    assert_eq!(read.provided_names(), ["psr/log-implementation", "acme/x"]);
    assert_eq!(manifest("{}").kind(), "library");
}

#[rstest]
#[case(
    "{}",
    "composer.json has no \"name\"; add one such as \"vendor/project\""
)]
#[case(
    r#"{"name":null}"#,
    "composer.json has no \"name\"; add one such as \"vendor/project\""
)]
#[case(
    r#"{"name":" "}"#,
    "composer.json has no \"name\"; add one such as \"vendor/project\""
)]
#[case(
    r#"{"name":5}"#,
    "composer.json: \"name\" must be a string, but is a number"
)]
#[case(
    r#"{"name":"Acme/Lib"}"#,
    "composer.json: \"Acme/Lib\" is not a package name because of its upper-case letters; use \"acme/lib\""
)]
fn a_name_that_cannot_be_used_is_explained(#[case] json: &str, #[case] sentence: &str) {
    assert_eq!(
        manifest(json).package_name().unwrap_err().to_string(),
        sentence
    );
}

#[rstest]
#[case("true", Some(Abandoned::WithoutReplacement))]
#[case("\"acme/new\"", Some(Abandoned::ReplacedBy("acme/new".into())))]
#[case("false", None)]
#[case("\"\"", None)]
#[case("null", None)]
#[case("[]", None)]
fn abandonment_is_true_or_a_replacement(#[case] value: &str, #[case] expected: Option<Abandoned>) {
    assert_eq!(
        manifest(&format!("{{\"abandoned\":{value}}}")).abandoned(),
        expected
    );
}

#[rstest]
#[case(
    r#"{"require":"acme/b"}"#,
    r#"composer.json: "require" must be a map, but is a string"#
)]
#[case(
    r#"{"require":["acme/b"]}"#,
    r#"composer.json: "require" must be a map, but is a list"#
)]
#[case(
    r#"{"require":{"acme/b":1}}"#,
    r#"composer.json: "require.acme/b" must be a string, but is a number"#
)]
#[case(
    r#"{"replace":{"12":"*"}}"#,
    r#"composer.json: "replace" contains "12", which is not a package name; remove or correct it"#
)]
#[case(
    r#"{"require":{"a\u001b/b":"*"}}"#,
    r#"composer.json: "require" contains "a/b", which is not a package name; remove or correct it"#
)]
#[case(r#"{"require":{"a/b":"dev-\u001bx"}}"#, r#"composer.json: "require" asks for version "dev-x" of "a/b": it contains control characters; remove them"#)]
#[case(
    r#"{"bin":["a","b/../../c"]}"#,
    r#"composer.json: "bin" contains "b/../../c", which leaves the package; remove the "..""#
)]
#[case(
    r#"{"suggest":{"a/b":null}}"#,
    r#"composer.json: "suggest.a/b" must be a string, but is null"#
)]
#[case(
    r#"{"archive":{"exclude":"x"}}"#,
    r#"composer.json: "archive.exclude" must be a list, but is a string"#
)]
#[case(
    r#"{"autoload":"src"}"#,
    r#"composer.json: "autoload" must be a map, but is a string"#
)]
fn what_would_break_the_package_for_everyone_is_explained(
    #[case] json: &str,
    #[case] sentence: &str,
) {
    assert_eq!(problem(json), sentence);
}

#[test]
fn an_invalid_constraint_is_named_with_its_section_and_package() {
    let error = manifest(r#"{"conflict":{"acme/b":"~>1.2"}}"#)
        .check()
        .unwrap_err();
    assert!(matches!(
        &error,
        ManifestError::Constraint { section: Link::Conflict, name, constraint, .. }
            if name == "acme/b" && constraint == "~>1.2"
    ));
    let start = r#"composer.json: "conflict" asks for version "~>1.2" of "acme/b": "#;
    assert!(error.to_string().starts_with(start), "{error}");
}

/// The fixture is the answer of two real Composers; we refuse what either of them refuses, and in two
/// points more: terminal control characters, and nonsense in a package's links to itself.
#[test]
fn check_agrees_with_composers_loader() {
    let fixture: Value = serde_json::from_str(include_str!("../data/array-loader.json")).unwrap();
    let mut differences = Vec::new();
    for case in fixture["cases"].as_array().unwrap() {
        let json = case[0].as_str().unwrap();
        let version = case[1].as_str().unwrap();
        let tolerated = case[2].is_null() && case[3].is_null();
        let stricter = json.contains("\\u001b")
            || json.contains("\\u0000")
            || json.to_lowercase() == r#"{"replace": {"acme/lib": "junk!"}}"#;
        let ours = manifest(json).check_as(version);
        if ours.is_ok() != (tolerated && !stricter) {
            differences.push(format!("{json} as {version}: {ours:?}, Composer: {case}"));
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

#[test]
fn brackets_in_strings_do_not_nest() {
    assert_eq!(kapelle_composer::json_depth(br#"{"a":"[[[\"[["}"#), 1);
    assert_eq!(kapelle_composer::json_depth(br#"[{"a":[]},{}]"#), 3);
}
