//! From text to a constraint, as composer/semver reads it.

use super::range::{hyphen, leading, wildcard};
use super::split::{alternatives, conjunction};
use super::{Comparison, Node, Operator};
use crate::version::grammar::{
    before_end, is_space, is_word, modifier, split_stability_flag, starts_with_ignoring_case, trim,
    without_alias,
};
use crate::version::{InvalidVersion, MAX_LENGTH, Stability, normalize};

/// Text that Composer does not accept as a constraint; the sentence is Composer's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidConstraint {
    #[error("Could not parse version constraint {constraint}: {reason}")]
    Syntax {
        /// The part that was refused, without its stability flag and reference.
        constraint: String,
        reason: String,
    },
    /// A range whose version has the right shape but is none.
    #[error(transparent)]
    Version(#[from] InvalidVersion),
    #[error("Could not parse version constraint of {0} bytes, use at most {MAX_LENGTH}")]
    TooLong(usize),
}

/// Operators as they are written, longer ones before their beginnings.
const OPERATORS: [(&str, Operator); 8] = [
    ("<>", Operator::NotEqual),
    ("!=", Operator::NotEqual),
    (">=", Operator::GreaterOrEqual),
    (">", Operator::Greater),
    ("<=", Operator::LessOrEqual),
    ("<", Operator::Less),
    ("==", Operator::Equal),
    ("=", Operator::Equal),
];

pub(super) fn parse(constraint: &str) -> Result<Node, InvalidConstraint> {
    if constraint.len() > MAX_LENGTH {
        return Err(InvalidConstraint::TooLong(constraint.len()));
    }
    let groups = alternatives(trim(constraint))
        .into_iter()
        .map(group)
        .collect::<Result<Vec<_>, _>>()?;
    let groups = merge_adjacent(groups);
    Ok(single_or(groups, Node::Any))
}

/// One alternative: everything in it must match.
fn group(alternative: &str) -> Result<Node, InvalidConstraint> {
    let mut nodes = Vec::new();
    for part in conjunction(alternative) {
        nodes.extend(simple(part)?);
    }
    Ok(single_or(nodes, Node::All))
}

fn single_or(mut nodes: Vec<Node>, several: impl FnOnce(Vec<Node>) -> Node) -> Node {
    if nodes.len() == 1 {
        nodes.swap_remove(0)
    } else {
        several(nodes)
    }
}

/// Joins neighbours that touch: `[>= 1 < 2] || [>= 2 < 3]` is `[>= 1 < 3]`.
fn merge_adjacent(groups: Vec<Node>) -> Vec<Node> {
    let mut merged: Vec<Node> = Vec::with_capacity(groups.len());
    for group in groups {
        match (merged.last_mut(), group) {
            (Some(Node::All(left)), Node::All(mut right)) if touch(left, &right) => {
                left[1] = right.swap_remove(1);
            }
            (_, group) => merged.push(group),
        }
    }
    merged
}

/// Whether both are `>= a` and `< b` or `<= b`, and the second starts where the first stops short.
fn touch(left: &[Node], right: &[Node]) -> bool {
    match (ends(left), ends(right)) {
        (Some((_, end)), Some((start, _))) => {
            end.operator == Operator::Less && end.version == start.version
        }
        _ => false,
    }
}

fn ends(range: &[Node]) -> Option<(&Comparison, &Comparison)> {
    let [Node::Compare(start), Node::Compare(end)] = range else {
        return None;
    };
    let upper = matches!(end.operator, Operator::Less | Operator::LessOrEqual);
    (start.operator == Operator::GreaterOrEqual && upper).then_some((start, end))
}

