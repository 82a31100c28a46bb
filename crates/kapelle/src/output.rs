//! The only writer of standard output: tables for people, JSON for scripts, and nothing that controls a terminal.

use std::fmt::Write as _;
use std::io::{ErrorKind, Write};

use comfy_table::{ContentArrangement, Table, TableStyle};
use serde::Serialize;

/// Why something could not be written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OutputError {
    /// Whoever read our output has read enough: `kapelle … | head`.
    #[error("the output was closed")]
    Closed,
    /// The disk is full, for example.
    #[error("the output cannot be written: {0}")]
    Io(std::io::Error),
    /// Something has no JSON form.
    #[error("the output cannot be written as JSON: {0}")]
    Json(#[from] serde_json::Error),
}

impl From<std::io::Error> for OutputError {
    fn from(error: std::io::Error) -> Self {
        if error.kind() == ErrorKind::BrokenPipe {
            Self::Closed
        } else {
            Self::Io(error)
        }
    }
}

/// One line of a list.
pub(crate) trait Row: Serialize {
    /// The headings of the table.
    const HEADINGS: &'static [&'static str];

    /// What stands under them.
    fn cells(&self) -> Vec<String>;
}

/// Where a command writes what it was asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Output {
    json: bool,
}

impl Output {
    /// For scripts (`--json`) or for people.
    pub(crate) fn new(json: bool) -> Self {
        Self { json }
    }

    /// Whether scripts read it.
    pub(crate) fn is_json(self) -> bool {
        self.json
    }

    /// A JSON array, or a table; `empty` is told to people when there is nothing.
    pub(crate) fn list<R: Row>(self, rows: &[R], empty: &str) -> Result<(), OutputError> {
        if self.json {
            return Self::json(&rows);
        }
        if rows.is_empty() {
            note(empty);
            return Ok(());
        }
        Self::text(&table(rows))
    }

    /// A JSON object, or the text that people read.
    pub(crate) fn item(self, value: &impl Serialize, text: &str) -> Result<(), OutputError> {
        if self.json {
            Self::json(value)
        } else {
            Self::text(text)
        }
    }

    /// Text in either case: what is asked for is text.
    pub(crate) fn text(text: &str) -> Result<(), OutputError> {
        let mut out = std::io::stdout().lock();
        out.write_all(clean(text).trim_end().as_bytes())?;
        out.write_all(b"\n")?;
        Ok(out.flush()?)
    }

    fn json(value: &impl Serialize) -> Result<(), OutputError> {
        let text = escape(&serde_json::to_string_pretty(value)?);
        let mut out = std::io::stdout().lock();
        out.write_all(text.as_bytes())?;
        out.write_all(b"\n")?;
        Ok(out.flush()?)
    }
}

/// A remark for the person at the terminal, on standard error; if even that cannot be written there is nobody left to tell.
pub(crate) fn note(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{}", clean(text));
}

/// A table without lines, as wide as its contents.
pub(crate) fn table<R: Row>(rows: &[R]) -> String {
    let mut table = Table::new();
    table
        .load_style(TableStyle::new())
        .set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(R::HEADINGS.to_vec());
    for row in rows {
        table.add_row(
            row.cells()
                .iter()
                .map(|cell| clean(cell).replace('\n', " "))
                .collect::<Vec<_>>(),
        );
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    table.trim_fmt()
}

/// Without characters that control a terminal or reorder text; line ends stay.
pub(crate) fn clean(text: &str) -> String {
    text.chars()
        .map(|character| {
            if character != '\n' && is_control(character) {
                '\u{fffd}'
            } else {
                character
            }
        })
        .collect()
}

fn is_control(character: char) -> bool {
    let reorders = matches!(character, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    character.is_control() || reorders
}

/// JSON whose strings have no such characters either: what serde leaves as it is can only stand inside strings.
fn escape(json: &str) -> String {
    let mut escaped = String::with_capacity(json.len());
    for character in json.chars() {
        if character != '\n' && is_control(character) {
            // Writing to a String cannot fail.
            let _ = write!(escaped, "\\u{:04x}", u32::from(character));
        } else {
            escaped.push(character);
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_controls_a_terminal_comes_out() {
        let nasty = "a\u{1b}[31mb\u{9b}c\u{202e}d\r\ne\u{7f}";
        assert_eq!(
            clean(nasty),
            "a\u{fffd}[31mb\u{fffd}c\u{fffd}d\u{fffd}\ne\u{fffd}"
        );
        let json = escape(&serde_json::to_string(nasty).unwrap());
        assert!(
            json.chars().all(|character| !is_control(character)),
            "{json}"
        );
        assert_eq!(serde_json::from_str::<String>(&json).unwrap(), nasty);
    }

    #[derive(Serialize)]
    struct Pair(&'static str, &'static str);

    impl Row for Pair {
        const HEADINGS: &'static [&'static str] = &["NAME", "WHAT"];

        fn cells(&self) -> Vec<String> {
            vec![self.0.into(), self.1.into()]
        }
    }

    #[test]
    fn a_table_has_one_line_per_row() {
        let shown = table(&[Pair("acme/library", "two\nlines"), Pair("a/b", "")]);
        insta::assert_snapshot!(shown, @r"
        NAME          WHAT
        acme/library  two lines
        a/b
        ");
    }
}
