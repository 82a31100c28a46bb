//! composer.json, composer.lock, and the documents that are served.

use kapelle_composer::lock::MAX_LOCKED_PACKAGES;
use kapelle_composer::metadata::Document;
use kapelle_composer::minify::{UNSET, expand, minify};
use kapelle_composer::{Link, LockFile, Manifest, PackageName, VersionObject, json_depth};
use kapelle_testing::fuzz::{Script, bytes, check, script};
use serde_json::{Map, Value, json};

use super::{MANIFESTS, promptly};

const JSON: &[&str] = &[
    "{",
    "}",
    "[",
    "]",
    ":",
    ",",
    "\"",
    "\\",
    "\\u0000",
    "\\u001b",
    "\\ud800",
    "null",
    "true",
    "false",
    "1e999",
    "-0",
    "\"__unset\"",
    "\"name\":",
    "\"version\":",
    "\"require\":",
    "\"bin\":",
    "\"..\"",
    "\"self.version\"",
    "\"0\":",
    "\"extra\":{\"branch-alias\":",
    "\u{feff}",
    "\u{202e}",
    "<<<<<<< HEAD\n",
    "[[[[[[[[[[[[[[[[",
    "]]]]]]]]]]]]]]]]",
];

/// The objects of the fixtures, each as a file of its own.
fn manifests() -> Vec<String> {
    let mut found = vec![r#"{"name":"acme/lib","require":{"php":"^8.1"},"bin":["x"]}"#.to_owned()];
    let fixture: Value = serde_json::from_str(MANIFESTS).unwrap();
    collect(&fixture, &mut found);
    found
}

fn collect(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(map) => {
            found.push(value.to_string());
            map.values().for_each(|value| collect(value, found));
        }
        Value::Array(list) => list.iter().for_each(|value| collect(value, found)),
        _ => {}
    }
}

#[test]
fn a_manifest_is_read_or_refused_and_what_is_served_is_whole() {
    let name = PackageName::parse("acme/lib").unwrap();
    check!()
        .with_generator(bytes(manifests(), JSON))
        .for_each(|input: &Vec<u8>| {
            assert!(json_depth(input) <= input.len());
            let Ok(manifest) = promptly(|| Manifest::parse(input)) else {
                return;
            };
            let _ = (
                manifest.package_name(),
                manifest.kind(),
                manifest.keywords(),
                manifest.archive_excludes(),
            );
            let _ = (manifest.provided_names(), manifest.abandoned());
            let judged = promptly(|| manifest.check_as("dev-main"));
            for link in Link::ALL {
                let links = manifest.links(link);
                let fine = links
                    .iter()
                    .all(|(name, constraint)| is_plain(name) && is_plain(constraint));
                assert!(fine || judged.is_err(), "{links:?}");
            }
            assert!(manifest.description().is_none_or(|text| is_plain(&text)));
            let object = VersionObject {
                manifest: &manifest,
                name: &name,
                version: "dev-main",
                normalized: "dev-main",
                source: None,
                dist: None,
                time: Some(0),
                default_branch: true,
                abandoned: None,
                notification_url: None,
            }
            .build();
            assert_eq!(object["name"], "acme/lib");
            for key in [
                "source",
                "dist",
                "scripts",
                "repositories",
                "config",
                "abandoned",
                "transport-options",
            ] {
                assert!(!object.contains_key(key), "{key}");
            }
            let mut document = Document::new(&name);
            document.add(object.clone());
            let served: Value = serde_json::from_slice(&document.finish()).unwrap();
            assert_eq!(served["packages"]["acme/lib"][0], Value::Object(object));
        });
}

fn is_plain(text: &str) -> bool {
    !text
        .chars()
        .any(|c| c.is_control() && c != '\t' && c != '\n')
}

#[test]
fn a_lock_file_is_read_or_refused() {
    let package = json!({
        "name": "Acme/Lib", "version": "v1.0.0",
        "source": {"type": "git", "url": "https://git.example.org/acme/lib", "reference": "abc"},
        "dist": {"type": "zip", "url": "https://x/y.zip", "reference": null, "shasum": ""},
    });
    let lock = json!({
        "content-hash": "0123", "packages": [package.clone(), package.clone()], "packages-dev": [package],
        "platform": {"php": "^8.1", "EXT-json": "*"}, "platform-dev": [], "plugin-api-version": "2.6.0",
    });
    check!()
        .with_generator(bytes(
            [lock.to_string(), "{\"packages\":[]}".to_owned()],
            JSON,
        ))
        .for_each(
            |input: &Vec<u8>| match promptly(|| LockFile::parse(input)) {
                Ok(lock) => {
                    assert!(lock.packages.len() <= MAX_LOCKED_PACKAGES);
                    let lower = |name: &str| !name.bytes().any(|byte| byte.is_ascii_uppercase());
                    assert!(lock.packages.iter().all(|package| lower(&package.name)));
                    assert!(lock.platform.iter().all(|(name, _)| lower(name)));
                }
                Err(error) => assert!(is_plain(&error.to_string()), "{error:?}"),
            },
        );
}

/// Small maps over few keys and values, so that neighbours often agree.
fn versions(script: &[u8]) -> Vec<Map<String, Value>> {
    let mut script = Script::new(script);
    let mut versions = Vec::new();
    while !script.is_over() && versions.len() < 40 {
        let count = script.byte() % 6;
        let pairs = (0..count).map(|_| {
            let key = ["a", "b", "require", "", "0"][usize::from(script.byte()) % 5];
            (key.to_owned(), value(&mut script, 3))
        });
        versions.push(pairs.collect());
    }
    versions
}

fn value(script: &mut Script<'_>, depth: u8) -> Value {
    match script.byte() % if depth == 0 { 7 } else { 10 } {
        0 => Value::Null,
        1 => json!(1),
        2 => json!(1.0),
        3 => json!(-0.0),
        4 => json!("1"),
        5 => json!(""),
        6 => json!(format!("{UNSET} ")),
        7 => (0..script.byte() % 3)
            .map(|_| value(script, depth - 1))
            .collect(),
        _ => {
            let keys = if script.byte().is_multiple_of(2) {
                ["x", "y"]
            } else {
                ["y", "x"]
            };
            keys.iter()
                .map(|key| ((*key).to_owned(), value(script, depth - 1)))
                .collect()
        }
    }
}

/// As text, its own keys sorted: their order does not survive, that inside of values does.
fn sorted(version: &Map<String, Value>) -> Vec<(String, String)> {
    let mut pairs: Vec<_> = version
        .iter()
        .map(|(key, value)| (key.clone(), value.to_string()))
        .collect();
    pairs.sort_unstable();
    pairs
}

#[test]
fn expanding_undoes_minifying() {
    check!()
        .with_generator(script())
        .for_each(|script: &Vec<u8>| {
            let versions = versions(script);
            let expanded = promptly(|| expand(&minify(&versions)));
            let [before, after] =
                [&versions, &expanded].map(|list| list.iter().map(sorted).collect::<Vec<_>>());
            assert_eq!(after, before);
        });
}
