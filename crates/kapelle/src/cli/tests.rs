//! The command line is consistent, and the handbook knows all of it.

use clap::{Command, CommandFactory};
use kapelle_registry::verify::Kind;

use super::CommandLine;

#[test]
fn the_command_line_is_consistent() {
    CommandLine::command().debug_assert();
}

#[test]
fn the_handbook_names_every_command_and_flag() {
    let handbook = include_str!("../../../../docs/command-line.md");
    let mut missing = Vec::new();
    look(&CommandLine::command(), "kapelle", handbook, &mut missing);
    assert!(
        missing.is_empty(),
        "docs/command-line.md does not mention: {missing:#?}"
    );
}

#[test]
fn the_handbook_names_every_kind_of_finding() {
    let handbook = include_str!("../../../../docs/verify.md");
    let is_missing = |kind: &&Kind| !handbook.contains(&format!("| `{}` |", kind.code()));
    let missing: Vec<_> = Kind::ALL.iter().filter(is_missing).collect();
    assert!(
        missing.is_empty(),
        "docs/verify.md does not name: {missing:?}"
    );
}

fn look(command: &Command, path: &str, handbook: &str, missing: &mut Vec<String>) {
    for flag in command.get_arguments().filter_map(clap::Arg::get_long) {
        if !matches!(flag, "help" | "version") && !handbook.contains(&format!("--{flag}")) {
            missing.push(format!("{path} --{flag}"));
        }
    }
    for inner in command.get_subcommands() {
        let path = format!("{path} {}", inner.get_name());
        if inner.get_subcommands().next().is_none() && !handbook.contains(&path) {
            missing.push(path.clone());
        }
        look(inner, &path, handbook, missing);
    }
}
