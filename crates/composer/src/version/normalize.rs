//! From what people write to the form that versions are compared in.

use super::grammar::{
    Modifier, STABILITY_FLAGS, before_end, digits, dotted_digits, ends_with_ignoring_case,
    is_space, is_word, last_line, modifier, spaced, split_stability_flag,
    starts_with_ignoring_case, trim, without_alias, without_v,
};

/// The longest version or constraint that is looked at, in bytes.
pub const MAX_LENGTH: usize = 4096;

/// Text that Composer does not accept as a version; the sentence is Composer's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidVersion {
    #[error("Invalid version string \"{version}\"{reason}")]
    Syntax {
        /// What was given, trimmed.
        version: String,
        /// Empty, or why an alias (`1.0 as 2.0`) was refused, with a leading space.
        reason: String,
    },
    #[error("Invalid version string of {0} bytes, use at most {MAX_LENGTH}")]
    TooLong(usize),
}

/// Normalizes a version as Composer does: `v1.2-beta2` becomes `1.2.0.0-beta2`.
///
/// Accepts whatever Composer accepts in a `version` field or a requirement's exact version, so
/// `1.0 as 2.0`, `1.0@dev`, `1.x-dev` and `dev-main` too. At most [`MAX_LENGTH`] bytes.
pub fn normalize(version: &str) -> Result<String, InvalidVersion> {
    if version.len() > MAX_LENGTH {
        return Err(InvalidVersion::TooLong(version.len()));
    }
    let full = trim(version);
    let version = without_alias(full);
    let version = split_stability_flag(version).map_or(version, |(version, _)| version);
    if matches!(version, "master" | "trunk" | "default") {
        return Ok(format!("dev-{version}"));
    }
    if starts_with_ignoring_case(version, "dev-") {
        return Ok(format!("dev-{}", &version[4..]));
    }
    let version = without_build_metadata(version);
    classical(version)
        .or_else(|| date(version))
        .or_else(|| numeric_dev_branch(version))
        .ok_or_else(|| InvalidVersion::Syntax {
            version: full.to_owned(),
            reason: alias_problem(full, version),
        })
}

/// Normalizes a branch name as Composer does; total.
///
/// `2.1` and `v2.1.x` become `2.1.9999999.9999999-dev`, `main` becomes `dev-main`.
pub fn normalize_branch(name: &str) -> String {
    let name = trim(name);
    numeric_branch(name).unwrap_or_else(|| format!("dev-{name}"))
}

/// `1.0+build.5` without its build metadata.
fn without_build_metadata(version: &str) -> &str {
    match before_end(version).split_once('+') {
        Some((number, build))
            if is_word(number) && !build.is_empty() && !build.bytes().any(is_space) =>
        {
            number
        }
        _ => version,
    }
}

/// One to four dotted numbers, the first of at most five digits, padded to four.
fn classical(version: &str) -> Option<String> {
    let (major, mut rest) = digits(without_v(version))?;
    if major.len() > 5 {
        return None;
    }
    let mut normalized = major.to_owned();
    for _ in 0..3 {
        let part = dotted_digits(rest);
        let (number, after) = part.unwrap_or(("0", rest));
        normalized.push('.');
        normalized.push_str(number);
        rest = after;
    }
    with_modifier(normalized, rest)
}

/// What may stand between the parts of a date.
const SEPARATORS: [char; 3] = ['.', ':', '-'];

/// A date with optional time and counters: its separators become dots, nothing is padded.
fn date(version: &str) -> Option<String> {
    let version = without_v(version);
    let is_part = |character: char| character.is_ascii_digit() || SEPARATORS.contains(&character);
    let end = version.find(|character| !is_part(character));
    // Separators at the end belong to the modifier, which never starts with a digit.
    let run = version[..end.unwrap_or(version.len())].trim_end_matches(SEPARATORS);
    let rest = &version[run.len()..];
    if !is_date(run.as_bytes()) {
        return None;
    }
    let dotted = run.replace(SEPARATORS, ".");
    with_modifier(dotted, rest)
}

/// Four digits, one to six groups of two, up to two groups of one to three, each with an
/// optional separator before it.
fn is_date(run: &[u8]) -> bool {
    let Some((year, mut rest)) = run.split_at_checked(4) else {
        return false;
    };
    if !year.iter().all(u8::is_ascii_digit) {
        return false;
    }
    for _ in 0..6 {
        let Some(after) = date_group(rest, 2) else {
            return false;
        };
        if are_counters(after, 2) {
            return true;
        }
        rest = after;
    }
    false
}

