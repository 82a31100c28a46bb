//! Times on the command line: RFC 3339 out, RFC 3339 or "in 90d" in.

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

pub(crate) use kapelle_registry::clock::rfc3339;

use crate::settings::parse_duration;

/// A moment, where there may be none.
pub(crate) fn optional(at: Option<i64>) -> Option<String> {
    at.map(rfc3339)
}

/// For a table: the time, or a word where there is none.
pub(crate) fn or(at: Option<&String>, word: &str) -> String {
    at.map_or_else(|| word.to_owned(), Clone::clone)
}

/// When something shall end: a time from now (`90d`, `12h`) or a moment (RFC 3339).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// So many milliseconds from now.
    In(i64),
    /// Then, in milliseconds since 1970.
    At(i64),
}

impl End {
    /// In milliseconds since 1970.
    pub(crate) fn after(self, now: i64) -> i64 {
        match self {
            Self::In(milliseconds) => now.saturating_add(milliseconds),
            Self::At(at) => at,
        }
    }
}

impl std::str::FromStr for End {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(duration) = parse_duration(text) {
            return Ok(Self::In(
                i64::try_from(duration.as_millis()).unwrap_or(i64::MAX),
            ));
        }
        let moment = OffsetDateTime::parse(text, &Rfc3339)
            .map_err(|_| "write a time from now, such as 90d or 12h, or a moment, such as 2030-01-31T12:00:00Z")?;
        Ok(Self::At(moment.unix_timestamp() * 1000))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_is_a_time_from_now_or_a_moment() {
        assert_eq!("90d".parse(), Ok(End::In(7_776_000_000)));
        assert_eq!("1970-01-02T00:00:00Z".parse(), Ok(End::At(86_400_000)));
        assert!("tomorrow".parse::<End>().is_err());
        assert_eq!(rfc3339(86_400_999), "1970-01-02T00:00:00Z");
    }
}
