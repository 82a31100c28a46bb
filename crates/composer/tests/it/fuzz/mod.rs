//! Fuzz targets of everything that reads what somebody else wrote.

mod documents;
mod texts;
mod versions;

use std::time::{Duration, Instant};

/// Composer's own answers about versions and constraints: thousands of real spellings.
const ORACLE: &str = include_str!("../../data/semver-oracle.json");
const REFS: &str = include_str!("../../data/vcs-repository.json");
const MANIFESTS: &str = include_str!("../../data/array-loader.json");

/// What versions, constraints and names are made of.
const WORDS: &[&str] = &[
    "^",
    "~",
    ">=",
    "<=",
    "<>",
    "!=",
    "==",
    "<",
    ">",
    "||",
    "|",
    " ",
    ",",
    " - ",
    " as ",
    "*",
    ".x",
    ".*",
    "-dev",
    "dev-",
    "@dev",
    "@stable",
    "#abc",
    "+build",
    "-RC1",
    "-beta.2",
    "-patch",
    "v",
    "V",
    ".",
    "-",
    "_",
    "/",
    "\n",
    "\0",
    "\u{b}",
    "\u{c}",
    "\u{a0}",
    "\u{202e}",
    "\u{fffd}",
    "é",
    "ß",
    "İ",
    "9999999-dev",
    "self.version",
    "master",
    "~>",
    "2010-01-02",
    "20100102203040",
    "release-",
    "1.0.0.0",
    "0.0.0.0-dev",
];

/// Nothing here may take long, whatever the input; the bound is that of a busy machine without optimization.
fn promptly<T>(work: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let done = work();
    let took = start.elapsed();
    assert!(took < Duration::from_secs(20), "took {took:?}");
    done
}
