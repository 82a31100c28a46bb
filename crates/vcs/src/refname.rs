//! Which names of branches and tags can be mirrored.

use crate::error::VcsError;

/// The longest name, in bytes.
const MAX_NAME: usize = 1000;
/// The longest part between slashes: a file name, with room for git's ".lock".
const MAX_PART: usize = 240;

/// Checks the full name of a branch or tag as `git check-ref-format` does; a reason if it cannot be mirrored.
///
/// A leading "-" and shell characters are fine: a name is data, never an argument.
pub(crate) fn check(name: &str) -> Result<(), &'static str> {
    let rest = name
        .strip_prefix("refs/heads/")
        .or_else(|| name.strip_prefix("refs/tags/"))
        .ok_or("it is neither a branch nor a tag")?;
    if name.len() > MAX_NAME {
        return Err("its name is too long");
    }
    if name.contains("..") || name.contains("@{") {
        return Err("its name contains \"..\" or \"@{\"");
    }
    let forbidden = |c: char| " ~^:?*[\\".contains(c) || crate::text::is_invisible(c);
    if name.contains(forbidden) {
        return Err("its name contains a space, a control character or one of ~^:?*[\\");
    }
    if name.ends_with('.') {
        return Err("its name ends with \".\"");
    }
    rest.split('/').try_for_each(check_part)
}

fn check_part(part: &str) -> Result<(), &'static str> {
    if part.is_empty() {
        return Err("its name has an empty part");
    }
    if part.len() > MAX_PART {
        return Err("a part of its name is too long");
    }
    if part.starts_with('.') {
        return Err("a part of its name begins with \".\"");
    }
    #[expect(
        clippy::case_sensitive_file_extension_comparisons,
        reason = "git's rule is about these five characters"
    )]
    if part.ends_with(".lock") {
        return Err("a part of its name ends with \".lock\"");
    }
    Ok(())
}

/// The taken name that stands in the way of another: `a` beside `a/b` cannot both be files.
pub(crate) fn blocked_by(name: &str, taken: impl Fn(&str) -> bool) -> Option<&str> {
    name.rmatch_indices('/')
        .map(|(slash, _)| &name[..slash])
        .find(|above| taken(above))
}

/// Whether this is a SHA-1 object name as git prints it.
pub(crate) fn is_oid(text: &str) -> bool {
    text.len() == 40
        && text
            .bytes()
            .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// Refuses everything else where an object name is needed.
pub(crate) fn check_oid(text: &str) -> Result<(), VcsError> {
    if is_oid(text) {
        return Ok(());
    }
    Err(VcsError::InvalidName {
        kind: "object name",
        subject: text.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::{blocked_by, check};

    #[test]
    fn names_are_judged_like_check_ref_format() {
        for good in [
            "main",
            "-f",
            "$(touch x)",
            "a;b",
            "ü",
            "a/b.c",
            "@",
            "'\"`|&",
        ] {
            let spaceless = good.replace(' ', "");
            assert_eq!(check(&format!("refs/heads/{spaceless}")), Ok(()), "{good}");
        }
        for bad in [
            "",
            "a b",
            "*",
            "a..b",
            "a/.b",
            "a.lock",
            "a.lock/b",
            "a~1",
            "a^",
            "a:b",
            "a?",
            "[a",
            "a\\b",
            "a/",
            "/a",
            "a.",
            "a@{b",
            "a\u{1b}[31m",
            "a\u{202e}b",
        ] {
            assert!(check(&format!("refs/tags/{bad}")).is_err(), "{bad:?}");
        }
        assert!(check("refs/pull/1/head").is_err());
        assert!(check("HEAD").is_err());
    }

    #[test]
    fn a_folder_and_a_file_of_one_name_exclude_each_other() {
        let taken = |name: &str| name == "refs/heads/a";
        assert_eq!(blocked_by("refs/heads/a/b/c", taken), Some("refs/heads/a"));
        assert_eq!(blocked_by("refs/heads/ab", taken), None);
    }
}
