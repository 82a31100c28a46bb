//! Versions, as people write them and as Composer orders them.

use std::cmp::Ordering;

use kapelle_composer::version::{
    InvalidVersion, MAX_LENGTH, Stability, Version, branch_alias, compare, normalize,
    normalize_branch, normalized_branch_alias, numeric_alias_prefix,
};
use proptest::prelude::*;
use rstest::rstest;
use serde_json::{Map, Value, json};

/// Any version that Composer normalizes to numbers, written plainly.
const PLAIN: &str =
    "v?[0-9]{1,3}(\\.[0-9]{1,3}){0,3}(-(alpha|beta|RC|patch)([0-9]{1,2}(\\.[0-9])?)?)?(-dev)?";
/// What Composer can be asked about, mostly nonsense.
const NONSENSE: &str = "[v0-9.x*@#+:, \\n\\-_|~^<>=!adeiprtsRCé]{0,40}";

fn version(text: &str) -> Version {
    Version::parse(text).unwrap()
}

fn aliases(map: &Value) -> Map<String, Value> {
    map.as_object().unwrap().clone()
}

#[rstest]
#[case::quirk_of_upper_case_stable("1.0.0-STABLE", "1.0.0.0-stable")]
#[case::stable_hides_dev("1.0-stable-dev", "1.0.0.0")]
#[case::trailing_separator("1.0.0-", "1.0.0.0")]
#[case::separators_of_a_date_and_its_modifier("2010-01-02--dev", "2010.01.02-dev")]
#[case::digits_without_limit("1.99999999999999999999", "1.99999999999999999999.0.0")]
#[case::branch_on_the_last_line("a\n2-dev", "2.9999999.9999999.9999999-dev")]
#[case::alias("1.2 as 3.4", "1.2.0.0")]
#[case::stability_flag("1.2@Beta", "1.2.0.0")]
#[case::build_metadata("1.2+a.b", "1.2.0.0")]
#[case::known_branch("trunk", "dev-trunk")]
#[case::branch_prefix_in_any_case("DEV-Feature", "dev-Feature")]
#[case::not_ascii("dev-é\u{1f3b5}", "dev-é\u{1f3b5}")]
fn a_version_normalizes(#[case] written: &str, #[case] normalized: &str) {
    assert_eq!(normalize(written).unwrap(), normalized);
}

#[rstest]
#[case("")]
#[case("main")]
#[case("1.0.0-meh")]
#[case("1.0.0.0.0")]
#[case("1.2.3.4.5-dev")]
#[case("100000.0.0.0")]
#[case("1.0.x")]
#[case("20100102.0.3.4")]
#[case("2023013.0.0")]
#[case("١.٠")]
fn what_is_no_version_is_refused(#[case] written: &str) {
    let error = normalize(written).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("Invalid version string \"{written}\"")
    );
}

#[rstest]
#[case(
    "foo as 1.0",
    "Invalid version string \"foo as 1.0\" in \"foo as 1.0\", the alias source must be an exact \
     version, if it is a branch name you should prefix it with dev-"
)]
#[case(
    "foo as foo@dev",
    "Invalid version string \"foo as foo@dev\" in \"foo as foo@dev\", the alias must be an exact \
     version"
)]
fn a_refused_alias_is_explained(#[case] written: &str, #[case] sentence: &str) {
    assert_eq!(normalize(written).unwrap_err().to_string(), sentence);
}

#[test]
fn a_version_has_a_greatest_length() {
    let longest = format!("1.{}", "0".repeat(MAX_LENGTH - 2));
    assert!(normalize(&longest).is_ok());
    let error = normalize(&(longest + "0")).unwrap_err();
    assert_eq!(error, InvalidVersion::TooLong(MAX_LENGTH + 1));
}

#[rstest]
#[case("1.0", "1.0.9999999.9999999-dev")]
#[case(" v1.X.2 ", "1.9999999.2.9999999-dev")]
#[case("1.2.3.4", "1.2.3.4-dev")]
#[case("1.2.3.4.5", "dev-1.2.3.4.5")]
#[case("dev-foo", "dev-dev-foo")]
fn a_branch_normalizes(#[case] name: &str, #[case] normalized: &str) {
    assert_eq!(normalize_branch(name), normalized);
}

