//! `export-ignore` of `.gitattributes`, as far as it can be judged without git.
//!
//! Whatever could mean something else to git, or has git change files, makes a file of attributes *peculiar*: then git
//! itself archives the commit. What is left has to be judged exactly as git does.

use crate::pattern::Pattern;

/// That only git can tell.
struct Peculiar;

/// Longer lines are passed over by git, with limits that have changed: they are left to it.
const LONGEST_LINE: usize = 1024;
const BLANK: [char; 3] = [' ', '\t', '\r'];

/// What one `.gitattributes` says about paths below its folder.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Attributes {
    /// In the order of the file: the last one that matches counts.
    rules: Vec<(Pattern, bool)>,
}

impl Attributes {
    /// Larger files are left to git, in bytes.
    pub(crate) const LARGEST: u64 = 64 * 1024;

    /// Reads a file; `None` if it is peculiar.
    pub(crate) fn parse(content: &[u8]) -> Option<Self> {
        if content.contains(&0) || content.starts_with(b"\xef\xbb\xbf") {
            return None;
        }
        let text = str::from_utf8(content).ok()?;
        let mut rules = Vec::new();
        for line in text.split('\n') {
            let line = line.trim_start_matches(BLANK);
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            if line.len() > LONGEST_LINE {
                return None;
            }
            rules.extend(rule(line).ok()?);
        }
        Some(Self { rules })
    }

    /// How much work it is to judge a path, in steps for each byte of it.
    pub(crate) fn weight(&self) -> u64 {
        self.rules.iter().map(|(pattern, _)| pattern.weight()).sum()
    }

    /// Whether `path`, which is relative to this file's folder, is to be left out; `None`: it does not say.
    pub(crate) fn ignores(&self, path: &[u8], is_folder: bool) -> Option<bool> {
        let matching = |(pattern, _): &&(Pattern, bool)| pattern.matches(path, is_folder);
        self.rules
            .iter()
            .rev()
            .find(matching)
            .map(|(_, ignored)| *ignored)
    }
}

/// What a line says about `export-ignore`, if anything.
fn rule(line: &str) -> Result<Option<(Pattern, bool)>, Peculiar> {
    let (pattern, attributes) = line.split_once(BLANK).unwrap_or((line, ""));
    let mut ignored = None;
    for attribute in attributes.split(BLANK).filter(|word| !word.is_empty()) {
        ignored = ignores(attribute)?.or(ignored);
    }
    // Also a pattern that says nothing here must be one that git reads as we do: the line may be a macro.
    let pattern = Pattern::parse(pattern).ok_or(Peculiar)?;
    Ok(ignored.map(|ignored| (pattern, ignored)))
}

/// What an attribute says about `export-ignore`, if anything.
fn ignores(attribute: &str) -> Result<Option<bool>, Peculiar> {
    let (name, value) = match attribute.split_once('=') {
        Some((name, value)) => (name, Some(value)),
        None => (attribute, None),
    };
    let bare = name.strip_prefix(['-', '!']);
    let plain = bare.unwrap_or(name);
    let is_name = plain
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
    // Because of one bad name git passes over the whole line.
    if !is_name || plain.is_empty() || plain.starts_with('-') || plain.starts_with("builtin_") {
        return Err(Peculiar);
    }
    match (plain, value) {
        ("export-ignore", None) => Ok(Some(bare.is_none())),
        ("export-ignore", Some(_)) => Ok(Some(false)),
        ("eol", Some("lf")) => Ok(None),
        // These have git change what is in files.
        ("eol" | "export-subst" | "ident" | "working-tree-encoding" | "crlf", _) => Err(Peculiar),
        _ => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ignored(attributes: &str, path: &str) -> Option<bool> {
        let attributes = Attributes::parse(attributes.as_bytes()).expect("not peculiar");
        let name = path.trim_end_matches('/');
        attributes.ignores(name.as_bytes(), name != path)
    }

    #[test]
    fn the_last_line_that_matches_counts() {
        let text = "# tests\n/tests export-ignore\n\n*.md\ttext export-ignore diff\r\nREADME.md -export-ignore\n";
        for (path, expected) in [
            ("tests/", Some(true)),
            ("tests", Some(true)),
            ("src/tests", None),
            ("CHANGES.md", Some(true)),
            ("docs/a.md", Some(true)),
            ("README.md", Some(false)),
            ("src", None),
        ] {
            assert_eq!(ignored(text, path), expected, "{path}");
        }
        assert_eq!(
            ignored("a export-ignore\na !export-ignore", "a"),
            Some(false)
        );
        assert_eq!(ignored("a -export-ignore export-ignore", "a"), Some(true));
        assert_eq!(ignored("a export-ignore=yes", "a"), Some(false));
        assert_eq!(ignored("tests/ export-ignore", "tests"), None);
    }

    #[test]
    fn what_git_may_read_otherwise_is_peculiar() {
        for text in [
            "* export-subst",
            "* -export-subst",
            "*.txt text eol=crlf",
            "* ident",
            "a working-tree-encoding=UTF-16",
            "[attr]hidden export-ignore",
            "a[bc] export-ignore",
            "\"a b\" export-ignore",
            "a\\ b export-ignore",
            "!a export-ignore",
            "/tests export-ignore # comment",
            "a --export-ignore",
            "a builtin_x",
            "a **b export-ignore\nx** export-ignore",
            "\u{feff}a export-ignore",
            "a\0b export-ignore",
        ] {
            assert_eq!(Attributes::parse(text.as_bytes()), None, "{text:?}");
        }
        assert_eq!(Attributes::parse(&[b'a'; 2000]), None);
        assert_eq!(Attributes::parse(b"\xff export-ignore"), None);
    }

    #[test]
    fn usual_files_are_not() {
        let text = "* text=auto eol=lf\n*.blade.php diff=html\n/.github export-ignore\n*.png binary\n*.x filter=lfs -text\n";
        assert_eq!(ignored(text, ".github/"), Some(true));
        assert_eq!(ignored(text, "a.png"), None);
    }
}
