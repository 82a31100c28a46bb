//! From Composer's globs to regular expressions that run in linear time.
//!
//! Composer goes through Symfony's `Glob::toRegex` and PCRE, byte by byte. Its expressions look one
//! character ahead at the start of each name, to keep wildcards away from dot files; the `regex` crate
//! cannot look ahead. So the path is rewritten instead: every byte but a dot gets a [`MARK`]
//! before it, and "a character other than a dot comes next" becomes "here is a mark".
//! Everything else steps over marks.

use std::fmt::Write;

use regex::bytes::{Regex, RegexBuilder};

use super::class;

/// Stands before every byte of a [`subject`] that is no dot. No path contains it.
const MARK: u8 = 0;

/// The largest compiled expression, and the largest cache of its states, in bytes.
const SIZE_LIMIT: usize = 256 * 1024;

/// What a compiled expression is matched against, for a path with or without its leading slash.
pub(super) fn subject(path: &str) -> Vec<u8> {
    let mut subject = Vec::with_capacity(2 * path.len() + 2);
    for byte in std::iter::once(b'/').chain(path.trim_start_matches('/').bytes()) {
        if byte != b'.' {
            subject.push(MARK);
        }
        subject.push(byte);
    }
    subject
}

/// Compiles a glob without its `!`; `None` where PCRE would refuse the expression.
pub(super) fn compile(glob: &str) -> Option<Regex> {
    let mut regex = String::from("(?s-u)");
    match glob.find('/') {
        Some(0) => regex.push_str(r"^\x00/"),
        Some(slash) if slash + 1 < glob.len() => {}
        _ => regex.push_str(r"\x00/"),
    }
    let expression = expression(glob.trim_matches('/').as_bytes());
    if glob.contains('\0') || has_bare_brace(&expression) {
        return None;
    }
    translate(&expression, &mut regex)?;
    // PCRE's `$` also stands before a final line feed
    regex.push_str(r"(?:\x00?/|(?:\x00?\n)?\z)");
    RegexBuilder::new(&regex)
        .unicode(false)
        .size_limit(SIZE_LIMIT)
        .dfa_size_limit(SIZE_LIMIT)
        .build()
        .ok()
}

/// The expression that Composer hands to PCRE, without what it puts around it.
fn expression(glob: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let (mut name_starts, mut escaping, mut groups) = (true, false, 0_usize);
    let mut at = 0;
    while let Some(&byte) = glob.get(at) {
        if name_starts && byte != b'.' {
            out.extend(LOOKAHEAD);
        }
        name_starts = byte == b'/';
        if name_starts && is_any_directories(&glob[at..]) {
            let last = glob.len() == at + 3;
            out.extend(if last {
                ANYTHING_BELOW
            } else {
                ANY_DIRECTORIES
            });
            at += if last { 3 } else { 4 };
            escaping = false;
            continue;
        }
        at += 1;
        if byte == b'\\' && !escaping {
            escaping = true;
            continue;
        }
        let plain = !std::mem::take(&mut escaping);
        match byte {
            b'*' if plain => out.extend(b"[^/]*"),
            b'?' if plain => out.extend(b"[^/]"),
            b'{' if plain => {
                out.push(b'(');
                groups += 1;
            }
            b'}' if plain && groups > 0 => {
                out.push(b')');
                groups -= 1;
            }
            b',' if plain && groups > 0 => out.push(b'|'),
            _ if b"#.()|+^$*?{\\".contains(&byte) => out.extend([b'\\', byte]),
            _ => out.push(byte),
        }
    }
    out
}

const LOOKAHEAD: &[u8] = br"(?=[^\.])";
const ANY_DIRECTORIES: &[u8] = br"/(?:(?=[^\.])[^/]++/)*";
const ANYTHING_BELOW: &[u8] = br"/(?:(?=[^\.])[^/]++/?)*";

/// Whether `/**` is here, at the end or before another slash.
fn is_any_directories(glob: &[u8]) -> bool {
    glob.starts_with(b"/**") && matches!(glob.get(3), None | Some(b'/'))
}

/// Rewrites PCRE's expression for a [`subject`]. Brackets may cut the pieces above in unexpected
/// places, so they are read again here, the way PCRE would.
fn translate(expression: &[u8], regex: &mut String) -> Option<()> {
    let mut rest = expression;
    while let Some((&byte, after)) = rest.split_first() {
        if let Some(after) = rest.strip_prefix(LOOKAHEAD) {
            regex.push_str(r"\x00");
            rest = after;
            continue;
        }
        if let Some(after) = rest.strip_prefix(b"(?:") {
            regex.push_str("(?:");
            rest = after;
            continue;
        }
        if let Some(after) = rest.strip_prefix(b"++") {
            regex.push('+');
            rest = after;
            continue;
        }
        rest = after;
        match byte {
            b'[' => {
                let (set, after) = class::parse(after)?;
                push_set(&set, regex);
                rest = after;
            }
            b'\\' => {
                let (&escaped, after) = after.split_first()?;
                push_byte(escaped, regex);
                rest = after;
            }
            b'(' => regex.push_str("(?:"),
            b')' | b'|' | b'*' | b'?' => regex.push(char::from(byte)),
            _ => push_byte(byte, regex),
        }
    }
    Some(())
}

/// Composer writes its expressions between braces, so that PHP would end this one too early.
fn has_bare_brace(expression: &[u8]) -> bool {
    let mut escaped = false;
    expression.iter().any(|byte| {
        let bare = !escaped;
        escaped = bare && *byte == b'\\';
        bare && *byte == b'}'
    })
}

fn push_byte(byte: u8, regex: &mut String) {
    let mut set = [false; 256];
    set[usize::from(byte)] = true;
    push_set(&set, regex);
}

fn push_set(set: &class::Set, regex: &mut String) {
    regex.push_str(r"(?:\x00?[");
    for byte in (1..=u8::MAX).filter(|byte| set[usize::from(*byte)]) {
        write!(regex, r"\x{byte:02x}").expect("writing to a string cannot fail");
    }
    regex.push_str("])");
}
