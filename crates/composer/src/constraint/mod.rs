//! Composer's version constraints: what a requirement, an advisory or a limit accepts.

mod bounds;
mod intervals;
mod parse;
mod range;
mod split;

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use crate::version::Version;

pub use bounds::{Bound, Bounds};
pub use parse::InvalidConstraint;

/// A set of versions: `^1.2 || ~2.0.3 || dev-main`.
///
/// Displayed in the normal form of composer/semver: `[>= 1.2.0.0-dev < 2.0.0.0-dev]`. Equal when
/// that form is equal, which two ways to write the same set need not be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Constraint {
    node: Node,
}

/// The tree of a constraint; a parsed one is at most an alternative of conjunctions.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Node {
    Anything,
    Compare(Comparison),
    All(Vec<Node>),
    Any(Vec<Node>),
}

/// One side of the number line, or one version, or all but one.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Comparison {
    operator: Operator,
    version: Version,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Constraint {
    /// Parses what a requirement may say; at most [`MAX_LENGTH`](crate::version::MAX_LENGTH) bytes.
    pub fn parse(constraint: &str) -> Result<Self, InvalidConstraint> {
        parse::parse(constraint).map(|node| Self { node })
    }

    /// The constraint `*`, which every version and every branch matches.
    pub fn anything() -> Self {
        Self {
            node: Node::Anything,
        }
    }

    /// Whether the constraint accepts the version. Branches match only their own name, `*` and `!=`.
    ///
    /// Stability is not looked at: `^1.0` accepts `1.1.0.0-dev`.
    pub fn matches(&self, version: &Version) -> bool {
        self.node.matches(version)
    }

    /// Whether both leave room for a common version or branch.
    ///
    /// `*` meets everything, even what accepts nothing. Gaps between neighbouring versions are
    /// not known: `> 1.0.0.0-RC` meets `< 1.0.0.0-RC1`. Numbers from 2^63 on are out of sight.
    pub fn intersects(&self, other: &Self) -> bool {
        intervals::overlap(&self.node, &other.node)
    }

    /// The constraint that accepts exactly what both accept. It may accept nothing.
    #[must_use]
    pub fn intersect(&self, other: &Self) -> Self {
        let mut parts = Vec::new();
        for side in [self, other] {
            match &side.node {
                Node::Anything => {}
                Node::All(nodes) => parts.extend_from_slice(nodes),
                node => parts.push(node.clone()),
            }
        }
        let node = match parts.len() {
            0 => Node::Anything,
            1 => parts.swap_remove(0),
            _ => Node::All(parts),
        };
        Self { node }
    }

    /// The smallest range of numbers around the constraint; branches count as unbounded.
    pub fn bounds(&self) -> Bounds {
        bounds::of(&self.node)
    }
}

impl Node {
    fn compare(operator: Operator, version: String) -> Self {
        Self::Compare(Comparison {
            operator,
            version: Version::from_text(version),
        })
    }

    fn matches(&self, version: &Version) -> bool {
        match self {
            Self::Anything => true,
            Self::Compare(comparison) => comparison.accepts(version),
            Self::All(nodes) => nodes.iter().all(|node| node.matches(version)),
            Self::Any(nodes) => nodes.iter().any(|node| node.matches(version)),
        }
    }
}

impl Comparison {
    fn accepts(&self, version: &Version) -> bool {
        self.operator.holds(version, &self.version)
    }
}

impl Operator {
    /// Whether `left operator right` is true. Branches are only ever equal or not.
    fn holds(self, left: &Version, right: &Version) -> bool {
        if left.is_branch() || right.is_branch() {
            return match self {
                Self::Equal => left == right,
                Self::NotEqual => left != right,
                _ => false,
            };
        }
        let order = left.compare(right);
        match self {
            Self::Equal => order == Ordering::Equal,
            Self::NotEqual => order != Ordering::Equal,
            Self::Less => order == Ordering::Less,
            Self::LessOrEqual => order != Ordering::Greater,
            Self::Greater => order == Ordering::Greater,
            Self::GreaterOrEqual => order != Ordering::Less,
        }
    }

    fn as_str(self) -> &'static str {
        match self {
            Self::Equal => "==",
            Self::NotEqual => "!=",
            Self::Less => "<",
            Self::LessOrEqual => "<=",
            Self::Greater => ">",
            Self::GreaterOrEqual => ">=",
        }
    }
}

impl fmt::Display for Constraint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.node.fmt(f)
    }
}

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (nodes, separator) = match self {
            Self::Anything => return f.write_str("*"),
            Self::Compare(Comparison { operator, version }) => {
                return write!(f, "{} {version}", operator.as_str());
            }
            Self::All(nodes) => (nodes, " "),
            Self::Any(nodes) => (nodes, " || "),
        };
        f.write_str("[")?;
        for (index, node) in nodes.iter().enumerate() {
            if index > 0 {
                f.write_str(separator)?;
            }
            node.fmt(f)?;
        }
        f.write_str("]")
    }
}

impl FromStr for Constraint {
    type Err = InvalidConstraint;

    fn from_str(constraint: &str) -> Result<Self, Self::Err> {
        Self::parse(constraint)
    }
}
