//! Versions and constraints, against each other and against plain trying.

use std::cmp::Ordering;
use std::sync::LazyLock;

use kapelle_composer::constraint::Bound;
use kapelle_composer::version::{
    branch_alias, compare, normalize, normalize_branch, numeric_alias_prefix,
};
use kapelle_composer::{Constraint, Stability, Version};
use kapelle_testing::fuzz::{Script, check, script, text, texts};
use serde_json::{Map, Value, json};

use super::{ORACLE, WORDS, promptly};

/// The keys of one of the oracle's tables: what it was asked.
fn asked(table: &str) -> Vec<String> {
    static DATA: LazyLock<Value> = LazyLock::new(|| serde_json::from_str(ORACLE).unwrap());
    match &DATA[table] {
        Value::Object(map) => map.keys().cloned().collect(),
        Value::Array(list) => list
            .iter()
            .filter_map(|text| Some(text.as_str()?.to_owned()))
            .collect(),
        _ => panic!("the oracle has no table {table}"),
    }
}

/// Normalized versions that constraints are tried on.
static TRIED: LazyLock<Vec<Version>> = LazyLock::new(|| {
    let list = asked("versions");
    list.iter()
        .map(|text| Version::from_normalized(text))
        .collect()
});

#[test]
fn a_version_normalizes_to_something_that_stays_itself() {
    check!()
        .with_generator(text(texts(ORACLE), WORDS))
        .for_each(|text: &String| {
            let Ok(normalized) = promptly(|| normalize(text)) else {
                return;
            };
            assert!(!normalized.is_empty());
            let again = normalize(&normalized).unwrap();
            if normalized.starts_with("dev-") {
                // Composer takes one stability flag or alias off each time it reads a branch.
                assert!(normalized.starts_with(again.trim_end()), "{again:?}");
            } else {
                // A date gets its fourth number only now: `2010-01-02` is `2010.01.02`, and that `2010.01.02.0`.
                assert_eq!(normalize(&again).unwrap(), again);
            }
            assert_eq!(compare(&normalized, &normalized), Ordering::Equal);
            assert_eq!(
                Stability::of(&normalized),
                Version::parse(text).unwrap().stability()
            );
        });
}

#[test]
fn branches_and_their_aliases_are_always_versions() {
    check!()
        .with_generator(text(texts(ORACLE), WORDS))
        .for_each(|text: &String| {
            let normalized = promptly(|| normalize_branch(text));
            assert!(
                normalized.starts_with("dev-") || normalized.ends_with("-dev"),
                "{normalized:?}"
            );
            assert_eq!(Version::branch(text).as_str(), normalized);
            promptly(|| (Stability::of(text), numeric_alias_prefix(text)));
            let mut aliases = Map::new();
            aliases.insert(text.clone(), json!("1.x-dev"));
            aliases.insert("dev-main".to_owned(), json!(text));
            for version in [text, "dev-main"] {
                if let Some(alias) = promptly(|| branch_alias(version, true, &aliases)) {
                    assert!(alias.ends_with("-dev"), "{alias:?}");
                }
            }
        });
}

#[test]
fn versions_have_one_order() {
    let list = asked("normalize");
    check!()
        .with_generator(script())
        .for_each(|script: &Vec<u8>| {
            let mut script = Script::new(script);
            let mut next = || {
                let text = script.one_of(&list).unwrap();
                Version::from_normalized(
                    &normalize(text).unwrap_or_else(|_| normalize_branch(text)),
                )
            };
            let [a, b, c] = [next(), next(), next()];
            assert_eq!(a.cmp(&b), b.cmp(&a).reverse(), "{a} {b}");
            assert_eq!(a.cmp(&b) == Ordering::Equal, a == b, "{a} {b}");
            if a <= b && b <= c {
                assert!(a <= c, "{a} {b} {c}");
            }
            assert_eq!(
                compare(a.as_str(), b.as_str()),
                compare(b.as_str(), a.as_str()).reverse(),
                "{a} {b}"
            );
        });
}

#[test]
fn a_constraint_accepts_what_lies_in_its_bounds_and_nothing_else() {
    check!()
        .with_generator(text(asked("bounds"), WORDS))
        .for_each(|text: &String| {
            let Ok(constraint) = promptly(|| Constraint::parse(text)) else {
                return;
            };
            let bounds = promptly(|| constraint.bounds());
            assert!(constraint.intersects(&Constraint::anything()));
            assert!(!constraint.to_string().is_empty());
            for version in TRIED
                .iter()
                .filter(|version| !version.is_branch() && constraint.matches(version))
            {
                assert!(
                    is_above(version, &bounds.lower),
                    "{constraint} accepts {version} below {:?}",
                    bounds.lower
                );
                assert!(
                    is_below(version, &bounds.upper),
                    "{constraint} accepts {version} above {:?}",
                    bounds.upper
                );
            }
        });
}

fn is_above(version: &Version, bound: &Bound) -> bool {
    match compare(version.as_str(), bound.version.as_str()) {
        Ordering::Greater => true,
        Ordering::Equal => bound.inclusive,
        Ordering::Less => bound.is_zero(),
    }
}

fn is_below(version: &Version, bound: &Bound) -> bool {
    match compare(version.as_str(), bound.version.as_str()) {
        Ordering::Less => true,
        Ordering::Equal => bound.inclusive || bound.is_infinite(),
        Ordering::Greater => bound.is_infinite(),
    }
}

#[test]
fn constraints_meet_where_some_version_matches_both() {
    let seeds = || asked("bounds");
    check!()
        .with_generator((text(seeds(), WORDS), text(seeds(), WORDS)))
        .for_each(|(a, b): &(String, String)| {
            let (Ok(a), Ok(b)) = (Constraint::parse(a), Constraint::parse(b)) else {
                return;
            };
            let both = a.intersect(&b);
            assert_eq!(a.intersects(&b), b.intersects(&a), "{a} and {b}");
            for version in TRIED.iter() {
                let by_each = a.matches(version) && b.matches(version);
                assert_eq!(both.matches(version), by_each, "{version} in {a} and {b}");
                if by_each && !is_out_of_sight(version) {
                    assert!(a.intersects(&b), "{a} and {b} both accept {version}");
                }
            }
        });
}

/// Numbers from 2^63 on, which lie above composer/semver's infinity.
fn is_out_of_sight(version: &Version) -> bool {
    !version.is_branch() && compare(version.as_str(), "9223372036854775807.0.0.0") != Ordering::Less
}
