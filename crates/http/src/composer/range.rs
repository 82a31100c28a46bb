//! `Range` and `If-Range`: which bytes of a dist are wanted.

use axum::http::{HeaderMap, header};

/// The answer to a `Range` header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// Everything: no range, several ranges, or one that cannot be read, which counts as none.
    Whole,
    /// From `start` to before `end`.
    Part { start: u64, end: u64 },
    /// Nothing of it exists.
    Nothing,
}

/// What of `size` bytes with that entity tag is wanted.
pub(super) fn wanted(headers: &HeaderMap, etag: &str, size: u64) -> Wanted {
    let condition = headers.get(header::IF_RANGE);
    if condition.is_some_and(|condition| condition.as_bytes() != etag.as_bytes()) {
        return Wanted::Whole;
    }
    let range = headers
        .get(header::RANGE)
        .and_then(|range| range.to_str().ok());
    range
        .and_then(|range| part(range, size))
        .unwrap_or(Wanted::Whole)
}

fn part(range: &str, size: u64) -> Option<Wanted> {
    let (first, last) = range.trim().strip_prefix("bytes=")?.split_once('-')?;
    let (first, last) = (first.trim(), last.trim());
    if first.is_empty() {
        let suffix: u64 = number(last)?;
        let start = size.saturating_sub(suffix);
        return Some(if start == size {
            Wanted::Nothing
        } else {
            Wanted::Part { start, end: size }
        });
    }
    let start = number(first)?;
    let last = if last.is_empty() {
        u64::MAX
    } else {
        number(last)?
    };
    if last < start {
        return None;
    }
    let end = last.saturating_add(1).min(size);
    Some(if start >= size {
        Wanted::Nothing
    } else {
        Wanted::Part { start, end }
    })
}

/// Digits only: `+1` is no position.
fn number(digits: &str) -> Option<u64> {
    let plain = digits.bytes().all(|byte| byte.is_ascii_digit());
    digits.parse().ok().filter(|_| plain)
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;
    use rstest::rstest;

    use super::*;

    fn asked(range: &'static str, condition: Option<&'static str>) -> Wanted {
        let mut headers = HeaderMap::new();
        headers.insert(header::RANGE, HeaderValue::from_static(range));
        if let Some(condition) = condition {
            headers.insert(header::IF_RANGE, HeaderValue::from_static(condition));
        }
        wanted(&headers, "\"abc\"", 100)
    }

    #[rstest]
    #[case("bytes=0-9", Wanted::Part { start: 0, end: 10 })]
    #[case("bytes=90-", Wanted::Part { start: 90, end: 100 })]
    #[case("bytes=90-1000", Wanted::Part { start: 90, end: 100 })]
    #[case("bytes=-10", Wanted::Part { start: 90, end: 100 })]
    #[case("bytes=-1000", Wanted::Part { start: 0, end: 100 })]
    #[case("bytes=100-", Wanted::Nothing)]
    #[case("bytes=-0", Wanted::Nothing)]
    #[case("bytes=9-0", Wanted::Whole)]
    #[case("bytes=0-1,5-6", Wanted::Whole)]
    #[case("bytes=+1-2", Wanted::Whole)]
    #[case("bytes=-", Wanted::Whole)]
    #[case("lines=1-2", Wanted::Whole)]
    fn ranges(#[case] range: &'static str, #[case] expected: Wanted) {
        assert_eq!(asked(range, None), expected);
    }

    #[test]
    fn a_range_of_other_bytes_gets_everything() {
        assert_eq!(
            asked("bytes=0-9", Some("\"abc\"")),
            Wanted::Part { start: 0, end: 10 }
        );
        assert_eq!(asked("bytes=0-9", Some("\"old\"")), Wanted::Whole);
        assert_eq!(asked("bytes=0-9", Some("W/\"abc\"")), Wanted::Whole);
    }
}
