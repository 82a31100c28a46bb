//! A constraint as stretches of the number line and a set of branches, to find what two share.

use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::sync::LazyLock;

use super::{Comparison, Node, Operator};
use crate::version::Version;

/// Below every number.
pub(super) static ZERO: LazyLock<Version> =
    LazyLock::new(|| Version::from_normalized("0.0.0.0-dev"));
/// Above every number that composer/semver expects.
pub(super) static INFINITY: LazyLock<Version> =
    LazyLock::new(|| Version::from_normalized("9223372036854775807.0.0.0"));

/// What a constraint accepts.
struct Accepted<'a> {
    numbers: Vec<Interval<'a>>,
    branches: Branches<'a>,
}

/// A stretch from a `>` or `>=` to a `<` or `<=`.
#[derive(Clone, Copy)]
struct Interval<'a> {
    start: Edge<'a>,
    end: Edge<'a>,
}

#[derive(Clone, Copy)]
struct Edge<'a> {
    operator: Operator,
    version: &'a Version,
}

/// The named branches, or all others.
enum Branches<'a> {
    Only(BTreeSet<&'a str>),
    Except(BTreeSet<&'a str>),
}

/// Whether some version or branch is accepted by both.
pub(super) fn overlap(a: &Node, b: &Node) -> bool {
    if matches!(a, Node::Anything) || matches!(b, Node::Anything) {
        return true;
    }
    let common = all(&[accepted(a), accepted(b)]);
    !common.numbers.is_empty() || !common.branches.is_empty()
}

fn accepted(node: &Node) -> Accepted<'_> {
    match node {
        Node::Anything => Accepted {
            numbers: vec![everything()],
            branches: Branches::Except(BTreeSet::new()),
        },
        Node::Compare(comparison) => compared(comparison),
        Node::All(nodes) => all(&nodes.iter().map(accepted).collect::<Vec<_>>()),
        Node::Any(nodes) => any(&nodes.iter().map(accepted).collect::<Vec<_>>()),
    }
}

fn compared(Comparison { operator, version }: &Comparison) -> Accepted<'_> {
    use Operator::{Equal, Greater, GreaterOrEqual, Less, LessOrEqual, NotEqual};
    let edge = |operator| Edge { operator, version };
    let Interval { start, end } = everything();
    let interval = |start, end| vec![Interval { start, end }];
    let name = || BTreeSet::from([version.as_str()]);
    let (numbers, branches) = match (operator, version.is_branch()) {
        (NotEqual, true) => (interval(start, end), Branches::Except(name())),
        (Equal, true) => (Vec::new(), Branches::Only(name())),
        (_, true) => (Vec::new(), Branches::none()),
        (NotEqual, false) => (
            [interval(start, edge(Less)), interval(edge(Greater), end)].concat(),
            Branches::Except(BTreeSet::new()),
        ),
        (Equal, false) => (
            interval(edge(GreaterOrEqual), edge(LessOrEqual)),
            Branches::none(),
        ),
        (Less | LessOrEqual, false) => (interval(start, edge(*operator)), Branches::none()),
        (Greater | GreaterOrEqual, false) => (interval(edge(*operator), end), Branches::none()),
    };
    Accepted { numbers, branches }
}

fn everything() -> Interval<'static> {
    Interval {
        start: Edge {
            operator: Operator::GreaterOrEqual,
            version: &ZERO,
        },
        end: Edge {
            operator: Operator::Less,
            version: &INFINITY,
        },
    }
}

fn all<'a>(parts: &[Accepted<'a>]) -> Accepted<'a> {
    Accepted {
        numbers: covered(parts, parts.len().cast_signed()),
        branches: parts
            .iter()
            .map(|part| &part.branches)
            .fold(Branches::Except(BTreeSet::new()), Branches::and),
    }
}

fn any<'a>(parts: &[Accepted<'a>]) -> Accepted<'a> {
    Accepted {
        numbers: covered(parts, 1),
        branches: parts
            .iter()
            .map(|part| &part.branches)
            .fold(Branches::none(), Branches::or),
    }
}

/// The stretches where at least `depth` of the parts' intervals lie over each other.
fn covered<'a>(parts: &[Accepted<'a>], depth: isize) -> Vec<Interval<'a>> {
    if let [only] = parts {
        return only.numbers.clone();
    }
    let mut edges: Vec<_> = parts
        .iter()
        .flat_map(|part| &part.numbers)
        .flat_map(|interval| [interval.start, interval.end])
        .collect();
    edges.sort_by(|a, b| a.version.compare(b.version).then(a.rank().cmp(&b.rank())));
    let mut intervals = Vec::new();
    // Below zero where an interval ends before it starts, as `< 0-DEV` does.
    let mut open: isize = 0;
    let mut start: Option<Edge<'a>> = None;
    for edge in edges {
        open += if edge.is_start() { 1 } else { -1 };
        match start {
            None if open >= depth => start = Some(edge),
            Some(from) if open < depth => {
                if !is_empty(from, edge) {
                    intervals.push(Interval {
                        start: from,
                        end: edge,
                    });
                }
                start = None;
            }
            _ => {}
        }
    }
    intervals
}

/// Whether nothing lies between two edges at one version: `> 1` to `<= 1`, `>= 1` to `< 1`.
fn is_empty(start: Edge<'_>, end: Edge<'_>) -> bool {
    let open_on_one_side = matches!(
        (start.operator, end.operator),
        (Operator::Greater, Operator::LessOrEqual) | (Operator::GreaterOrEqual, Operator::Less)
    );
    open_on_one_side && start.version.compare(end.version) == Ordering::Equal
}

impl Edge<'_> {
    fn is_start(self) -> bool {
        matches!(self.operator, Operator::Greater | Operator::GreaterOrEqual)
    }

    /// The order of edges at one version: ends that exclude it come before starts that do.
    fn rank(self) -> u8 {
        match self.operator {
            Operator::GreaterOrEqual => 0,
            Operator::Less => 1,
            Operator::Greater => 2,
            _ => 3,
        }
    }
}

impl Branches<'_> {
    fn none() -> Self {
        Self::Only(BTreeSet::new())
    }

    fn is_empty(&self) -> bool {
        matches!(self, Self::Only(names) if names.is_empty())
    }

    fn and(self, other: &Self) -> Self {
        match (self, other) {
            (Self::Only(a), Self::Only(b)) => Self::Only(&a & b),
            (Self::Only(a), Self::Except(b)) => Self::Only(&a - b),
            (Self::Except(a), Self::Only(b)) => Self::Only(b - &a),
            (Self::Except(a), Self::Except(b)) => Self::Except(&a | b),
        }
    }

    fn or(self, other: &Self) -> Self {
        match (self, other) {
            (Self::Only(a), Self::Only(b)) => Self::Only(&a | b),
            (Self::Only(a), Self::Except(b)) => Self::Except(b - &a),
            (Self::Except(a), Self::Only(b)) => Self::Except(&a - b),
            (Self::Except(a), Self::Except(b)) => Self::Except(&a & b),
        }
    }
}
