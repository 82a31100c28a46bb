//! Constraints, as requirements and advisories write them.

use kapelle_composer::constraint::{Constraint, InvalidConstraint};
use kapelle_composer::version::{MAX_LENGTH, Version};
use proptest::prelude::*;
use rstest::rstest;

fn constraint(text: &str) -> Constraint {
    Constraint::parse(text).unwrap()
}

#[rstest]
#[case("*", "*")]
#[case("v*", ">= 0.0.0.0-dev")]
#[case("x.X.x.*", ">= 0.0.0.0-dev")]
#[case(">1.0.0", "> 1.0.0.0")]
#[case("<1.2.3.4", "< 1.2.3.4-dev")]
#[case("<1.2.3.4-stable", "< 1.2.3.4")]
#[case("~1.2-b2", "[>= 1.2.0.0-beta2 < 2.0.0.0-dev]")]
#[case("~1.2.x-dev", "[>= 1.2.9999999.9999999-dev < 1.3.0.0-dev]")]
#[case("^0.0.3", "[>= 0.0.3.0-dev < 0.0.4.0-dev]")]
#[case("^0.0", "[>= 0.0.0.0-dev < 0.1.0.0-dev]")]
#[case("^2.0.x-dev", "[>= 2.0.9999999.9999999-dev < 3.0.0.0-dev]")]
#[case("0.*", "< 1.0.0.0-dev")]
#[case("1 - 2.0", "[>= 1.0.0.0-dev < 2.1.0.0-dev]")]
#[case("1.3 - 2.1.3", "[>= 1.3.0.0-dev <= 2.1.3.0]")]
#[case("foobar-dev", "== dev-foobar")]
#[case("1.0.x-dev#abc", "== 1.0.9999999.9999999-dev")]
#[case("dev-main#abc@dev", "== dev-main")]
#[case("^1.", "[>= 1.0.0.0-dev < 2.0.0.0-dev]")]
#[case("1 2,3 | 4", "[[== 1.0.0.0 == 2.0.0.0 == 3.0.0.0] || == 4.0.0.0]")]
#[case("1.1.* || 1.2.* || ^1.3", "[>= 1.1.0.0-dev < 2.0.0.0-dev]")]
#[case::quirk_of_rc(">=1.0-RC1", ">= 1.0.0.0-RC1-dev")]
#[case::flag_as_written(">1.0@DEV", "> 1.0.0.0-DEV")]
#[case::past_64_bits(
    "9223372036854775807.*",
    "[>= 9223372036854775807.0.0.0-dev < 9.2233720368548E+18.0.0.0-dev]"
)]
#[case::rounded_float(
    "99999999999999999999.*",
    "[>= 99999999999999999999.0.0.0-dev < 1.0E+20.0.0.0-dev]"
)]
#[case::leading_zeros("007.*", "[>= 007.0.0.0-dev < 8.0.0.0-dev]")]
fn a_constraint_has_a_normal_form(#[case] written: &str, #[case] form: &str) {
    assert_eq!(constraint(written).to_string(), form);
}

#[rstest]
#[case("")]
#[case(">2.0,,<=3.0")]
#[case(">2.0 ||| <=3.0")]
#[case("^1@dev ||")]
#[case("|| ^1@dev")]
#[case("^2.0.*")]
#[case("~2.x")]
#[case("1.x - 2.*")]
#[case("1.0#abcd123")]
#[case("1.0.0-meh")]
#[case("^")]
#[case("~1 ~")]
#[case("1.0  - 2.0")]
fn what_is_no_constraint_is_refused(#[case] written: &str) {
    assert!(Constraint::parse(written).is_err());
}

#[rstest]
#[case(
    "~>1.2",
    "Could not parse version constraint ~>1.2: Invalid operator \"~>\", you probably meant to use \
     the \"~\" operator"
)]
#[case(
    ">=meh",
    "Could not parse version constraint >=meh: Invalid version string \"meh\""
)]
#[case("~100000.1.2.3-b", "Invalid version string \"100000.1.2.3-b\"")]
fn a_refused_constraint_is_explained(#[case] written: &str, #[case] sentence: &str) {
    assert_eq!(
        Constraint::parse(written).unwrap_err().to_string(),
        sentence
    );
}

#[rstest]
#[case("^1.0", "1.0.0.0-beta1", true)]
#[case("^1.0", "2.0.0.0-dev", false)]
#[case("^1.0", "dev-main", false)]
#[case("!=1.0", "dev-main", true)]
#[case("!=dev-main", "dev-main", false)]
#[case("dev-main", "dev-main", true)]
#[case("dev-main", "dev-Main", false)]
#[case(">=dev-main", "dev-main", false)]
#[case("*", "dev-main", true)]
#[case("v*", "dev-main", false)]
#[case("1.0", "01.0.0.0", true)]
#[case("^1 || ^3", "3.4.0.0", true)]
#[case("^1 !=1.5", "1.5.0.0", false)]
fn a_constraint_matches(#[case] written: &str, #[case] version: &str, #[case] expected: bool) {
    let version = Version::from_normalized(version);
    assert_eq!(constraint(written).matches(&version), expected);
}

