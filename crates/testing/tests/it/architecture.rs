//! The crates depend on each other as ARCHITECTURE.md says, and in no other way.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use serde_json::Value;

/// Crate → the crates of ours that it depends on; names without `kapelle-`.
type Dependencies = BTreeMap<String, BTreeSet<String>>;

fn workspace() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

fn short(package: &str) -> String {
    package
        .strip_prefix("kapelle-")
        .unwrap_or(package)
        .to_owned()
}

/// The lines `crate -> crate crate …` of the fenced block in ARCHITECTURE.md.
fn documented() -> Dependencies {
    let page = std::fs::read_to_string(workspace().join("ARCHITECTURE.md"))
        .expect("ARCHITECTURE.md is in the workspace's folder");
    page.lines()
        .skip_while(|line| *line != "```dependencies")
        .skip(1)
        .take_while(|line| *line != "```")
        .map(|line| {
            let (from, to) = line
                .split_once("->")
                .unwrap_or_else(|| panic!("{line:?} has no arrow"));
            let to = to.split_whitespace().map(str::to_owned).collect();
            (from.trim().to_owned(), to)
        })
        .collect()
}

/// What `cargo metadata` knows of dependencies between workspace crates, of the given kind.
fn actual(is_wanted: fn(kind: &Value) -> bool) -> Dependencies {
    let output = Command::new(env!("CARGO"))
        .args([
            "metadata",
            "--no-deps",
            "--offline",
            "--format-version",
            "1",
        ])
        .current_dir(workspace())
        .output()
        .expect("cargo runs");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("cargo's answer is JSON");
    let packages = metadata["packages"].as_array().expect("a list of packages");
    packages
        .iter()
        .map(|package| {
            let name = short(package["name"].as_str().expect("a package's name"));
            let ours = package["dependencies"]
                .as_array()
                .into_iter()
                .flatten()
                .filter(|dependency| {
                    dependency["path"].is_string() && is_wanted(&dependency["kind"])
                })
                .filter_map(|dependency| dependency["name"].as_str())
                .map(short)
                .collect();
            (name, ours)
        })
        .collect()
}

/// Everything of ours that a crate stands on, at whatever depth.
fn below(name: &str, direct: &Dependencies) -> BTreeSet<String> {
    let mut all = direct[name].clone();
    for lower in &direct[name] {
        all.extend(below(lower, direct));
    }
    all
}

#[test]
fn crates_depend_on_each_other_exactly_as_the_architecture_says() {
    let documented = documented();
    assert!(
        !documented.is_empty(),
        "ARCHITECTURE.md has no block that opens with ```dependencies"
    );

    assert_eq!(actual(Value::is_null), documented);
}

#[test]
fn tests_compile_nothing_of_ours_above_their_crate_but_the_fixtures() {
    let direct = actual(Value::is_null);
    let allowed: Dependencies = direct
        .keys()
        .map(|name| (name.clone(), below(name, &direct)))
        .collect();

    for (name, used) in actual(|kind| kind == "dev") {
        let beyond: Vec<_> = used
            .iter()
            .filter(|used| *used != "testing" && !allowed[&name].contains(*used))
            .collect();
        assert!(beyond.is_empty(), "the tests of {name} use {beyond:?}");
    }
    assert_eq!(direct["testing"], BTreeSet::new());
}

/// The features with which the program's points are built, with its tests or without.
fn features_of_points(edges: &str) -> String {
    let output = Command::new(env!("CARGO"))
        .args([
            "tree",
            "--offline",
            "--package",
            "kapelle",
            "--prefix",
            "none",
        ])
        .args(["--edges", edges, "--format", "{p}|{f}"])
        .current_dir(workspace())
        .output()
        .expect("cargo runs");
    let tree = String::from_utf8_lossy(&output.stdout);
    let mut lines = tree.lines();
    let line = lines.find(|line| line.starts_with("kapelle-failpoint "));
    let line = line.unwrap_or_else(|| panic!("{tree}{}", String::from_utf8_lossy(&output.stderr)));
    let (_, features) = line.split_once('|').expect("the format has a bar");
    features.to_owned()
}

#[test]
fn only_the_tests_can_have_the_program_killed_at_a_point() {
    assert_eq!(features_of_points("normal,build"), "");
    assert_eq!(features_of_points("normal,build,dev"), "failpoints");
}
