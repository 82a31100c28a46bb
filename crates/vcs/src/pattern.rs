//! Patterns of `.gitattributes`, matched as git matches them.

/// A pattern without what would need more than this: brackets, backslashes, quotes, negation.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Pattern {
    /// Without a slash at the beginning or the end.
    parts: Vec<Part>,
    /// Whether only folders are meant: it ends with a slash.
    only_folders: bool,
    /// Whether the last part of a path is compared, whatever stands before it: it has no other slash.
    anywhere: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    /// This byte.
    Byte(u8),
    /// `?`: any byte but a slash.
    One,
    /// `*`: any number of bytes, no slash among them.
    Some,
    /// `**` at the end: anything.
    All,
    /// `**/`: any number of folders.
    Folders,
}

impl Pattern {
    /// Reads a pattern; `None` if git may read it otherwise.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        if text.starts_with('!') || text.contains(['\\', '[', '"']) {
            return None;
        }
        let (text, only_folders) = match text.strip_suffix('/') {
            Some(text) => (text, true),
            None => (text, false),
        };
        let anywhere = !text.contains('/');
        let text = text.strip_prefix('/').unwrap_or(text);
        if text.is_empty() || text.starts_with('/') || text.ends_with('/') {
            return None;
        }
        if anywhere && text.contains("**") {
            return None;
        }
        Some(Self {
            parts: parts(text.as_bytes())?,
            only_folders,
            anywhere,
        })
    }

    /// How much work it is to match it, in steps for each byte of a path.
    pub(crate) fn weight(&self) -> u64 {
        self.parts.len() as u64
    }

    /// Whether a path below the folder of the attributes matches; it is without a slash at its end.
    pub(crate) fn matches(&self, path: &[u8], is_folder: bool) -> bool {
        if self.only_folders && !is_folder {
            return false;
        }
        let start = match path.iter().rposition(|byte| *byte == b'/') {
            Some(slash) if self.anywhere => slash + 1,
            _ => 0,
        };
        matches(&self.parts, &path[start..])
    }
}

fn parts(text: &[u8]) -> Option<Vec<Part>> {
    let mut parts = Vec::with_capacity(text.len());
    let mut at = 0;
    while at < text.len() {
        let rest = &text[at..];
        if rest.starts_with(b"**") {
            // Without a slash on both sides it is not what it looks like.
            if at > 0 && text[at - 1] != b'/' {
                return None;
            }
            match rest.get(2) {
                None => parts.push(Part::All),
                Some(b'/') => parts.push(Part::Folders),
                Some(_) => return None,
            }
            at += 3;
            continue;
        }
        parts.push(match text[at] {
            b'*' => Part::Some,
            b'?' => Part::One,
            byte => Part::Byte(byte),
        });
        at += 1;
    }
    Some(parts)
}

/// Whether the parts stand for exactly `text`: which beginnings of it the parts so far can stand for is carried along.
fn matches(parts: &[Part], text: &[u8]) -> bool {
    let mut reached = vec![false; text.len() + 1];
    reached[0] = true;
    for part in parts {
        match part {
            Part::Byte(_) | Part::One => {
                for at in (0..text.len()).rev() {
                    let fits = match part {
                        Part::Byte(byte) => text[at] == *byte,
                        _ => text[at] != b'/',
                    };
                    reached[at + 1] = reached[at] && fits;
                }
                reached[0] = false;
            }
            Part::Some => {
                for at in 0..text.len() {
                    reached[at + 1] |= reached[at] && text[at] != b'/';
                }
            }
            Part::All => {
                for at in 0..text.len() {
                    reached[at + 1] |= reached[at];
                }
            }
            Part::Folders => {
                let mut begun = false;
                for at in 0..text.len() {
                    begun |= reached[at];
                    reached[at + 1] |= begun && text[at] == b'/';
                }
            }
        }
    }
    reached[text.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_as_git_matches_them() {
        for (pattern, path, expected) in [
            ("tests", "tests", true),
            ("tests", "a/tests", true),
            ("tests", "tests/a", false),
            ("/tests", "tests", true),
            ("/tests", "a/tests", false),
            ("a/b", "a/b", true),
            ("a/b", "x/a/b", false),
            ("*.md", "a.md", true),
            ("*.md", "docs/a.md", true),
            ("/*.md", "docs/a.md", false),
            (".*", ".git", true),
            ("*", "a", true),
            ("a*b*c", "axbxbc", true),
            ("a*b*c", "axbxb", false),
            ("a?c", "abc", true),
            ("/a?c", "a/c", false),
            ("docs/*", "docs/a", true),
            ("docs/*", "docs/a/b", false),
            ("docs/**", "docs/a/b", true),
            ("docs/**", "docs", false),
            ("**/a", "a", true),
            ("**/a", "x/y/a", true),
            ("**/a", "xa", false),
            ("a/**/b", "a/b", true),
            ("a/**/b", "a/x/y/b", true),
            ("a/**/b", "ab", false),
            ("a/**/*.md", "a/x.md", true),
            ("a/*/b", "a/x/b", true),
            ("a/*/b", "a/x/y/b", false),
            ("**/", "x", false),
        ] {
            let parsed = Pattern::parse(pattern);
            let matched = parsed.is_some_and(|it| it.matches(path.as_bytes(), false));
            assert_eq!(matched, expected, "{pattern} {path}");
        }
        let folders = Pattern::parse("build/").unwrap();
        assert!(folders.matches(b"a/build", true) && !folders.matches(b"a/build", false));
    }

    #[test]
    fn many_stars_take_no_time() {
        let pattern = Pattern::parse(&"*a".repeat(300)).unwrap();
        assert!(!pattern.matches(&b"a".repeat(299), false));
        assert!(pattern.matches(&b"a".repeat(4000), false));
    }

    #[test]
    fn what_git_may_read_otherwise_is_left_to_it() {
        for text in [
            "", "/", "//a", "a//", "!a", "a**", "**a", "**", "a/x**", "[a]", "\\a", "\"a\"",
        ] {
            assert_eq!(Pattern::parse(text), None, "{text}");
        }
    }
}
