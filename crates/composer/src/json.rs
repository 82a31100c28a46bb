//! Reading a JSON document from somebody else's repository: bounded, and with errors that say where.

use serde_json::{Map, Value};
use thiserror::Error;

/// How much JSON is accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The largest document, in bytes.
    pub bytes: usize,
    /// The deepest nesting of maps and lists; `{}` has depth 1. At most 127 is possible.
    pub depth: usize,
}

/// Why a document could not be read. The sentences continue the file's name: *composer.json … is empty*.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum InvalidJson {
    #[error(
        "is {bytes} bytes large, but only {limit} are accepted; make it smaller or raise the limit"
    )]
    TooLarge { bytes: usize, limit: usize },
    #[error("is nested deeper than {limit} levels; flatten it or raise the limit")]
    TooDeep { limit: usize },
    #[error("is empty; it needs at least a JSON object")]
    Empty,
    #[error("starts with a byte order mark, which JSON forbids; save it as UTF-8 without BOM")]
    ByteOrderMark,
    #[error("is not UTF-8 in line {line}, column {column}; save it as UTF-8")]
    NotUtf8 { line: usize, column: usize },
    #[error("is not valid JSON in line {line}, column {column}: {problem}")]
    Syntax {
        line: usize,
        column: usize,
        problem: String,
    },
    #[error("is {found} instead of a JSON object")]
    NotAnObject { found: &'static str },
}

/// Reads one JSON object, keeping the order of its keys. Like PHP, takes the last of two equal keys
/// and an empty list for an empty map.
pub(crate) fn parse_object(
    bytes: &[u8],
    limits: Limits,
) -> Result<Map<String, Value>, InvalidJson> {
    let text = checked_text(bytes, limits)?;
    match serde_json::from_str(text).map_err(|error| syntax_error(&error))? {
        Value::Object(map) => Ok(map),
        Value::Array(list) if list.is_empty() => Ok(Map::new()),
        other => Err(InvalidJson::NotAnObject {
            found: kind_of(&other),
        }),
    }
}

/// What a value is, with its article, for sentences.
pub(crate) fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "a map",
    }
}

fn checked_text(bytes: &[u8], limits: Limits) -> Result<&str, InvalidJson> {
    if bytes.len() > limits.bytes {
        return Err(InvalidJson::TooLarge {
            bytes: bytes.len(),
            limit: limits.bytes,
        });
    }
    if bytes.starts_with(b"\xEF\xBB\xBF") {
        return Err(InvalidJson::ByteOrderMark);
    }
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let (line, column) = position(&bytes[..error.valid_up_to()]);
        InvalidJson::NotUtf8 { line, column }
    })?;
    if text.trim().is_empty() {
        return Err(InvalidJson::Empty);
    }
    if json_depth(bytes) > limits.depth {
        return Err(InvalidJson::TooDeep {
            limit: limits.depth,
        });
    }
    Ok(text)
}

/// How deep brackets nest outside of strings, counted before anything is built from a text, valid or not.
pub fn json_depth(json: &[u8]) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0);
    let (mut in_string, mut escaped) = (false, false);
    for byte in json {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b'[' | b'{' if !in_string => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b']' | b'}' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

/// Line and column, both from 1, of what follows `before`.
fn position(before: &[u8]) -> (usize, usize) {
    let lines = before.split(|byte| *byte == b'\n');
    let column = 1 + lines.clone().next_back().map_or(0, <[u8]>::len);
    (lines.count(), column)
}

fn syntax_error(error: &serde_json::Error) -> InvalidJson {
    let message = error.to_string();
    let suffix = format!(" at line {} column {}", error.line(), error.column());
    InvalidJson::Syntax {
        line: error.line(),
        column: error.column(),
        problem: message.strip_suffix(&suffix).unwrap_or(&message).to_owned(),
    }
}
