//! What is served about a version.

use insta::assert_snapshot;
use kapelle_composer::metadata::{Document, Place};
use kapelle_composer::{Abandoned, Dist, Manifest, PackageName, Source, VersionObject};
use serde_json::{Map, Value};

const SOURCE: Source<'_> = Source {
    kind: "git",
    url: "https://git.test/acme/lib.git",
    reference: "c0ffee",
};
const DIST: Dist<'_> = Dist {
    kind: "zip",
    url: "https://kapelle.test/repo/acme/dists/acme/lib/c0ffee.zip",
    reference: "c0ffee",
    shasum: "",
};

fn name() -> PackageName {
    PackageName::parse("acme/lib").unwrap()
}

fn manifest(json: &str) -> Manifest {
    Manifest::parse(json.as_bytes()).unwrap()
}

fn plain<'a>(manifest: &'a Manifest, name: &'a PackageName, version: &'a str) -> VersionObject<'a> {
    VersionObject {
        manifest,
        name,
        version,
        normalized: version,
        source: None,
        dist: None,
        time: None,
        default_branch: false,
        abandoned: None,
        notification_url: None,
    }
}

fn pretty(object: &Map<String, Value>) -> String {
    serde_json::to_string_pretty(object).unwrap()
}

#[test]
fn a_version_object_is_the_manifest_with_what_the_registry_knows() {
    let manifest = manifest(
        r#"{"$schema":"x","description":"A library","name":"Old/Name","version":"0.9","type":"library",
            "keywords":[],"require":{"php":">=8.1","b/a":"^1"},"require-dev":{"phpunit/phpunit":"^11"},
            "autoload":{"psr-4":{"Acme\\":"src/"}},"extra":{"branch-alias":{"dev-main":"1.x-dev"}},"_own":{"z":1,"a":2}}"#,
    );
    let object = VersionObject {
        version: "dev-main",
        normalized: "dev-main",
        source: Some(SOURCE),
        dist: Some(DIST),
        time: Some(1_700_000_000_999),
        default_branch: true,
        abandoned: Some(&Abandoned::ReplacedBy("acme/new".to_owned())),
        notification_url: Some("https://kapelle.test/repo/acme/downloads"),
        ..plain(&manifest, &name(), "dev-main")
    }
    .build();
    assert_snapshot!(pretty(&object), @r#"
    {
      "name": "acme/lib",
      "version": "dev-main",
      "version_normalized": "dev-main",
      "source": {
        "type": "git",
        "url": "https://git.test/acme/lib.git",
        "reference": "c0ffee"
      },
      "dist": {
        "type": "zip",
        "url": "https://kapelle.test/repo/acme/dists/acme/lib/c0ffee.zip",
        "reference": "c0ffee",
        "shasum": ""
      },
      "require": {
        "php": ">=8.1",
        "b/a": "^1"
      },
      "require-dev": {
        "phpunit/phpunit": "^11"
      },
      "time": "2023-11-14T22:13:20+00:00",
      "default-branch": true,
      "type": "library",
      "extra": {
        "branch-alias": {
          "dev-main": "1.x-dev"
        }
      },
      "autoload": {
        "psr-4": {
          "Acme\\": "src/"
        }
      },
      "notification-url": "https://kapelle.test/repo/acme/downloads",
      "description": "A library",
      "keywords": [],
      "$schema": "x",
      "_own": {
        "z": 1,
        "a": 2
      },
      "abandoned": "acme/new"
    }
    "#);
}

