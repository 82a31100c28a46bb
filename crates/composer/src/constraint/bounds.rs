//! The lowest and the highest number that a constraint lets through.

use std::cmp::Ordering;

use super::intervals::{INFINITY, ZERO};
use super::{Comparison, Node, Operator};
use crate::version::Version;

/// The range from the lowest to the highest version of a constraint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bounds {
    pub lower: Bound,
    pub upper: Bound,
}

/// One end of a range.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bound {
    pub version: Version,
    /// Whether the version itself is inside.
    pub inclusive: bool,
}

impl Bound {
    fn new(version: &Version, inclusive: bool) -> Self {
        Self {
            version: version.clone(),
            inclusive,
        }
    }

    fn zero() -> Self {
        Self::new(&ZERO, true)
    }

    fn infinity() -> Self {
        Self::new(&INFINITY, false)
    }

    /// Whether nothing is below.
    pub fn is_zero(&self) -> bool {
        self.version == *ZERO && self.inclusive
    }

    /// Whether nothing is above.
    pub fn is_infinite(&self) -> bool {
        self.version == *INFINITY && !self.inclusive
    }

    /// Whether this end lies on the side `wanted` of the other. At the same version an end is
    /// above an inclusive one and below an exclusive one, whichever kind it is itself.
    fn is(&self, wanted: Ordering, other: &Self) -> bool {
        if self.inclusive == other.inclusive && loosely_equal(&self.version, &other.version) {
            return false;
        }
        match self.version.compare(&other.version) {
            Ordering::Equal => (wanted == Ordering::Greater) == other.inclusive,
            order => order == wanted,
        }
    }
}

pub(super) fn of(node: &Node) -> Bounds {
    match node {
        Node::Anything => unbounded(),
        Node::Compare(comparison) => of_comparison(comparison),
        Node::All(nodes) => fold(nodes, Ordering::Greater, Ordering::Less),
        Node::Any(nodes) => fold(nodes, Ordering::Less, Ordering::Greater),
    }
}

/// The lower end that lies furthest to the side `lower`, the upper end furthest to `upper`.
fn fold(nodes: &[Node], lower: Ordering, upper: Ordering) -> Bounds {
    nodes
        .iter()
        .map(of)
        .reduce(|found, next| Bounds {
            lower: if next.lower.is(lower, &found.lower) {
                next.lower
            } else {
                found.lower
            },
            upper: if next.upper.is(upper, &found.upper) {
                next.upper
            } else {
                found.upper
            },
        })
        .unwrap_or_else(unbounded)
}

fn unbounded() -> Bounds {
    Bounds {
        lower: Bound::zero(),
        upper: Bound::infinity(),
    }
}

fn of_comparison(Comparison { operator, version }: &Comparison) -> Bounds {
    let mut bounds = unbounded();
    if version.is_branch() {
        return bounds;
    }
    match operator {
        Operator::Equal => {
            bounds.lower = Bound::new(version, true);
            bounds.upper = Bound::new(version, true);
        }
        Operator::Less => bounds.upper = Bound::new(version, false),
        Operator::LessOrEqual => bounds.upper = Bound::new(version, true),
        Operator::Greater => bounds.lower = Bound::new(version, false),
        Operator::GreaterOrEqual => bounds.lower = Bound::new(version, true),
        Operator::NotEqual => {}
    }
    bounds
}

/// PHP's `==` on strings, which composer/semver uses here: `100000.20` equals `100000.2`.
fn loosely_equal(a: &Version, b: &Version) -> bool {
    if a == b {
        return true;
    }
    let (a, b) = (a.as_str(), b.as_str());
    let is_whole = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if is_whole(a) && is_whole(b) {
        return matches!((a.parse::<i64>(), b.parse::<i64>()), (Ok(a), Ok(b)) if a == b);
    }
    matches!((decimal(a), decimal(b)), (Some(a), Some(b)) if a.total_cmp(&b).is_eq())
}

/// The value of text that is digits, with digits after at most one dot.
fn decimal(text: &str) -> Option<f64> {
    text.bytes()
        .all(|byte| byte.is_ascii_digit() || byte == b'.')
        .then(|| text.parse().ok())
        .flatten()
}
