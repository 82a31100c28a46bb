//! Cutting a constraint at `||` and at its commas and spaces.

use crate::version::grammar::{before_end, is_space};

/// The alternatives around `|` and `||`, without the white space at the bars.
pub(super) fn alternatives(constraint: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let mut rest = constraint;
    while let Some(bar) = rest.find('|') {
        parts.push(rest[..bar].trim_end_matches(is_space_char));
        let after = &rest[bar + 1..];
        let after = after.strip_prefix('|').unwrap_or(after);
        rest = after.trim_start_matches(is_space_char);
    }
    parts.push(rest);
    parts
}

fn is_space_char(character: char) -> bool {
    u8::try_from(character).is_ok_and(is_space)
}

/// The parts between commas and spaces, but for those at an operator, a hyphen or an `as`.
pub(super) fn conjunction(alternative: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let (mut start, mut at) = (0, 0);
    while let Some(found) = alternative[at..].find([' ', ',']) {
        at += found;
        if let Some(end) = separator_end(alternative, at) {
            parts.push(&alternative[start..at]);
            (start, at) = (end, end);
        } else {
            at += 1;
        }
    }
    parts.push(&alternative[start..]);
    parts
}

/// Where the separator that starts at the space or comma `at` ends, if it is one.
///
/// It is spaces, then a comma or one of these spaces with no hyphen on either side, then spaces.
/// When the text behind it could not start a part, it gives one space back and is good again.
fn separator_end(text: &str, at: usize) -> Option<usize> {
    let before = &text[..at];
    if before.is_empty() || before.ends_with(['=', '>', '<', ' ', ',']) || before.ends_with("as") {
        return None;
    }
    let after_hyphen = before.ends_with('-');
    let spaces = leading_spaces(&text[at..]);
    let next = at + spaces;
    if let Some(rest) = text[next..].strip_prefix(',')
        && !rest.starts_with('-')
        && !(after_hyphen && spaces == 0)
    {
        let more = leading_spaces(rest);
        let end = next + 1 + more;
        if starts_part(text, end) {
            return Some(end);
        }
        if more > 0 {
            return Some(end - 1);
        }
    }
    match spaces {
        0 => None,
        1 if after_hyphen => None,
        _ if !text[next..].starts_with('-') && starts_part(text, next) => Some(next),
        1 => None,
        2 if after_hyphen => None,
        _ if starts_part(text, next) => Some(next),
        _ => Some(next - 1),
    }
}

fn leading_spaces(text: &str) -> usize {
    text.len() - text.trim_start_matches(' ').len()
}

fn starts_part(text: &str, at: usize) -> bool {
    let rest = &text[at..];
    !(before_end(rest).is_empty() || rest.starts_with(',') || rest.starts_with("as"))
}
