//! Query strings as PHP reads them (`parse_str`), and the one form of them that a signature covers.
//!
//! The rules are those of PHP 8.2 and were compared with it. A server must take its parameters from here too: what another
//! reader would see in a query is not what was signed. Signatures of version 1 cover no query at all: nothing that such a request
//! changes may depend on one.

use indexmap::IndexMap;

use crate::encode::{decoded, encoded};

/// PHP's `max_input_vars`: it drops what comes after.
const MOST: usize = 1_000;
/// PHP's `max_input_nesting_level`: it drops what lies deeper.
const DEEPEST: usize = 64;

/// How names of cookies begin that PHP lets nobody imitate; it does not tell them from parameters.
const PROTECTED: [&[u8]; 2] = [b"__Host-", b"__Secure-"];

/// Why a query is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidQuery {
    /// PHP would drop some, and the signature would not cover them.
    #[error("the query has more than {MOST} parameters")]
    TooMany,
    /// As above.
    #[error("a parameter of the query is nested more than {DEEPEST} levels deep")]
    TooDeep,
}

/// The parameters of a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Query(Entries);

/// What a parameter is called, in an array or at the top.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Key {
    /// An index: `a[3]`, or given by PHP for `a[]`.
    Index(i64),
    /// Anything else; the bytes need not be UTF-8.
    Name(Vec<u8>),
}

/// What a parameter is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Node {
    /// Its value; the bytes need not be UTF-8.
    Value(Vec<u8>),
    /// An array.
    Array(Entries),
}

/// An array: its elements in the order in which they came first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Entries {
    all: IndexMap<Key, Node>,
    /// The index of the next element without one; `None`: no element has had one.
    next: Option<i64>,
}

impl Query {
    /// Reads what stands after the question mark.
    pub fn parse(query: &str) -> Result<Self, InvalidQuery> {
        let mut entries = Entries::default();
        let pieces = query.as_bytes().split(|byte| *byte == b'&');
        for (index, piece) in pieces.filter(|piece| !piece.is_empty()).enumerate() {
            if index == MOST {
                return Err(InvalidQuery::TooMany);
            }
            let equals = piece.iter().position(|byte| *byte == b'=');
            let (name, value) =
                equals.map_or((piece, &b""[..]), |at| (&piece[..at], &piece[at + 1..]));
            if let Some(path) = path(&decoded(name))? {
                let value = path.is_open.then(|| decoded(value));
                entries.set(&path.keys, value);
            }
        }
        Ok(Self(entries))
    }

    /// The parameter of that name, unless it is an array, is not UTF-8 or is not there.
    pub fn get(&self, name: &str) -> Option<&str> {
        match self.0.all.get(&Key::of(name.as_bytes()))? {
            Node::Value(value) => std::str::from_utf8(value).ok(),
            Node::Array(_) => None,
        }
    }

    /// Whether there is a parameter of that name, whatever it is.
    pub fn has(&self, name: &str) -> bool {
        self.0.all.contains_key(&Key::of(name.as_bytes()))
    }

    /// Every parameter at the top, in the order in which they came first.
    pub fn iter(&self) -> impl Iterator<Item = (&Key, &Node)> {
        self.0.all.iter()
    }

    /// What is signed: the top level sorted by the bytes of the names, everything percent-encoded.
    pub fn canonical(&self) -> String {
        let mut top: Vec<_> = self
            .0
            .all
            .iter()
            .map(|(key, node)| (key.bytes(), node))
            .collect();
        top.sort_by(|(a, _), (b, _)| a.cmp(b));
        let mut text = String::new();
        for (name, node) in top {
            write(&mut text, &mut encoded(&name), node);
        }
        text
    }
}

/// Writes `node`, whose encoded name is known.
fn write(text: &mut String, name: &mut String, node: &Node) {
    match node {
        Node::Value(value) => {
            if !text.is_empty() {
                text.push('&');
            }
            text.push_str(name);
            text.push('=');
            text.push_str(&encoded(value));
        }
        Node::Array(entries) => {
            for (key, node) in &entries.all {
                let above = name.len();
                name.push_str("%5B");
                name.push_str(&encoded(&key.bytes()));
                name.push_str("%5D");
                write(text, name, node);
                name.truncate(above);
            }
        }
    }
}

