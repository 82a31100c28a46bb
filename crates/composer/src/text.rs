//! Making strings from somebody else's repository safe to print on a terminal.

/// The longest piece of a foreign string that a sentence repeats, in characters.
const SHOWN: usize = 120;

/// Removes what could drive a terminal or reorder its text: control characters except tab and line
/// feed, and the invisible marks that override the direction of writing.
pub fn printable(text: &str) -> String {
    text.chars().filter(|c| !is_unprintable(*c)).collect()
}

/// A foreign string as a sentence repeats it: printable, on one line, and not endless.
pub(crate) fn shown(text: &str) -> String {
    let mut line: String = printable(text)
        .chars()
        .map(|c| if c.is_whitespace() { ' ' } else { c })
        .take(SHOWN + 1)
        .collect();
    if line.chars().count() > SHOWN {
        line.pop();
        line.push('…');
    }
    line
}

/// Whether [`printable`] would leave the text as it is.
pub(crate) fn is_printable(text: &str) -> bool {
    !text.chars().any(is_unprintable)
}

fn is_unprintable(c: char) -> bool {
    (c.is_control() && c != '\t' && c != '\n')
        || matches!(c, '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::{printable, shown};

    #[test]
    fn escape_sequences_and_direction_marks_lose_their_power() {
        assert_eq!(
            printable("a\u{1b}[31m\u{9b}b\u{202e}c\td\n"),
            "a[31mbc\td\n"
        );
    }

    #[test]
    fn a_long_foreign_string_is_cut_and_stays_on_one_line() {
        let line = shown(&"x\n".repeat(500));
        assert_eq!(line.chars().count(), 121);
        assert!(line.starts_with("x x ") && line.ends_with('…'));
    }
}