#[rstest]
#[case("1.0", Stability::Stable)]
#[case("1.0-p1", Stability::Stable)]
#[case("1.0.0-rc.1+build", Stability::Rc)]
#[case("1.0b2", Stability::Beta)]
#[case("1.0-alpha#dev", Stability::Alpha)]
#[case("1.0-RC1-dev", Stability::Dev)]
#[case("dev-main#abc", Stability::Dev)]
#[case("DEV-main", Stability::Stable)]
fn a_stability_is_read_from_a_version(#[case] written: &str, #[case] stability: Stability) {
    assert_eq!(Stability::of(written), stability);
}

#[test]
fn stabilities_have_names_and_an_order() {
    let all = ["dev", "alpha", "beta", "RC", "stable"];
    let parsed = all.map(|name| name.to_lowercase().parse::<Stability>().unwrap());
    assert!(parsed.is_sorted());
    assert_eq!(parsed.map(Stability::as_str), all);
    assert_eq!(
        "rc1".parse::<Stability>().unwrap_err().to_string(),
        "Invalid stability string \"rc1\", expected one of stable, RC, beta, alpha or dev"
    );
}

#[rstest]
#[case("0.x-dev", Some("0."))]
#[case("1.2-dev", Some("1.2."))]
#[case("1.X-DEV", Some("1."))]
#[case("v1.x-dev", None)]
#[case("1.x", None)]
#[case("dev-main", None)]
fn a_numeric_branch_has_a_prefix(#[case] branch: &str, #[case] prefix: Option<&str>) {
    assert_eq!(numeric_alias_prefix(branch).as_deref(), prefix);
}

#[rstest]
#[case("dev-master", false, json!({"dev-master": "1.0.x-dev"}), Some("1.0.x-dev"))]
#[case("dev-master", false, json!({"DEV-Master": "1.0-dev"}), Some("1.0.x-dev"))]
#[case("4.x-dev", false, json!({"4.x-dev": "4.0.x-dev"}), Some("4.0.x-dev"))]
#[case("4.x-dev", false, json!({"4.x-dev": "4.0-dev"}), Some("4.0.x-dev"))]
#[case("4.x-dev", false, json!({"4.x-dev": "3.4.x-dev"}), None)]
#[case("dev-main", true, json!({}), Some("9999999-dev"))]
#[case("dev-main", false, json!({}), None)]
#[case("dev-main", false, json!({"dev-main": "9999999-dev"}), Some("9999999-dev"))]
#[case("2.x-dev", true, json!({}), None)]
#[case("v2.x-dev", true, json!({}), None)]
#[case("dev-main", true, json!({"dev-main": "1.0"}), Some("9999999-dev"))]
#[case("dev-main", false, json!({"dev-main": "foo-dev"}), None)]
#[case("dev-main", false, json!({"dev-main": ["1.0.x-dev"]}), None)]
#[case("1.0", true, json!({"1.0": "1.0.x-dev"}), None)]
fn a_branch_has_an_alias(
    #[case] version: &str,
    #[case] default_branch: bool,
    #[case] map: Value,
    #[case] alias: Option<&str>,
) {
    let found = branch_alias(version, default_branch, &aliases(&map));
    assert_eq!(found.as_deref(), alias);
}

#[test]
fn an_alias_is_known_in_its_normalized_form_too() {
    let map = aliases(&json!({"dev-main": "1.2-dev"}));
    let alias = normalized_branch_alias("dev-main", false, &map);
    assert_eq!(alias.as_deref(), Some("1.2.9999999.9999999-dev"));
}

#[test]
fn versions_sort_as_composer_sorts_them() {
    let mut sorted = [
        "20240101",
        "9999999-dev",
        "2.0.0",
        "1.x-dev",
        "1.10.0",
        "1.9.0",
        "1.0.x-dev",
        "1.0.0-p1",
        "1.0.0",
        "1.0.0-RC1",
        "1.0.0-beta1",
        "1.0.0-alpha1",
        "1.0.0-dev",
        "dev-main",
        "dev-foo",
    ]
    .map(version);
    let expected = sorted.clone();
    sorted.sort();
    sorted.reverse();
    assert_eq!(sorted, expected);
}

