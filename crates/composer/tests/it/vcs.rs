//! Which versions the tags and branches of a repository are.

use std::collections::BTreeMap;

use insta::assert_snapshot;
use kapelle_composer::version::normalize;
use kapelle_composer::{InvalidRef, branch_version, tag_matches, tag_version};
use rstest::rstest;
use serde_json::Value;

/// The version of a tag whose composer.json declares a version.
fn tagged(tag: &str, declared: Option<&str>) -> Result<(String, String), InvalidRef> {
    let version = tag_matches(declared, tag_version(tag)?)?;
    Ok((version.version, version.normalized))
}

fn branch(name: &str) -> Result<(String, String), InvalidRef> {
    branch_version(name).map(|version| (version.version, version.normalized))
}

/// Where Composer makes a spelling from a tag that no longer is that version (`1.0.0+dev` becomes
/// `1.0.0+`), we keep one that is.
#[test]
fn tags_and_branches_become_the_versions_that_composer_makes_of_them() {
    let fixture: Value = serde_json::from_str(include_str!("../data/vcs-repository.json")).unwrap();
    let mut differences = Vec::new();
    for case in fixture["cases"].as_array().unwrap() {
        let name = case[1].as_str().unwrap();
        let ours = match case[0].as_str() {
            Some("tag") => tagged(name, case[2].as_str()),
            _ => branch(name),
        };
        let composers = case[3].as_array().map(|pair| {
            let text = |index: usize| pair[index].as_str().unwrap().to_owned();
            (text(0), text(1))
        });
        let agrees = match (&ours, &composers) {
            (Ok(ours), Some(theirs)) => {
                ours == theirs
                    || (normalize(&theirs.0).as_ref() != Ok(&theirs.1)
                        && normalize(&ours.0).as_ref() == Ok(&theirs.1))
            }
            (ours, theirs) => ours.is_err() && theirs.is_none(),
        };
        if !agrees {
            differences.push(format!("{case}: {ours:?}"));
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

/// The repository of Composer's own test of its `VcsRepository`.
#[test]
fn a_whole_repository_gives_the_versions_that_composer_expects() {
    let tags = [
        ("0.5.0", None),
        ("0.6.0", Some(None)),
        ("0.9.0", Some(Some("1.0.0"))),
        ("1.0.0", Some(None)),
    ];
    let branches = [
        ("oldbranch", false),
        ("feature/a-1.0-B", true),
        ("foo#bar", true),
        ("feature-b", true),
        ("1.0", true),
        ("1.1.x", true),
        ("master", true),
    ];
    let mut versions = BTreeMap::new();
    for (tag, manifest) in tags {
        if let Some(Ok((version, normalized))) = manifest.map(|declared| tagged(tag, declared)) {
            versions.entry(normalized).or_insert(version);
        }
    }
    for (name, _) in branches.iter().filter(|(_, has_manifest)| *has_manifest) {
        let (version, normalized) = branch(name).unwrap();
        versions.insert(normalized, version);
    }
    let mut found: Vec<_> = versions.into_values().collect();
    found.sort();
    assert_snapshot!(
        found.join(" "),
        @"0.6.0 1.0.0 1.0.x-dev 1.1.x-dev dev-feature-b dev-feature/a-1.0-B dev-foo+bar dev-master"
    );
}

#[rstest]
#[case(
    "nightly",
    None,
    r#"tag "nightly" is not a version; tag releases like "1.2.3" or "v1.2.3""#
)]
#[case(
    "$(reboot)",
    None,
    r#"tag "$(reboot)" is not a version; tag releases like "1.2.3" or "v1.2.3""#
)]
#[case("1.0.0-dev", None, r#"tag "1.0.0-dev" is a development version, which only branches can be; name the tag after a release"#)]
#[case("1.0.0", Some("1.0.1"), r#"tag "1.0.0" (1.0.0.0) contradicts version "1.0.1" in composer.json; remove "version" there or move the tag"#)]
#[case("1.0.0", Some("soon"), r#"composer.json declares version "soon", which is not a version; correct it, or remove it so that the tag "1.0.0" decides"#)]
fn a_tag_that_is_no_version_is_explained(
    #[case] tag: &str,
    #[case] declared: Option<&str>,
    #[case] sentence: &str,
) {
    assert_eq!(tagged(tag, declared).unwrap_err().to_string(), sentence);
}

#[test]
fn a_branch_that_cannot_be_required_is_explained() {
    assert_snapshot!(
        branch("fix|it").unwrap_err(),
        @r#"branch "fix|it" cannot be a version because Composer could not require it; rename the branch"#
    );
}

#[test]
fn two_spellings_of_a_tag_are_one_version() {
    assert_eq!(
        tagged("v1.0.0", None).unwrap().1,
        tagged("1.0.0", None).unwrap().1
    );
}
