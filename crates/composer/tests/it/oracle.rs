//! composer/semver's own answers to the same questions, compared one by one.

use std::fmt::Debug;
use std::sync::LazyLock;

use kapelle_composer::constraint::{Bound, Constraint};
use kapelle_composer::version::{
    Stability, Version, compare, normalize, normalize_branch, numeric_alias_prefix,
};
use serde_json::{Map, Value, json};

/// What composer/semver answered; its `legend` says how to read it.
static ORACLE: LazyLock<Map<String, Value>> = LazyLock::new(|| {
    serde_json::from_str(include_str!("../data/semver-oracle.json")).expect("the oracle is JSON")
});

/// Counts the questions and keeps the answers that differ.
#[derive(Default)]
struct Differences {
    asked: usize,
    found: Vec<String>,
}

impl Differences {
    fn expect<T: PartialEq + Debug>(&mut self, question: impl Debug, ours: &T, theirs: &T) {
        self.asked += 1;
        if ours != theirs {
            self.found.push(format!(
                "{question:?}: we say {ours:?}, Composer {theirs:?}"
            ));
        }
    }

    fn report(self, at_least: usize) {
        let Self { asked, found } = self;
        let first = found
            .iter()
            .take(20)
            .cloned()
            .collect::<Vec<_>>()
            .join("\n");
        assert!(
            found.is_empty(),
            "{} of {asked} answers differ, the first:\n{first}",
            found.len(),
        );
        assert!(asked >= at_least, "only {asked} questions");
    }
}

/// Asks the same question about every key of a table.
fn ask_all(table: &str, answer: impl Fn(&str) -> Value) {
    let mut differences = Differences::default();
    for (input, theirs) in ORACLE[table].as_object().unwrap() {
        differences.expect(input, &answer(input), theirs);
    }
    differences.report(600);
}

fn strings(table: &str) -> Vec<&'static str> {
    let list = ORACLE[table].as_array().unwrap();
    list.iter().map(|entry| entry.as_str().unwrap()).collect()
}

fn constraint(text: &str) -> Constraint {
    Constraint::parse(text).unwrap()
}

#[test]
fn versions_normalize_as_composer_normalizes_them() {
    ask_all("normalize", |version| json!(normalize(version).ok()));
}

#[test]
fn branches_normalize_as_composer_normalizes_them() {
    ask_all("normalize_branch", |name| json!(normalize_branch(name)));
}

#[test]
fn stabilities_are_composers() {
    ask_all("stability", |version| {
        json!(Stability::of(version).to_string())
    });
}

#[test]
fn numeric_alias_prefixes_are_composers() {
    ask_all("numeric_alias_prefix", |branch| {
        numeric_alias_prefix(branch).map_or(json!(false), Value::String)
    });
}

#[test]
fn constraints_read_as_composer_reads_them() {
    ask_all("constraint", |text| {
        json!(
            Constraint::parse(text)
                .ok()
                .map(|parsed| parsed.to_string())
        )
    });
}

#[test]
fn bounds_are_composers() {
    ask_all("bounds", |text| {
        let bounds = constraint(text).bounds();
        let version = |bound: &Bound, unbounded: bool| {
            (!unbounded).then(|| bound.version.as_str().to_owned())
        };
        json!([
            version(&bounds.lower, bounds.lower.is_zero()),
            bounds.lower.inclusive,
            version(&bounds.upper, bounds.upper.is_infinite()),
            bounds.upper.inclusive,
        ])
    });
}

#[test]
fn constraints_match_the_versions_that_composer_matches() {
    let texts = strings("versions");
    let versions: Vec<_> = texts
        .iter()
        .map(|text| Version::from_normalized(text))
        .collect();
    let mut differences = Differences::default();
    for (text, theirs) in ORACLE["matches"].as_object().unwrap() {
        let constraint = constraint(text);
        for (version, theirs) in versions.iter().zip(theirs.as_str().unwrap().chars()) {
            let ours = constraint.matches(version);
            differences.expect((text, version.as_str()), &ours, &(theirs == '1'));
        }
    }
    differences.report(180_000);
}

#[test]
fn versions_compare_as_php_compares_them() {
    let texts = strings("versions");
    let mut differences = Differences::default();
    for (a, row) in texts.iter().zip(strings("compare")) {
        for (b, theirs) in texts.iter().zip(row.chars()) {
            let ours = match compare(a, b) {
                std::cmp::Ordering::Less => '<',
                std::cmp::Ordering::Equal => '=',
                std::cmp::Ordering::Greater => '>',
            };
            differences.expect((a, b), &ours, &theirs);
        }
    }
    differences.report(90_000);
}

#[test]
fn constraints_intersect_where_composer_says_they_do() {
    let texts = strings("constraint_list");
    let constraints: Vec<_> = texts.iter().map(|text| constraint(text)).collect();
    let mut differences = Differences::default();
    for (a, row) in constraints.iter().zip(strings("intersects")) {
        for (b, theirs) in constraints.iter().zip(row.chars()) {
            let question = (a.to_string(), b.to_string());
            differences.expect(question, &a.intersects(b), &(theirs == '1'));
        }
    }
    differences.report(62_500);
}
