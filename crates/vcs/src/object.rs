//! What commits and trees say, read from their bytes.

use crate::oid::Oid;
use crate::read::CommitTime;

/// The last second of the year 9999.
const LAST_SECOND: i64 = 253_402_300_799;

/// What kind of object something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ObjectKind {
    /// A commit.
    Commit,
    /// A folder.
    Tree,
    /// The content of a file, or the target of a symbolic link.
    Blob,
    /// An annotated tag.
    Tag,
}

impl ObjectKind {
    pub(crate) fn parse(text: &str) -> Option<Self> {
        match text {
            "commit" => Some(Self::Commit),
            "tree" => Some(Self::Tree),
            "blob" => Some(Self::Blob),
            "tag" => Some(Self::Tag),
            _ => None,
        }
    }
}

/// The head of a commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Commit {
    pub(crate) tree: Oid,
    pub(crate) time: CommitTime,
}

impl Commit {
    /// Reads the lines before the message; `None` if they do not begin as a commit does. Of several lines about one person
    /// the last counts, as for git.
    pub(crate) fn parse(bytes: &[u8]) -> Option<Self> {
        let mut lines = bytes.split(|byte| *byte == b'\n');
        let tree = lines.next()?.strip_prefix(b"tree ")?;
        let tree = Oid::parse(str::from_utf8(tree).ok()?).ok()?;
        let mut time = CommitTime {
            authored: 0,
            committed: 0,
        };
        for line in lines.take_while(|line| !line.is_empty()) {
            if let Some(person) = line.strip_prefix(b"author ") {
                time.authored = moment(person);
            } else if let Some(person) = line.strip_prefix(b"committer ") {
                time.committed = moment(person);
            }
        }
        Some(Self { tree, time })
    }
}

/// `NAME <ADDRESS> SECONDS ZONE` in milliseconds; a date that git cannot read is 1970.
fn moment(person: &[u8]) -> i64 {
    let seconds = || {
        let end = person.iter().rposition(|byte| *byte == b'>')?;
        let mut words = str::from_utf8(&person[end + 1..]).ok()?.split_whitespace();
        let seconds = words
            .next()
            .filter(|word| word.bytes().all(|b| b.is_ascii_digit()))?;
        words.next().filter(|zone| zone.starts_with(['+', '-']))?;
        seconds.parse::<i64>().ok()
    };
    seconds().unwrap_or(0).clamp(0, LAST_SECOND) * 1000
}

/// What an entry of a tree is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    File { executable: bool },
    Link,
    Folder,
    Submodule,
}

/// An entry of a tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TreeEntry<'a> {
    pub(crate) name: &'a [u8],
    pub(crate) mode: Mode,
    pub(crate) oid: Oid,
}

/// The entries of a tree: `MODE NAME`, a zero byte, and a name of 20 bytes, again and again. `None` in place of an
/// entry: the rest cannot be read.
pub(crate) fn entries(mut tree: &[u8]) -> impl Iterator<Item = Option<TreeEntry<'_>>> {
    std::iter::from_fn(move || {
        if tree.is_empty() {
            return None;
        }
        let split = split_entry(tree);
        tree = split.map_or(&[], |(_, rest)| rest);
        Some(split.map(|(entry, _)| entry))
    })
}

fn split_entry(tree: &[u8]) -> Option<(TreeEntry<'_>, &[u8])> {
    let space = tree.iter().position(|byte| *byte == b' ')?;
    let mode = mode(&tree[..space])?;
    let rest = &tree[space + 1..];
    let zero = rest.iter().position(|byte| *byte == 0)?;
    let name = &rest[..zero];
    let (oid, rest) = Oid::split_from(&rest[zero + 1..])?;
    (!name.is_empty()).then_some((TreeEntry { name, mode, oid }, rest))
}

/// Octal digits, of which git looks at the kind and at who may execute.
fn mode(digits: &[u8]) -> Option<Mode> {
    let text = str::from_utf8(digits).ok().filter(|text| text.len() <= 7)?;
    let bits = u32::from_str_radix(text, 8).ok()?;
    match bits & 0o170_000 {
        0o100_000 => Some(Mode::File {
            executable: bits & 0o100 != 0,
        }),
        0o120_000 => Some(Mode::Link),
        0o040_000 => Some(Mode::Folder),
        0o160_000 => Some(Mode::Submodule),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TREE: &str = "0123456789abcdef0123456789abcdef01234567";

    fn time(head: &str) -> CommitTime {
        let text = format!("tree {TREE}\n{head}\nauthor A <a@b> 9 +0000\n");
        Commit::parse(text.as_bytes()).unwrap().time
    }

    #[test]
    fn the_head_of_a_commit_gives_tree_and_dates_and_its_message_nothing() {
        let head = "parent 1\nauthor A U <a@b> 12 +0200\ncommitter B <b> 34 -0100\ngpgsig x\n\n";
        let expected = CommitTime {
            authored: 12_000,
            committed: 34_000,
        };
        assert_eq!(time(head), expected);
        assert_eq!(time("\ncommitter B <b> 34 +0000").committed, 0);
        for other in ["", "tag x\n", "tree 12\n"] {
            assert_eq!(Commit::parse(other.as_bytes()), None);
        }
    }

    #[test]
    fn dates_that_git_cannot_read_are_1970_and_the_latest_is_9999() {
        for (person, expected) in [
            ("A <a> 12 +0000", 12_000),
            ("A <a>b> 12 +0000", 12_000),
            ("A <a>  12   +0000", 12_000),
            ("A <a>12 +0000", 12_000),
            ("A <a> 12", 0),
            ("A <a> -12 +0000", 0),
            ("A <a> 1x2 +0000", 0),
            ("A <a>", 0),
            ("A 12 +0000", 0),
            ("A <a> 999999999999999999 +0000", LAST_SECOND * 1000),
            ("A <a> 99999999999999999999 +0000", 0),
        ] {
            assert_eq!(moment(person.as_bytes()), expected, "{person}");
        }
    }

    #[test]
    fn entries_of_a_tree_are_read_up_to_the_first_that_is_broken() {
        let mut tree = Vec::new();
        for head in ["100644 a b", "100755 x", "120000 l", "40000 d", "160000 m"] {
            tree.extend_from_slice(head.as_bytes());
            tree.extend_from_slice(&[0; 21]);
        }
        let names = |tree: &[u8]| -> Vec<_> {
            entries(tree)
                .map(|entry| {
                    entry.map(|it| (String::from_utf8_lossy(it.name).into_owned(), it.mode))
                })
                .collect()
        };
        let file = |executable| Mode::File { executable };
        let whole = [
            ("a b", file(false)),
            ("x", file(true)),
            ("l", Mode::Link),
            ("d", Mode::Folder),
            ("m", Mode::Submodule),
        ];
        let whole: Vec<_> = whole
            .map(|(name, mode)| Some((name.to_owned(), mode)))
            .into();
        assert_eq!(names(&tree), whole);
        for broken in [
            "1006",
            "100644 a",
            "777777777 a\0",
            "000000 a\0",
            "100644 \0",
        ] {
            let broken = [broken.as_bytes(), &[1; 19]].concat();
            assert_eq!(names(&broken), [None], "{broken:?}");
        }
        assert_eq!(names(&tree[..tree.len() - 1]).last(), Some(&None));
    }
}