fn are_counters(run: &[u8], left: u8) -> bool {
    run.is_empty()
        || (left > 0
            && (1..=3).any(|digits| {
                date_group(run, digits).is_some_and(|rest| are_counters(rest, left - 1))
            }))
}

/// What follows an optional separator and exactly `digits` digits.
fn date_group(run: &[u8], digits: usize) -> Option<&[u8]> {
    let run = match run {
        [b'.' | b':' | b'-', rest @ ..] => rest,
        _ => run,
    };
    let (group, rest) = run.split_at_checked(digits)?;
    group.iter().all(u8::is_ascii_digit).then_some(rest)
}

/// Appends the modifier that `rest` must be, in its long form.
fn with_modifier(mut normalized: String, rest: &str) -> Option<String> {
    let (Modifier { word, number, dev }, rest) = modifier(before_end(rest));
    if !rest.is_empty() {
        return None;
    }
    if word == "stable" {
        return Some(normalized);
    }
    if !word.is_empty() {
        normalized.push('-');
        normalized.push_str(&long_word(word));
        normalized.push_str(number.trim_start_matches(['.', '-']));
    }
    if dev {
        normalized.push_str("-dev");
    }
    Some(normalized)
}

fn long_word(word: &str) -> String {
    match word.to_ascii_lowercase().as_str() {
        "a" => "alpha".to_owned(),
        "b" => "beta".to_owned(),
        "p" | "pl" => "patch".to_owned(),
        "rc" => "RC".to_owned(),
        long => long.to_owned(),
    }
}

/// `1.x-dev`: a numeric branch written as a version.
fn numeric_dev_branch(version: &str) -> Option<String> {
    let line = last_line(before_end(version));
    if !ends_with_ignoring_case(line, "dev") {
        return None;
    }
    let branch = &line[..line.len() - 3];
    let branch = branch.strip_suffix(['.', '-']).unwrap_or(branch);
    numeric_branch(trim(branch))
}

/// `v?N` and up to three of `.N`, `.x`, `.X`, `.*`, padded with `x`, each `x` a 9999999.
fn numeric_branch(name: &str) -> Option<String> {
    let (major, mut rest) = digits(without_v(name))?;
    let mut normalized = major.to_owned();
    for _ in 0..3 {
        normalized.push('.');
        if let Some((number, after)) = dotted_digits(rest) {
            normalized.push_str(number);
            rest = after;
        } else {
            normalized.push_str("9999999");
            rest = [".x", ".X", ".*"]
                .iter()
                .find_map(|wildcard| rest.strip_prefix(wildcard))
                .unwrap_or(rest);
        }
    }
    rest.is_empty().then(|| normalized + "-dev")
}

/// Composer's hint when one side of `source as alias` is what is wrong.
fn alias_problem(full: &str, version: &str) -> String {
    if without_exact_flag(full)
        .into_iter()
        .any(|text| text.strip_suffix(version).is_some_and(ends_with_as))
    {
        return format!(" in \"{full}\", the alias must be an exact version");
    }
    let Some(rest) = full.strip_prefix(version) else {
        return String::new();
    };
    let after_flag = STABILITY_FLAGS
        .iter()
        .find_map(|flag| rest.strip_prefix('@')?.strip_prefix(flag))
        .unwrap_or(rest);
    if spaced(after_flag, "as").is_some() {
        return format!(
            " in \"{full}\", the alias source must be an exact version, \
             if it is a branch name you should prefix it with dev-"
        );
    }
    String::new()
}

/// `text` as it is and, if it ends in `@` and a stability, without that.
fn without_exact_flag(text: &str) -> [&str; 2] {
    let bare = split_stability_flag(text)
        .filter(|(_, flag)| STABILITY_FLAGS.contains(flag))
        .map_or(text, |(bare, _)| bare);
    [text, bare]
}

/// Whether `text` ends in ` as `, however many spaces.
fn ends_with_as(text: &str) -> bool {
    let trimmed = text.trim_end_matches(' ');
    trimmed.len() < text.len() && trimmed.ends_with(" as")
}