impl Key {
    /// What PHP makes of a name: decimal numbers as it would write them are indexes.
    fn of(name: &[u8]) -> Self {
        let index = std::str::from_utf8(name).ok().and_then(|text| {
            let index: i64 = text.parse().ok()?;
            (index.to_string() == text).then_some(index)
        });
        index.map_or_else(|| Self::Name(name.to_vec()), Self::Index)
    }

    /// As it would be written, if that is text.
    pub fn as_text(&self) -> Option<String> {
        String::from_utf8(self.bytes()).ok()
    }

    fn bytes(&self) -> Vec<u8> {
        match self {
            Self::Index(index) => index.to_string().into_bytes(),
            Self::Name(name) => name.clone(),
        }
    }
}

impl Entries {
    /// The elements.
    pub fn iter(&self) -> impl Iterator<Item = (&Key, &Node)> {
        self.all.iter()
    }

    /// Sets the value at the end of a path; without one, sees to it that there is an array.
    fn set(&mut self, path: &[Option<Key>], value: Option<Vec<u8>>) {
        let Some((first, rest)) = path.split_first() else {
            return;
        };
        let next = self.next.unwrap_or(0);
        let key = first.clone().unwrap_or(Key::Index(next));
        if first.is_none() && self.all.contains_key(&key) {
            // There are no more indexes.
            return;
        }
        if let Key::Index(index) = key {
            let after = index.saturating_add(1);
            self.next = Some(self.next.map_or(after, |next| next.max(after)));
        }
        let (rest, value) = match (rest, value) {
            ([], Some(value)) => {
                self.all.insert(key, Node::Value(value));
                return;
            }
            further => further,
        };
        let node = self
            .all
            .entry(key)
            .or_insert_with(|| Node::Array(Self::default()));
        if let Node::Value(_) = node {
            *node = Node::Array(Self::default());
        }
        if let Node::Array(entries) = node {
            entries.set(rest, value);
        }
    }
}

/// Where a name leads to.
struct Path {
    /// `a[b][]` leads to `a`, `b` and `None`, the next index.
    keys: Vec<Option<Key>>,
    /// Whether that is the whole way: it ends before the name of a protected cookie.
    is_open: bool,
}

/// Reads a decoded name; `None`: PHP drops it.
fn path(name: &[u8]) -> Result<Option<Path>, InvalidQuery> {
    let end = name
        .iter()
        .position(|byte| *byte == 0)
        .unwrap_or(name.len());
    let begin = name[..end]
        .iter()
        .position(|byte| *byte != b' ')
        .unwrap_or(end);
    let name = &name[begin..end];
    let bracket = name
        .iter()
        .position(|byte| *byte == b'[')
        .unwrap_or(name.len());
    let (top, mut rest) = name.split_at(bracket);
    if top.is_empty() {
        return Ok(None);
    }
    let mut top: Vec<u8> = top.iter().map(|byte| plain(*byte)).collect();
    let mut keys = Vec::new();
    while let Some(inside) = rest.strip_prefix(b"[") {
        if keys.len() == DEEPEST {
            return Err(InvalidQuery::TooDeep);
        }
        // A space before the bracket that closes is not looked at.
        let skipped = usize::from(inside.first().is_some_and(|byte| is_space(*byte)));
        if inside.get(skipped) == Some(&b']') {
            keys.push(None);
            rest = &inside[skipped + 1..];
            continue;
        }
        let Some(close) = inside.iter().position(|byte| *byte == b']') else {
            // One that is not closed belongs to the name, if it is the first.
            if keys.is_empty() {
                top.push(b'_');
                top.extend(inside.iter().map(|byte| plain(*byte)));
            }
            break;
        };
        keys.push(Some(Key::of(&inside[..close])));
        rest = &inside[close + 1..];
    }
    keys.insert(0, Some(Key::of(&top)));
    let imitates = |key: &[u8], prefix: &[u8]| key.starts_with(prefix) && !name.starts_with(prefix);
    let is_closed = |key: &Option<Key>| match key {
        Some(Key::Name(key)) => PROTECTED.iter().any(|prefix| imitates(key, prefix)),
        _ => false,
    };
    let closed = keys.iter().position(is_closed);
    keys.truncate(closed.unwrap_or(keys.len()));
    let is_open = closed.is_none();
    Ok((!keys.is_empty()).then_some(Path { keys, is_open }))
}

/// Names of variables have neither dots nor spaces.
fn plain(byte: u8) -> u8 {
    match byte {
        b' ' | b'.' | b'[' => b'_',
        other => other,
    }
}

/// C's `isspace`.
fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t'..=b'\r')
}