#[rstest]
#[case("^1", ">=1.5 <3", true)]
#[case("^1", "^2", false)]
#[case(">1 <2", "<1 || >2", false)]
#[case("!=1.0", "1.0.0", false)]
#[case("<=1.0", ">1.0", false)]
#[case("<=1.0", ">=1.0", true)]
#[case("dev-main", "!=1.0", true)]
#[case("dev-main", "dev-main || ^1", true)]
#[case("dev-main", "!=dev-main", false)]
#[case("dev-main || dev-x", "!=dev-main", true)]
#[case("dev-main", ">=0", false)]
#[case("*", "dev-main", true)]
#[case("^1 ^2", "^1", false)]
#[case("!=dev-a", "!=dev-b", true)]
#[case("<0@DEV", ">=0@DEV", false)]
fn constraints_intersect(#[case] a: &str, #[case] b: &str, #[case] expected: bool) {
    let (a, b) = (constraint(a), constraint(b));
    assert_eq!(a.intersects(&b), expected);
    assert_eq!(b.intersects(&a), expected);
}

#[test]
fn an_intersection_can_be_written_down() {
    let anything = Constraint::anything();
    assert_eq!(anything, constraint("*"));
    assert_eq!(anything.intersect(&anything), anything);
    assert_eq!(anything.intersect(&constraint("1.0")), constraint("1.0"));
    let both = constraint("^1").intersect(&constraint("!=1.5 || dev-main"));
    assert_eq!(
        both.to_string(),
        "[>= 1.0.0.0-dev < 2.0.0.0-dev [!= 1.5.0.0 || == dev-main]]"
    );
}

#[test]
fn a_constraint_lies_between_its_bounds() {
    let bounds = constraint("^1.2 || 4.0").bounds();
    assert_eq!(bounds.lower.version.as_str(), "1.2.0.0-dev");
    assert!(bounds.lower.inclusive && !bounds.lower.is_zero());
    assert_eq!(bounds.upper.version.as_str(), "4.0.0.0");
    assert!(bounds.upper.inclusive && !bounds.upper.is_infinite());
    for unbounded in ["*", "dev-main", "!=1.0"] {
        let bounds = constraint(unbounded).bounds();
        assert!(bounds.lower.is_zero() && bounds.upper.is_infinite());
    }
}

#[test]
fn bounds_that_php_calls_the_same_number_are_one() {
    let bounds = constraint("201001.20 || 201001.2").bounds();
    assert_eq!(bounds.lower.version.as_str(), "201001.20");
}

#[test]
fn a_constraint_has_a_greatest_length() {
    let longest = vec!["!=1"; MAX_LENGTH / 4].join("|") + " ";
    let parsed = constraint(&longest);
    assert!(parsed.intersects(&parsed));
    assert!(parsed.matches(&Version::from_normalized("2.0.0.0")));
    assert_eq!(
        Constraint::parse(&(longest + " ")).unwrap_err(),
        InvalidConstraint::TooLong(MAX_LENGTH + 1)
    );
}

/// Versions around few numbers, so that they meet the constraints below.
fn near_version() -> impl Strategy<Value = Version> {
    prop_oneof![
        "[0-2](\\.[0-2]){0,3}(-(alpha|beta|RC|patch)[12]?)?(-dev)?"
            .prop_map(|text| Version::parse(&text).unwrap()),
        "[ab]".prop_map(|name| Version::branch(&name)),
    ]
}

fn near_constraint() -> impl Strategy<Value = Constraint> {
    let number = "[0-2](\\.[0-2]){0,3}(-(alpha|beta|RC|patch|dev))?";
    let part = prop_oneof![
        ("(<|<=|>|>=|!=|==|\\^|~)?", number).prop_map(|(operator, number)| operator + &number),
        "(!=|==|<)?dev-[ab]",
        "[0-2](\\.[0-2]){0,2}\\.\\*",
        (number, number).prop_map(|(from, to)| format!("{from} - {to}")),
        Just("*".to_owned()),
    ];
    let group = prop::collection::vec(part, 1..4).prop_map(|parts| parts.join(" "));
    prop::collection::vec(group, 1..4)
        .prop_map(|groups| Constraint::parse(&groups.join(" || ")).unwrap())
}

proptest! {
    #[test]
    fn an_intersection_accepts_what_both_accept(
        a in near_constraint(),
        b in near_constraint(),
        versions in prop::collection::vec(near_version(), 40),
    ) {
        let both = a.intersect(&b);
        prop_assert_eq!(a.intersects(&b), b.intersects(&a));
        for version in versions {
            let matches = a.matches(&version) && b.matches(&version);
            prop_assert_eq!(both.matches(&version), matches, "{}", version);
            prop_assert!(a.intersects(&b) || !matches, "{} in {} and {}", version, a, b);
        }
    }

    #[test]
    fn what_matches_lies_within_the_bounds(
        constraint in near_constraint(),
        versions in prop::collection::vec(near_version(), 40),
    ) {
        let bounds = constraint.bounds();
        for version in versions.iter().filter(|version| !version.is_branch()) {
            if constraint.matches(version) {
                prop_assert!(&bounds.lower.version <= version, "{} in {}", version, constraint);
                prop_assert!(version <= &bounds.upper.version, "{} in {}", version, constraint);
            }
        }
    }

    #[test]
    fn no_text_is_too_strange(
        text in prop_oneof![
            "[v0-9.x*@#+:, \\n\\-|~^<>=!adesé]{0,40}".boxed(),
            any::<String>().boxed(),
        ],
        version in near_version(),
    ) {
        if let Ok(constraint) = Constraint::parse(&text) {
            constraint.matches(&version);
            constraint.bounds();
            prop_assert!(!constraint.to_string().is_empty());
        }
    }
}
