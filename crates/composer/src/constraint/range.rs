//! The ranges of a constraint: `~1.2`, `^1.2`, `1.2.*` and `1.2 - 1.4`.

use super::parse::InvalidConstraint;
use super::{Node, Operator};
use crate::version::grammar::{
    before_end, digits, dotted_digits, is_space, modifier, spaced, starts_with_ignoring_case,
    without_v,
};
use crate::version::normalize;

/// A version inside a range: its numbers, and whether it says more than numbers.
struct Written<'a> {
    /// One to four runs of digits.
    numbers: Vec<&'a str>,
    /// Whether a stability word, `dev` or `.x-dev` follows, so that no `-dev` is to be added.
    has_stability: bool,
    /// Whether `.x-dev` follows.
    is_branch: bool,
}

/// `~1.2` and `^1.2`; `None` when the part is neither.
pub(super) fn leading(part: &str) -> Result<Option<Vec<Node>>, InvalidConstraint> {
    let (version, tilde) = match (part.strip_prefix('~'), part.strip_prefix('^')) {
        (Some(rest), _) => (rest, true),
        (_, Some(rest)) => (rest, false),
        _ => return Ok(None),
    };
    let arrow = version.strip_prefix('>').filter(|_| tilde);
    let Some((written, "")) = read(before_end(arrow.unwrap_or(version))) else {
        return Ok(None);
    };
    if arrow.is_some() {
        return Err(InvalidConstraint::Syntax {
            constraint: part.to_owned(),
            reason: "Invalid operator \"~>\", you probably meant to use the \"~\" operator"
                .to_owned(),
        });
    }
    let suffix = if written.has_stability { "" } else { "-dev" };
    let low = normalize(&format!("{version}{suffix}"))?;
    let position = if tilde {
        tilde_position(&written)
    } else {
        caret_position(&written)
    };
    Ok(Some(between(low, next(&written.numbers, position))))
}

/// The number that `~` raises: the one before the last, but for `.x-dev` the last.
fn tilde_position(written: &Written<'_>) -> usize {
    let position = written.numbers.len() + usize::from(written.is_branch);
    (position - 1).max(1)
}

/// The number that `^` raises: the first of three that is not zero, or the last one written.
fn caret_position(written: &Written<'_>) -> usize {
    match written.numbers.as_slice() {
        ["0", "0", _, ..] => 3,
        ["0", _, ..] => 2,
        _ => 1,
    }
}

/// `1.2.*`: up to three numbers and one wildcard or more.
pub(super) fn wildcard(part: &str) -> Option<Vec<Node>> {
    let part = part.strip_prefix('v').unwrap_or(part);
    let (major, mut rest) = digits(before_end(part))?;
    let mut numbers = vec![major];
    while numbers.len() < 3
        && let Some((number, after)) = dotted_digits(rest)
    {
        numbers.push(number);
        rest = after;
    }
    let is_wildcard = |part: &str| matches!(part, "x" | "X" | "*");
    if !rest.strip_prefix('.')?.split('.').all(is_wildcard) {
        return None;
    }
    let low = format!("{}-dev", padded(&numbers, numbers.len()));
    let high = next(&numbers, numbers.len());
    if low == "0.0.0.0-dev" {
        return Some(vec![Node::compare(Operator::Less, high)]);
    }
    Some(between(low, high))
}

/// `1.2 - 1.4`: both ends included, a short upper end with all it starts.
pub(super) fn hyphen(part: &str) -> Result<Option<Vec<Node>>, InvalidConstraint> {
    let Some((from, rest)) = read(part) else {
        return Ok(None);
    };
    let from_text = &part[..part.len() - rest.len()];
    let Some(to_text) = spaced(rest, "-") else {
        return Ok(None);
    };
    let Some((to, "")) = read(before_end(to_text)) else {
        return Ok(None);
    };
    let suffix = if from.has_stability { "" } else { "-dev" };
    let low = normalize(from_text)? + suffix;
    let high = normalize(to_text)?;
    if to.numbers.len() >= 3 || to.has_stability {
        return Ok(Some(vec![
            Node::compare(Operator::GreaterOrEqual, low),
            Node::compare(Operator::LessOrEqual, high),
        ]));
    }
    Ok(Some(between(low, next(&to.numbers, to.numbers.len()))))
}

fn between(low: String, high: String) -> Vec<Node> {
    vec![
        Node::compare(Operator::GreaterOrEqual, low),
        Node::compare(Operator::Less, high),
    ]
}

/// Reads a version at the start of `text`: `v?N(.N){0,3}`, a modifier or `.x-dev`, `+build`.
fn read(text: &str) -> Option<(Written<'_>, &str)> {
    let (major, mut rest) = digits(without_v(text))?;
    let mut numbers = vec![major];
    while numbers.len() < 4
        && let Some((number, after)) = dotted_digits(rest)
    {
        numbers.push(number);
        rest = after;
    }
    let branch = after_branch_suffix(rest);
    let (modifier, after_modifier) = modifier(rest);
    let after = branch.unwrap_or(after_modifier);
    let has_stability = branch.is_some() || modifier.dev || !modifier.word.is_empty();
    let written = Written {
        numbers,
        has_stability,
        is_branch: branch.is_some(),
    };
    Some((written, after_build_metadata(after)))
}

/// What follows `.x-dev`, `.*.dev`, `.Xdev` and the like.
fn after_branch_suffix(text: &str) -> Option<&str> {
    let rest = text.strip_prefix('.')?.strip_prefix(['x', 'X', '*'])?;
    let rest = rest.strip_prefix(['.', '-']).unwrap_or(rest);
    starts_with_ignoring_case(rest, "dev").then(|| &rest[3..])
}

/// What follows `+` and everything up to white space.
fn after_build_metadata(text: &str) -> &str {
    let Some(build) = text.strip_prefix('+') else {
        return text;
    };
    match build.bytes().position(is_space).unwrap_or(build.len()) {
        0 => text,
        end => &build[end..],
    }
}

/// The first version above all that start with the numbers up to `position` (1 to 4).
fn next(numbers: &[&str], position: usize) -> String {
    let raised = increment(numbers[position - 1]);
    let mut numbers = numbers[..position].to_vec();
    numbers[position - 1] = &raised;
    format!("{}-dev", padded(&numbers, position))
}

/// The first `position` numbers, filled up to four with zeros.
fn padded(numbers: &[&str], position: usize) -> String {
    let mut parts = numbers[..position].to_vec();
    parts.resize(4, "0");
    parts.join(".")
}

/// Adds one as PHP does: past `i64` it becomes a float and reads like `9.2233720368548E+18`.
fn increment(number: &str) -> String {
    if let Some(next) = number.parse::<i64>().ok().and_then(|n| n.checked_add(1)) {
        return next.to_string();
    }
    let float = number.parse::<f64>().unwrap_or(f64::INFINITY) + 1.0;
    if float.is_infinite() {
        return "INF".to_owned();
    }
    let text = format!("{float:.13e}");
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let mantissa = mantissa.trim_end_matches('0');
    let zero = if mantissa.ends_with('.') { "0" } else { "" };
    format!("{mantissa}{zero}E+{exponent}")
}
