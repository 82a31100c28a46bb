//! Reading a composer.lock.

use insta::assert_snapshot;
use kapelle_composer::LockFile;
use kapelle_composer::lock::{InvalidLock, Location};
use rstest::rstest;

const LOCK: &str = r#"{
    "_readme": ["This file locks the dependencies of your project to a known state"],
    "content-hash": "0123456789abcdef0123456789abcdef",
    "packages": [
        {
            "name": "Acme/Lib", "version": "v1.0.0",
            "source": {"type": "git", "url": "https://git.test/acme/lib.git", "reference": "abc"},
            "dist": {"type": "zip", "url": "https://kapelle.test/lib.zip", "reference": "abc", "shasum": ""},
            "require": {"php": ">=8.1"}, "type": "library"
        },
        {"name": "acme/meta", "version": "1.0.0", "type": "metapackage"}
    ],
    "packages-dev": [
        {"name": "acme/tests", "version": "dev-main", "dist": {"type": "path", "url": "../tests"}}
    ],
    "aliases": [], "minimum-stability": "stable", "stability-flags": [], "prefer-stable": false,
    "platform": {"php": ">=8.1", "ext-JSON": "*"}, "platform-dev": [],
    "plugin-api-version": "2.6.0"
}"#;

fn location(kind: &str, url: &str, reference: Option<&str>) -> Location {
    Location {
        kind: kind.to_owned(),
        url: url.to_owned(),
        reference: reference.map(str::to_owned),
    }
}

#[test]
fn a_lock_file_lists_packages_and_where_they_are_from() {
    let lock = LockFile::parse(LOCK.as_bytes()).unwrap();
    let names: Vec<_> = lock
        .packages
        .iter()
        .map(|package| (package.name.as_str(), package.version.as_str(), package.dev))
        .collect();
    assert_eq!(
        names,
        [
            ("acme/lib", "v1.0.0", false),
            ("acme/meta", "1.0.0", false),
            ("acme/tests", "dev-main", true)
        ]
    );
    let [lib, meta, tests] = &lock.packages[..] else {
        unreachable!("three names were compared")
    };
    assert_eq!(
        lib.source,
        Some(location(
            "git",
            "https://git.test/acme/lib.git",
            Some("abc")
        ))
    );
    assert_eq!(
        lib.dist,
        Some(location("zip", "https://kapelle.test/lib.zip", Some("abc")))
    );
    assert_eq!((&meta.source, &meta.dist), (&None, &None));
    assert_eq!(tests.dist, Some(location("path", "../tests", None)));
    assert_eq!(
        lock.content_hash.as_deref(),
        Some("0123456789abcdef0123456789abcdef")
    );
    let platform = |name: &str, constraint: &str| (name.to_owned(), constraint.to_owned());
    assert_eq!(
        lock.platform,
        [platform("php", ">=8.1"), platform("ext-json", "*")]
    );
    assert_eq!(lock.plugin_api_version.as_deref(), Some("2.6.0"));
}

#[rstest]
#[case::composer_1_alpha(
    r#"{"hash":"x","packages":[{"name":"a/b","version":"1.0"}],"packages-dev":null,"aliases":[]}"#
)]
#[case::numeric_version(r#"{"packages":[{"name":"a/b","version":1.0}]}"#)]
#[case::php_maps(r#"{"packages":[{"name":"a/b","version":"1.0","source":[],"dist":null}],"packages-dev":{},"platform":[]}"#)]
fn lock_files_of_old_and_strange_composers_are_read(#[case] json: &str) {
    let lock = LockFile::parse(json.as_bytes()).unwrap();
    assert_eq!(lock.packages.len(), 1);
    assert_eq!(lock.packages[0].version, "1.0");
    assert_eq!(lock.content_hash, None);
}

#[rstest]
#[case("", "composer.lock is empty; it needs at least a JSON object")]
#[case(
    "{\"packages\":[",
    "composer.lock is not valid JSON in line 1, column 13: EOF while parsing a list"
)]
#[case(
    "{\n<<<<<<< HEAD\n\"content-hash\": \"a\",\n=======\n",
    "composer.lock has unresolved merge conflicts; resolve them and run \"composer update --lock\""
)]
#[case(
    "{\"require\":{}}",
    "composer.lock has no \"packages\"; check that it is a lock file, or run \"composer update\" to write a new one"
)]
#[case(
    "{\"packages\":\"x\"}",
    "composer.lock: \"packages\" must be a list, but is a string"
)]
#[case(
    "{\"packages\":[5]}",
    "composer.lock: \"packages.0\" must be a map, but is a number"
)]
#[case(
    "{\"packages\":[{\"package\":\"a/b\",\"version\":\"1\"}]}",
    "composer.lock: \"packages.0.name\" is missing; run \"composer update\" to write a new lock file"
)]
#[case(
    "{\"packages\":[{\"name\":\"a/b\",\"version\":[]}]}",
    "composer.lock: \"packages.0.version\" must be a string, but is a list"
)]
fn a_lock_file_that_cannot_be_used_is_explained(#[case] json: &str, #[case] sentence: &str) {
    assert_eq!(
        LockFile::parse(json.as_bytes()).unwrap_err().to_string(),
        sentence
    );
}

#[test]
fn a_lock_file_may_not_list_endless_packages() {
    let one = r#"{"name":"a/b","version":"1"}"#;
    let many = vec![one; 20_001].join(",");
    let error = LockFile::parse(format!("{{\"packages\":[{many}]}}").as_bytes()).unwrap_err();
    assert_eq!(error, InvalidLock::TooManyPackages);
    assert_snapshot!(error, @"composer.lock lists more than 20000 packages, which is not accepted");
}
