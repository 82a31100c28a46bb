//! Reading JSON that others send: bounded depth before it is parsed.

use serde_json::Value;

/// Parses a body; the error is a sentence about it.
pub(crate) fn parse(body: &[u8], depth: usize) -> Result<Value, String> {
    if deepest(body) > depth {
        return Err(format!("the body is nested deeper than {depth} levels"));
    }
    serde_json::from_slice(body).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        format!("the body is not valid JSON at line {line}, column {column}")
    })
}

/// How deep brackets nest outside of strings, whether or not the text is valid.
fn deepest(body: &[u8]) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0);
    let (mut in_string, mut escaped) = (false, false);
    for byte in body {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brackets_in_strings_do_not_nest() {
        assert_eq!(deepest(br#"{"a":"[[[\"[["}"#), 1);
        assert_eq!(deepest(br#"[{"a":[]},{}]"#), 3);
    }

    #[test]
    fn deep_json_is_refused_before_it_is_parsed() {
        let deep = "[".repeat(65) + &"]".repeat(65);
        let sentence = parse(deep.as_bytes(), 64).unwrap_err();
        assert_eq!(sentence, "the body is nested deeper than 64 levels");
        assert!(parse(&deep.as_bytes()[1..130 - 1], 64).is_ok());
    }
}
