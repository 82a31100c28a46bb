//! The pieces of Composer's version grammar that several parsers share, over bytes.

/// The words that may follow a number, longest first where one starts another.
const WORDS: [&str; 9] = [
    "stable", "beta", "b", "rc", "alpha", "a", "patch", "pl", "p",
];

/// The stabilities that may follow an `@`.
pub(crate) const STABILITY_FLAGS: [&str; 5] = ["stable", "RC", "beta", "alpha", "dev"];

/// What follows the numbers of a version: `-beta.2`, `RC1`, `-dev`, `-alpha3.1-dev`.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Modifier<'a> {
    /// `stable`, `b`, `RC`, … as written; empty when there is none.
    pub(crate) word: &'a str,
    /// The digits after the word with their separators: `.2`, `3.1-4`, or empty.
    pub(crate) number: &'a str,
    /// Whether `dev` closes it.
    pub(crate) dev: bool,
}

/// Reads the longest modifier at the start of `text` and what remains after it.
///
/// Every part is optional, so this always succeeds. The longest reading is the only one that
/// can be followed by anything a version may be followed by.
pub(crate) fn modifier(text: &str) -> (Modifier<'_>, &str) {
    let mut rest = text.strip_prefix(['.', '_', '-']).unwrap_or(text);
    let mut modifier = Modifier::default();
    if let Some(word) = WORDS
        .iter()
        .find(|word| starts_with_ignoring_case(rest, word))
    {
        let after = &rest[word.len()..];
        let length = number_length(after);
        modifier.word = &rest[..word.len()];
        modifier.number = &after[..length];
        rest = &after[length..];
    }
    let dev = rest.strip_prefix(['.', '-']).unwrap_or(rest);
    if starts_with_ignoring_case(dev, "dev") {
        modifier.dev = true;
        rest = &dev[3..];
    }
    (modifier, rest)
}

/// The length of a run of digit groups, each with an optional leading `.` or `-`.
fn number_length(text: &str) -> usize {
    let mut length = 0;
    loop {
        let rest = &text[length..];
        let group = rest.strip_prefix(['.', '-']).unwrap_or(rest);
        let digits = digits_length(group);
        if digits == 0 {
            return length;
        }
        length += rest.len() - group.len() + digits;
    }
}

/// How many ASCII digits `text` starts with.
pub(crate) fn digits_length(text: &str) -> usize {
    text.bytes().take_while(u8::is_ascii_digit).count()
}

/// Splits `text` after its leading digits; `None` when there are none.
pub(crate) fn digits(text: &str) -> Option<(&str, &str)> {
    match digits_length(text) {
        0 => None,
        length => Some(text.split_at(length)),
    }
}

/// Splits off a `.` followed by digits; the first half is the digits.
pub(crate) fn dotted_digits(text: &str) -> Option<(&str, &str)> {
    digits(text.strip_prefix('.')?)
}

/// `text` without one leading `v` or `V`.
pub(crate) fn without_v(text: &str) -> &str {
    text.strip_prefix(['v', 'V']).unwrap_or(text)
}

pub(crate) fn starts_with_ignoring_case(text: &str, prefix: &str) -> bool {
    text.as_bytes()
        .get(..prefix.len())
        .is_some_and(|start| start.eq_ignore_ascii_case(prefix.as_bytes()))
}

pub(crate) fn ends_with_ignoring_case(text: &str, suffix: &str) -> bool {
    text.len()
        .checked_sub(suffix.len())
        .is_some_and(|at| text.as_bytes()[at..].eq_ignore_ascii_case(suffix.as_bytes()))
}

/// `text` up to where PHP's `$` matches: before one final line feed.
pub(crate) fn before_end(text: &str) -> &str {
    text.strip_suffix('\n').unwrap_or(text)
}

/// What follows the last line feed.
pub(crate) fn last_line(text: &str) -> &str {
    text.rfind('\n').map_or(text, |at| &text[at + 1..])
}

/// PHP's `trim`: spaces, tabs, line ends, NUL and vertical tabs, but not form feeds.
pub(crate) fn trim(text: &str) -> &str {
    text.trim_matches([' ', '\t', '\n', '\r', '\0', '\x0b'])
}

/// The `\s` of PHP's regular expressions.
pub(crate) fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t'..=b'\r')
}

/// Whether `text` is not empty and holds neither a comma nor white space.
pub(crate) fn is_word(text: &str) -> bool {
    !text.is_empty() && !text.bytes().any(|byte| byte == b',' || is_space(byte))
}

/// The source of `source as alias`, or `text` itself when it is no such pair.
pub(crate) fn without_alias(text: &str) -> &str {
    let end = text
        .bytes()
        .position(|byte| byte == b',' || is_space(byte))
        .unwrap_or(text.len());
    let (source, rest) = text.split_at(end);
    let alias = spaced(rest, "as").map(before_end);
    if !source.is_empty() && alias.is_some_and(is_word) {
        source
    } else {
        text
    }
}

/// What follows `word` in `text`, when at least one space stands on each side of it.
pub(crate) fn spaced<'a>(text: &'a str, word: &str) -> Option<&'a str> {
    let rest = spaces(text)?.strip_prefix(word)?;
    spaces(rest)
}

/// `text` without its leading spaces, of which there must be one.
fn spaces(text: &str) -> Option<&str> {
    text.starts_with(' ').then(|| text.trim_start_matches(' '))
}

/// Splits `1.0@beta` into `1.0` and `beta`; `None` when no stability flag closes the text.
pub(crate) fn split_stability_flag(text: &str) -> Option<(&str, &str)> {
    let text = before_end(text);
    let at = text.rfind('@')?;
    let flag = &text[at + 1..];
    STABILITY_FLAGS
        .iter()
        .any(|known| flag.eq_ignore_ascii_case(known))
        .then(|| (&text[..at], flag))
}
