//! The second version that a branch answers to.

use serde_json::{Map, Value};

use super::grammar::{before_end, digits_length, ends_with_ignoring_case};
use super::normalize::normalize_branch;

/// What a default branch without a number is also known as.
const DEFAULT_BRANCH_ALIAS: &str = "9999999-dev";

/// The alias of a development version as Composer shows it: `1.0.x-dev` or `9999999-dev`.
///
/// `version` is the version as published (`dev-main`, `1.x-dev`), `branch_aliases` the manifest's
/// `extra.branch-alias`, of which the first usable entry counts. Entries that are no strings are
/// passed over. `None` for what is no development version.
pub fn branch_alias(
    version: &str,
    default_branch: bool,
    branch_aliases: &Map<String, Value>,
) -> Option<String> {
    normalized_branch_alias(version, default_branch, branch_aliases).map(|alias| pretty(&alias))
}

/// The same alias as [`branch_alias`], normalized: `1.0.9999999.9999999-dev`.
pub fn normalized_branch_alias(
    version: &str,
    default_branch: bool,
    branch_aliases: &Map<String, Value>,
) -> Option<String> {
    if !version.starts_with("dev-") && !version.ends_with("-dev") {
        return None;
    }
    let named = branch_aliases
        .iter()
        .filter(|(source, _)| source.eq_ignore_ascii_case(version))
        .find_map(|(source, target)| target_of(source, target.as_str()?));
    let unnumbered = || {
        let bare = version.strip_prefix('v').unwrap_or(version);
        numeric_alias_prefix(bare).is_none()
    };
    named.or_else(|| (default_branch && unnumbered()).then(|| DEFAULT_BRANCH_ALIAS.to_owned()))
}

/// The normalized alias of one entry of `extra.branch-alias`, when Composer would use it.
fn target_of(source: &str, target: &str) -> Option<String> {
    let branch = target.strip_suffix("-dev")?;
    let normalized = if target == DEFAULT_BRANCH_ALIAS {
        target.to_owned()
    } else {
        normalize_branch(branch)
    };
    if !normalized.ends_with("-dev") {
        return None;
    }
    match (numeric_alias_prefix(source), numeric_alias_prefix(target)) {
        (Some(source), Some(target)) if !target.starts_with(&source) => None,
        _ => Some(normalized),
    }
}

/// Each run of `.9999999` becomes one `.x`.
fn pretty(normalized: &str) -> String {
    let mut rest = normalized;
    let mut text = String::with_capacity(rest.len());
    while let Some(at) = rest.find(".9999999") {
        text.push_str(&rest[..at]);
        text.push_str(".x");
        rest = rest[at..].trim_start_matches(".9999999");
    }
    text + rest
}

/// The number of a numeric branch with a closing dot: `1.2.` for `1.2.x-dev` and `1.2-dev`.
pub fn numeric_alias_prefix(branch: &str) -> Option<String> {
    let branch = before_end(branch);
    if !ends_with_ignoring_case(branch, "-dev") {
        return None;
    }
    let branch = &branch[..branch.len() - 4];
    let number = if ends_with_ignoring_case(branch, ".x") {
        &branch[..branch.len() - 2]
    } else {
        branch
    };
    let is_number = |part: &str| !part.is_empty() && digits_length(part) == part.len();
    number
        .split('.')
        .all(is_number)
        .then(|| format!("{number}."))
}
