//! The metadata minifier.

use kapelle_composer::minify::{expand, minify};
use proptest::prelude::*;
use rstest::rstest;
use serde_json::{Map, Value};

type Versions = Vec<Map<String, Value>>;

fn versions(json: &str) -> Versions {
    serde_json::from_str(json).unwrap()
}

/// As text, because the order of keys matters and `serde_json` ignores it when it compares.
fn text(versions: &Versions) -> String {
    serde_json::to_string(versions).unwrap()
}

#[rstest]
#[case::m1(
    r#"[{"n":"a","v":"2.0.0","scripts":{"x":1},"license":["MIT"]},{"n":"a","v":"1.2.0","license":["GPL"],"homepage":"h"},
        {"n":"a","v":"1.0.0","license":["GPL"]},{"n":"a","v":"0.1.0","license":["GPL"]}]"#,
    r#"[{"n":"a","v":"2.0.0","scripts":{"x":1},"license":["MIT"]},{"v":"1.2.0","license":["GPL"],"homepage":"h","scripts":"__unset"},{"v":"1.0.0","homepage":"__unset"},{"v":"0.1.0"}]"#
)]
#[case::m2_null_is_a_value(
    r#"[{"n":"a","v":2,"dist":null},{"n":"a","v":1,"dist":null},{"n":"a","v":0}]"#,
    r#"[{"n":"a","v":2,"dist":null},{"v":1},{"v":0,"dist":"__unset"}]"#
)]
#[case::m3_nothing("[]", "[]")]
#[case::m5_equal_objects(r#"[{"a":1},{"a":1}]"#, r#"[{"a":1},{}]"#)]
#[case::order_inside_a_value(
    r#"[{"e":{"a":1,"b":2}},{"e":{"b":2,"a":1}}]"#,
    r#"[{"e":{"a":1,"b":2}},{"e":{"b":2,"a":1}}]"#
)]
#[case::order_of_the_keys_themselves(r#"[{"a":1,"b":2},{"b":2,"a":1}]"#, r#"[{"a":1,"b":2},{}]"#)]
#[case::integer_and_float(r#"[{"a":1},{"a":1.0}]"#, r#"[{"a":1},{"a":1.0}]"#)]
fn only_differences_are_written(#[case] whole: &str, #[case] minified: &str) {
    assert_eq!(text(&minify(&versions(whole))), minified);
}

/// m4: a value that equals the mark is lost, which is why version objects never carry one.
#[test]
fn a_value_equal_to_the_mark_is_lost() {
    let minified = minify(&versions(r#"[{"a":1},{"a":"__unset"}]"#));
    assert_eq!(text(&expand(&minified)), r#"[{"a":1},{}]"#);
}

#[test]
fn minifying_and_expanding_agree_with_composers_own_library() {
    let fixture: Value =
        serde_json::from_str(include_str!("../data/metadata-minifier.json")).unwrap();
    for case in fixture["cases"].as_array().unwrap() {
        let part =
            |index: usize| -> Versions { serde_json::from_value(case[index].clone()).unwrap() };
        assert_eq!(text(&minify(&part(0))), text(&part(1)), "{case}");
        assert_eq!(text(&expand(&part(1))), text(&part(2)), "{case}");
    }
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (0..3_i64).prop_map(Value::from),
        "[ab]{0,2}".prop_map(Value::from),
    ];
    leaf.prop_recursive(2, 8, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            prop::collection::vec(("[ab]", inner), 0..3)
                .prop_map(|pairs| Value::Object(pairs.into_iter().collect())),
        ]
    })
}

fn object() -> impl Strategy<Value = Map<String, Value>> {
    prop::collection::vec(("[a-d]", value()), 0..5).prop_map(|pairs| pairs.into_iter().collect())
}

/// Sorts an object's own keys, whose order does not survive; that of nested ones does.
fn with_sorted_keys(versions: &Versions) -> Vec<Vec<(String, String)>> {
    let sorted = |version: &Map<String, Value>| {
        let mut pairs: Vec<_> = version
            .iter()
            .map(|(key, value)| (key.clone(), value.to_string()))
            .collect();
        pairs.sort();
        pairs
    };
    versions.iter().map(sorted).collect()
}

proptest! {
    #[test]
    fn expanding_undoes_minifying(versions in prop::collection::vec(object(), 0..6)) {
        let back = expand(&minify(&versions));
        prop_assert_eq!(with_sorted_keys(&back), with_sorted_keys(&versions));
    }
}
