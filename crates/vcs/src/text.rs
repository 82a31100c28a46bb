//! What other programs and servers say, made fit to be shown: no control characters, no secrets, bounded.

/// The longest detail in an error, in characters.
const MAX_DETAIL: usize = 1000;

/// Control characters, and those that change the direction or look of the text around them.
pub(crate) fn is_invisible(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// Standard error as text: secrets masked, escape sequences and control characters gone, line ends kept.
///
/// Masked twice: a server may put a character that is removed into the middle of a secret.
pub(crate) fn clean(bytes: &[u8], secrets: &[String]) -> String {
    let text = masked(String::from_utf8_lossy(bytes).into_owned(), secrets);
    masked(without_escapes(&text), secrets)
}

fn masked(text: String, secrets: &[String]) -> String {
    let secrets = secrets.iter().filter(|secret| !secret.is_empty());
    secrets.fold(text, |text, secret| text.replace(secret.as_str(), "***"))
}

fn without_escapes(text: &str) -> String {
    let mut cleaned = String::with_capacity(text.len());
    let mut characters = text.chars();
    while let Some(c) = characters.next() {
        match c {
            '\u{1b}' => skip_escape(&mut characters),
            '\n' | '\r' => cleaned.push('\n'),
            '\t' => cleaned.push(' '),
            c if is_invisible(c) => {}
            c => cleaned.push(c),
        }
    }
    cleaned
}

/// The rest of an escape sequence: `[` … a letter, or one character.
fn skip_escape(characters: &mut std::str::Chars<'_>) {
    if characters.next() == Some('[') {
        for c in characters.by_ref() {
            if ('@'..='~').contains(&c) || c == '\n' {
                break;
            }
        }
    }
}

/// What of it a person should read: the last few lines without ssh's tracing, hints and decoration.
pub(crate) fn detail(said: &str) -> String {
    let noise = ["debug1:", "hint:", "@", "warning: permanently added"];
    let lines: Vec<&str> = said
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .filter(|line| {
            let line = line.to_ascii_lowercase();
            !noise.iter().any(|start| line.starts_with(start))
        })
        .collect();
    let last = lines.len().saturating_sub(6);
    let joined = lines[last..].join("; ");
    if joined.is_empty() {
        return "git said nothing".to_owned();
    }
    joined.chars().take(MAX_DETAIL).collect()
}

#[cfg(test)]
mod tests {
    use super::{clean, detail};

    #[test]
    fn escape_sequences_control_characters_and_secrets_are_removed() {
        let said = b"\x1b[31mfatal:\x1b[0m \x07bad s3cret\r\nnext\xff";
        assert_eq!(
            clean(said, &["s3cret".to_owned()]),
            "fatal: bad ***\n\nnext\u{fffd}"
        );
    }

    #[test]
    fn a_secret_in_pieces_is_masked_once_it_is_whole() {
        let secrets = ["s3cret".to_owned()];
        for said in ["s\u{9b}3cret", "s3\u{1b}[31mcret", "s3cre\u{202e}t"] {
            assert_eq!(clean(said.as_bytes(), &secrets), "***", "{said:?}");
        }
    }

    #[test]
    fn a_detail_leaves_out_tracing_and_hints() {
        let said = "debug1: Connecting\nhint: try\n\nfatal: one\n@@@@\nfatal: two\n";
        assert_eq!(detail(said), "fatal: one; fatal: two");
    }
}
