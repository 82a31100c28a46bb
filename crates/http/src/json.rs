//! Reading JSON that others send: bounded depth before it is parsed.

use kapelle_composer::json_depth;
use serde_json::Value;

/// Parses a body; the error is a sentence about it.
pub(crate) fn parse(body: &[u8], depth: usize) -> Result<Value, String> {
    if json_depth(body) > depth {
        return Err(format!("the body is nested deeper than {depth} levels"));
    }
    serde_json::from_slice(body).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        format!("the body is not valid JSON at line {line}, column {column}")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deep_json_is_refused_before_it_is_parsed() {
        let deep = "[".repeat(65) + &"]".repeat(65);
        let sentence = parse(deep.as_bytes(), 64).unwrap_err();
        assert_eq!(sentence, "the body is nested deeper than 64 levels");
        assert!(parse(&deep.as_bytes()[1..130 - 1], 64).is_ok());
    }
}