/// One part between separators; ranges become two comparisons.
fn simple(part: &str) -> Result<Vec<Node>, InvalidConstraint> {
    let part = without_alias(part);
    let (part, flag) = match split_stability_flag(part) {
        Some(("", flag)) => ("*", Some(flag)),
        Some((bare, flag)) if is_word(bare) => (bare, Some(flag)),
        _ => (part, None),
    };
    let part = without_reference(part);
    if let Some(node) = anything(part) {
        return Ok(vec![node]);
    }
    if let Some(nodes) = leading(part)? {
        return Ok(nodes);
    }
    if let Some(nodes) = wildcard(part) {
        return Ok(nodes);
    }
    if let Some(nodes) = hyphen(part)? {
        return Ok(nodes);
    }
    comparison(part, flag.filter(|flag| *flag != "stable")).map(|node| vec![node])
}

/// `dev-main#a1b2c3` and `1.x-dev#a1b2c3` without the reference, which Composer uses elsewhere.
fn without_reference(part: &str) -> &str {
    let prefix = |end: usize| {
        part.get(..end)
            .filter(|text| !text.contains('@') && is_word(text))
    };
    let hash = if starts_with_ignoring_case(part, "dev-") {
        part.bytes()
            .skip(5)
            .position(|byte| byte == b'#')
            .map(|at| at + 5)
    } else {
        None
    };
    let hash = hash.filter(|at| prefix(*at).is_some()).or_else(|| {
        let numeric = |window: &[u8]| window.eq_ignore_ascii_case(b".x-dev#");
        let at = part.as_bytes().windows(7).skip(1).position(numeric)?;
        Some(at + 1 + 6)
    });
    let Some((bare, at)) = hash.and_then(|at| Some((prefix(at)?, at))) else {
        return part;
    };
    let reference = before_end(&part[at + 1..]);
    if reference.is_empty() || reference.contains('\n') {
        part
    } else {
        bare
    }
}

/// `*`, `x`, and forms like `v*` or `x.*`, which mean every number but no branch.
fn anything(part: &str) -> Option<Node> {
    let part = before_end(part);
    let bare = part.strip_prefix(['v', 'V']).unwrap_or(part);
    let is_wildcard = |text: &str| matches!(text, "x" | "X" | "*");
    if !bare.split('.').all(is_wildcard) {
        return None;
    }
    Some(if part.len() == 1 {
        Node::Anything
    } else {
        Node::compare(Operator::GreaterOrEqual, "0.0.0.0-dev".to_owned())
    })
}

/// An operator, or none for equality, and a version.
fn comparison(part: &str, flag: Option<&str>) -> Result<Node, InvalidConstraint> {
    let (operator, rest) = OPERATORS
        .iter()
        .find_map(|(text, operator)| Some((*operator, part.strip_prefix(text)?)))
        .unwrap_or((Operator::Equal, part));
    let start = rest
        .bytes()
        .position(|byte| !is_space(byte))
        .unwrap_or(rest.len());
    let written = rest[start..].split('\n').next().unwrap_or_default();
    let mut version = normalize(written)
        .or_else(|error| suffixed_branch(written).ok_or(error))
        .map_err(|error| InvalidConstraint::Syntax {
            constraint: part.to_owned(),
            reason: error.to_string(),
        })?;
    match flag {
        Some(flag)
            if operator != Operator::Equal && Stability::of(&version) == Stability::Stable =>
        {
            version.push('-');
            version.push_str(flag);
        }
        _ if matches!(operator, Operator::Less | Operator::GreaterOrEqual)
            && !names_stability(written)
            && !written.starts_with("dev-") =>
        {
            version.push_str("-dev");
        }
        _ => {}
    }
    Ok(Node::compare(operator, version))
}

/// `foo-dev`, which is meant to be `dev-foo`.
fn suffixed_branch(written: &str) -> Option<String> {
    let branch = written.strip_suffix("-dev")?;
    written
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'/'))
        .then(|| format!("dev-{branch}"))
}

/// Whether the text ends in `-` and a modifier, of which Composer overlooks `RC` here.
fn names_stability(written: &str) -> bool {
    written.match_indices('-').any(|(at, _)| {
        let (found, rest) = modifier(&written[at + 1..]);
        rest.is_empty() && !found.word.eq_ignore_ascii_case("rc")
    })
}
