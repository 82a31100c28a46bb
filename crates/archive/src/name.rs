//! Paths inside archives: what they may be called, and where links may point.

use std::borrow::Cow;

use crate::error::ArchiveError;

/// The longest path, as on Linux.
const LONGEST: usize = 4096;

/// Refuses a path that could lead out of the directory it is unpacked in, on any system, or that hides something.
/// `path` is without a slash at its end.
pub(crate) fn check(path: &[u8]) -> Result<(), ArchiveError> {
    problem(path).map_or(Ok(()), |problem| {
        Err(ArchiveError::Name {
            name: text(path).into_owned(),
            problem,
        })
    })
}

fn problem(path: &[u8]) -> Option<&'static str> {
    if path.is_empty() {
        return Some("is empty");
    }
    if path.len() > LONGEST {
        return Some("is longer than 4096 bytes");
    }
    if path[0] == b'/' {
        return Some("is absolute");
    }
    if path[0].is_ascii_alphabetic() && path.get(1) == Some(&b':') {
        return Some("begins with a drive letter");
    }
    if path.contains(&b'\\') {
        return Some("contains a backslash");
    }
    if text(path).chars().any(char::is_control) {
        return Some("contains a control character");
    }
    path.split(|byte| *byte == b'/')
        .find_map(|segment| match segment {
            b"" => Some("has an empty segment"),
            b"." | b".." => Some("has a segment of dots"),
            _ => None,
        })
}

/// Whether a symbolic link stays in the tree, judged by its text alone.
///
/// `..` counts only at the beginning of the target, where it climbs real directories; behind a name it could climb
/// from wherever another link leads.
pub(crate) fn link_stays_inside(link: &[u8], target: &[u8]) -> bool {
    if target.is_empty() || target[0] == b'/' || target.contains(&0) || target.contains(&b'\\') {
        return false;
    }
    let depth = ancestors(link).count();
    let mut climbed = 0;
    let mut descended = false;
    for segment in target.split(|byte| *byte == b'/') {
        match segment {
            b"" | b"." => {}
            b".." if descended => return false,
            b".." => climbed += 1,
            _ => descended = true,
        }
    }
    climbed <= depth
}

/// The directories above a path, nearest first, each with its slash.
pub(crate) fn ancestors(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    let inner = path.strip_suffix(b"/").unwrap_or(path);
    (0..inner.len())
        .rev()
        .filter(move |index| inner[*index] == b'/')
        .map(move |index| &inner[..=index])
}

/// A name as text; bytes that are no UTF-8 are read as Latin-1, so that different names stay different.
pub(crate) fn text(name: &[u8]) -> Cow<'_, str> {
    match str::from_utf8(name) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => Cow::Owned(name.iter().map(|byte| char::from(*byte)).collect()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ordinary_paths_pass_and_dangerous_ones_say_why() {
        for path in [
            "a",
            "a/b.php",
            "...",
            "a/..b",
            ".git",
            "Ünïcode/é",
            "a b",
            "src:a",
        ] {
            assert_eq!(problem(path.as_bytes()), None, "{path}");
        }
        for (path, expected) in [
            ("", "is empty"),
            ("/etc/passwd", "is absolute"),
            ("C:/x", "begins with a drive letter"),
            ("c:x", "begins with a drive letter"),
            ("a\\b", "contains a backslash"),
            ("a\0b", "contains a control character"),
            ("a\nb", "contains a control character"),
            ("a\u{1b}[2J", "contains a control character"),
            ("a\u{85}", "contains a control character"),
            ("..", "has a segment of dots"),
            ("a/../b", "has a segment of dots"),
            ("a/./b", "has a segment of dots"),
            ("a//b", "has an empty segment"),
            ("a/", "has an empty segment"),
        ] {
            assert_eq!(problem(path.as_bytes()), Some(expected), "{path:?}");
        }
        assert_eq!(problem(&[b'x'; 4097]), Some("is longer than 4096 bytes"));
    }

    #[test]
    fn links_are_judged_by_where_they_climb() {
        for (link, target) in [
            ("a", "b"),
            ("a", "./b/c"),
            ("d/a", "../b"),
            ("d/e/a", "../../b"),
            ("d/a", ".."),
            ("a", "b/.hidden/..x"),
        ] {
            assert!(
                link_stays_inside(link.as_bytes(), target.as_bytes()),
                "{link} -> {target}"
            );
        }
        for (link, target) in [
            ("a", ""),
            ("a", "/etc/passwd"),
            ("a", ".."),
            ("a", "../b"),
            ("d/a", "../../b"),
            ("d/a", "./../../b"),
            ("d/a", "x/../../../b"),
            ("d/a", "x/.."),
            ("a", "..\\b"),
        ] {
            assert!(
                !link_stays_inside(link.as_bytes(), target.as_bytes()),
                "{link} -> {target}"
            );
        }
    }

    #[test]
    fn ancestors_come_nearest_first() {
        let of = |path: &'static str| {
            ancestors(path.as_bytes())
                .map(|bytes| str::from_utf8(bytes).unwrap())
                .collect::<Vec<_>>()
        };
        assert_eq!(of("a/b/c"), ["a/b/", "a/"]);
        assert_eq!(of("a/b/"), ["a/"]);
        assert!(of("a").is_empty());
    }
}