#[rstest]
#[case::leading_zeros("1.0.0.0", "01.00.0.0", Ordering::Equal)]
#[case::past_64_bits(
    "1.9223372036854775807.0.0",
    "1.99999999999999999999.0.0",
    Ordering::Equal
)]
#[case::below(
    "1.9223372036854775806.0.0",
    "1.9223372036854775807.0.0",
    Ordering::Less
)]
#[case::shorter("20100102", "20100102.0", Ordering::Less)]
#[case::unknown_words("1.0.0.0-foo", "1.0.0.0-meh", Ordering::Equal)]
#[case::branches("dev-a", "dev-b", Ordering::Equal)]
#[case::branch_and_number("dev-a", "0.0.0.0-dev", Ordering::Less)]
#[case::nothing("", "1", Ordering::Less)]
fn normalized_text_compares_as_in_php(#[case] a: &str, #[case] b: &str, #[case] order: Ordering) {
    assert_eq!(compare(a, b), order);
    assert_eq!(compare(b, a), order.reverse());
}

#[test]
fn a_version_knows_what_it_is() {
    let branch = Version::branch("main");
    assert_eq!(branch.as_str(), "dev-main");
    assert!(branch.is_branch() && branch.is_dev());
    let numeric = Version::branch("1.0");
    assert!(!numeric.is_branch() && numeric.is_dev());
    assert!(!version("1.0-beta").is_dev());
    assert_eq!(version("1.0-beta").stability(), Stability::Beta);
    assert_eq!(Version::from_normalized("1.0.0.0"), version("1"));
}

fn any_version() -> impl Strategy<Value = Version> {
    prop_oneof![
        6 => PLAIN.prop_map(|text| version(&text)),
        1 => "20[0-9]{2}-?[01][0-9](\\.[0-9]{1,2}){0,2}".prop_map(|text| version(&text)),
        1 => "[a-z0-9/.]{0,4}".prop_map(|name| Version::branch(&name)),
        1 => NONSENSE.prop_map(|text| Version::from_normalized(&text)),
    ]
}

proptest! {
    #[test]
    fn versions_are_totally_ordered(a in any_version(), b in any_version(), c in any_version()) {
        prop_assert_eq!(a.cmp(&b), b.cmp(&a).reverse());
        prop_assert_eq!(a.cmp(&b) == Ordering::Equal, a == b);
        if a <= b && b <= c {
            prop_assert!(a <= c);
        }
    }

    #[test]
    fn the_order_of_numbers_refines_phps(a in PLAIN, b in PLAIN) {
        let (a, b) = (version(&a), version(&b));
        let php = compare(a.as_str(), b.as_str());
        prop_assert!(php == Ordering::Equal || php == a.cmp(&b));
    }

    #[test]
    fn normalizing_twice_changes_nothing(text in PLAIN) {
        let once = normalize(&text).unwrap();
        prop_assert_eq!(normalize(&once).unwrap(), once);
    }

    #[test]
    fn a_numeric_branch_is_a_version_too(name in "v?[0-9]{1,3}(\\.([0-9]{1,3}|x)){0,3}") {
        let branch = normalize_branch(&name);
        prop_assert_eq!(normalize(&branch).unwrap(), branch.clone());
        prop_assert_eq!(normalize(&format!("{name}-dev")).unwrap().ends_with("-dev"), true);
    }

    #[test]
    fn no_text_is_too_strange(text in prop_oneof![NONSENSE.boxed(), any::<String>().boxed()]) {
        let branch = Version::branch(&text);
        prop_assert!(branch.as_str().starts_with("dev-") || branch.as_str().ends_with("-dev"));
        prop_assert_eq!(branch.stability(), Stability::Dev);
        if let Ok(parsed) = Version::parse(&text) {
            prop_assert_eq!(parsed.cmp(&parsed), Ordering::Equal);
        }
        Stability::of(&text);
        numeric_alias_prefix(&text);
    }
}