#[test]
fn what_a_manifest_claims_about_origin_and_state_is_not_served() {
    let manifest = manifest(
        r#"{"source":{"type":"perforce","url":"-x","reference":"-y"},"dist":{"type":"path","url":"/etc"},
            "default-branch":true,"abandoned":true,"notification-url":"https://evil.test/","uid":1,
            "installation-source":"dist","transport-options":{},"published-time":"x","version_normalized":"9",
            "config":{},"repositories":[],"minimum-stability":"dev","prefer-stable":true,
            "scripts":{"post-install-cmd":"x"},"scripts-descriptions":{},"scripts-aliases":{},
            "homepage":"__unset","time":5}"#,
    );
    let object = plain(&manifest, &name(), "1.0.0.0").build();
    assert_snapshot!(
        serde_json::to_string(&object).unwrap(),
        @r#"{"name":"acme/lib","version":"1.0.0.0","version_normalized":"1.0.0.0"}"#
    );
}

#[test]
fn a_time_in_the_manifest_wins_over_the_commits() {
    let manifest = manifest(r#"{"time":"2020-01-02"}"#);
    let object = VersionObject {
        time: Some(0),
        ..plain(&manifest, &name(), "1.0.0.0")
    }
    .build();
    assert_eq!(object["time"], "2020-01-02");
}

#[test]
fn a_time_that_cannot_be_printed_is_left_out() {
    let manifest = manifest("{}");
    for time in [i64::MIN, i64::MAX, -100_000_000_000_000] {
        let object = VersionObject {
            time: Some(time),
            ..plain(&manifest, &name(), "1.0.0.0")
        }
        .build();
        assert_eq!(object.get("time"), None);
    }
}

#[test]
fn the_alias_of_old_clients_is_never_the_normalized_version() {
    let manifest = manifest("{}");
    let object = VersionObject {
        normalized: "9999999-dev",
        ..plain(&manifest, &name(), "dev-master")
    }
    .build();
    assert_eq!(object.get("version_normalized"), None);
}

#[test]
fn terminal_control_characters_are_taken_out_of_what_composer_prints() {
    let manifest = manifest(
        r#"{"description":"a\u001b]0;x\u0007b\nc","authors":[{"name":"\u009bX"}],"suggest":{"a\u001b/b":"\u202ey"},
            "autoload":{"files":["a\u001b.php"]}}"#,
    );
    let object = plain(&manifest, &name(), "1.0.0.0").build();
    assert_eq!(object["description"], "a]0;xb\nc");
    assert_eq!(object["authors"][0]["name"], "X");
    assert_eq!(object["suggest"]["a/b"], "y");
    assert_eq!(object["autoload"]["files"][0], "a\u{1b}.php");
}

#[test]
fn a_document_is_one_package_minified() {
    let manifest = manifest(r#"{"license":"MIT"}"#);
    let name = name();
    let document = |versions: &[&str]| {
        let mut document = Document::new(&name);
        for version in versions {
            document.add(plain(&manifest, &name, version).build());
        }
        String::from_utf8(document.finish()).unwrap()
    };
    assert_snapshot!(
        document(&["2.0.0.0", "1.0.0.0"]),
        @r#"{"packages":{"acme/lib":[{"name":"acme/lib","version":"2.0.0.0","version_normalized":"2.0.0.0","license":"MIT"},{"version":"1.0.0.0","version_normalized":"1.0.0.0"}]},"minified":"composer/2.0"}"#
    );
    assert_snapshot!(
        document(&[]),
        @r#"{"packages":{"acme/lib":[]},"minified":"composer/2.0"}"#
    );
}

#[test]
fn versions_are_sorted_for_readers() {
    let mut sorted = [
        "dev-zebra",
        "1.9.0.0",
        "1.10.0.0-RC1",
        "dev-main",
        "1.10.0.0",
        "2.9999999.9999999.9999999-dev",
        "dev-apple",
        "1.10.0.0-beta2",
    ];
    sorted.sort_by_cached_key(|version| Place::of(version, *version == "dev-main"));
    assert_eq!(
        sorted,
        [
            "dev-main",
            "2.9999999.9999999.9999999-dev",
            "1.10.0.0",
            "1.10.0.0-RC1",
            "1.10.0.0-beta2",
            "1.9.0.0",
            "dev-apple",
            "dev-zebra",
        ]
    );
}
