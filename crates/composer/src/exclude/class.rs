//! Bracket expressions such as `[a-z]`, read the way PCRE reads them: as bytes.

/// Which bytes a bracket expression stands for.
pub(super) type Set = [bool; 256];

/// Reads what follows an opening bracket, up to and without its closing one, and returns the rest. `None`
/// where PCRE would refuse it: never closed, a range backwards, an unknown `[:name:]`.
pub(super) fn parse(text: &[u8]) -> Option<(Set, &[u8])> {
    let (negated, mut rest) = match text {
        [b'^', rest @ ..] => (true, rest),
        _ => (false, text),
    };
    let mut set = [false; 256];
    let mut range = Range::Impossible;
    let mut first = true;
    loop {
        let (&byte, after) = rest.split_first()?;
        rest = after;
        match byte {
            b']' if !first => break,
            b'[' if posix_end(after).is_some() => {
                let end = posix_end(after)?;
                let named = posix_class(&after[..end])?;
                rest = &after[end + 2..];
                let before_hyphen = matches!(rest, [b'-', next, ..] if *next != b']');
                if matches!(range, Range::From(_)) || before_hyphen {
                    return None;
                }
                for byte in (0..=u8::MAX).filter(named) {
                    set[usize::from(byte)] = true;
                }
                range = Range::Impossible;
            }
            b'-' if matches!(range, Range::Possible(_)) => {
                range = range.started();
            }
            b'\\' => {
                let (&escaped, after) = rest.split_first()?;
                rest = after;
                range = range.with(escaped, &mut set)?;
            }
            _ => range = range.with(byte, &mut set)?,
        }
        first = false;
    }
    if matches!(range, Range::From(_)) {
        set[usize::from(b'-')] = true;
    }
    if negated {
        set = set.map(|member| !member);
    }
    Some((set, rest))
}

/// Whether a hyphen would start a range now, or has.
#[derive(Clone, Copy)]
enum Range {
    Impossible,
    Possible(u8),
    From(u8),
}

impl Range {
    fn started(self) -> Self {
        match self {
            Self::Possible(from) => Self::From(from),
            other => other,
        }
    }

    /// Adds a byte, as a member or as the end of a range.
    fn with(self, byte: u8, set: &mut Set) -> Option<Self> {
        match self {
            Self::From(from) if from > byte => None,
            Self::From(from) => {
                set[usize::from(from)..=usize::from(byte)].fill(true);
                Some(Self::Impossible)
            }
            Self::Impossible | Self::Possible(_) => {
                set[usize::from(byte)] = true;
                Some(Self::Possible(byte))
            }
        }
    }
}

/// Where a `:name:` or `=name=` behind an opening bracket ends, without its last two characters.
fn posix_end(text: &[u8]) -> Option<usize> {
    let terminator = *text.first().filter(|byte| b":=.".contains(byte))?;
    let mut at = 1;
    while at + 1 < text.len() {
        match (text[at], text[at + 1]) {
            (b'\\', b']' | b'\\') => at += 1,
            (b'[', next) if next == terminator => return None,
            (b']', _) => return None,
            (byte, b']') if byte == terminator => return Some(at),
            _ => {}
        }
        at += 1;
    }
    None
}

/// The bytes of a named class, `:alpha` for example; `None` if there is no such class.
fn posix_class(name: &[u8]) -> Option<fn(&u8) -> bool> {
    Some(match name {
        b":alpha" => u8::is_ascii_alphabetic,
        b":digit" => u8::is_ascii_digit,
        b":alnum" => u8::is_ascii_alphanumeric,
        b":upper" => u8::is_ascii_uppercase,
        b":lower" => u8::is_ascii_lowercase,
        b":xdigit" => u8::is_ascii_hexdigit,
        b":punct" => u8::is_ascii_punctuation,
        b":cntrl" => u8::is_ascii_control,
        b":graph" => u8::is_ascii_graphic,
        b":ascii" => u8::is_ascii,
        b":print" => |byte| byte.is_ascii_graphic() || *byte == b' ',
        b":word" => |byte| byte.is_ascii_alphanumeric() || *byte == b'_',
        b":blank" => |byte| matches!(byte, b' ' | b'\t'),
        b":space" => |byte| byte.is_ascii_whitespace() || *byte == b'\x0B',
        _ => return None,
    })
}
