//! Times and sizes as people write them: `30s`, `90d`, `512 MiB`.

use std::time::Duration;

/// Unit and milliseconds, the longest first.
const TIMES: [(&str, u64); 5] = [
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1_000),
    ("ms", 1),
];
/// Unit and bytes, the largest first.
const SIZES: [(&str, u64); 4] = [
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("B", 1),
];

/// A whole number above zero with one of the units `ms`, `s`, `m` (or `min`), `h`, `d`.
pub(crate) fn parse_duration(text: &str) -> Option<Duration> {
    let (number, unit) = split(text)?;
    let unit = if unit == "min" { "m" } else { unit };
    let (_, factor) = TIMES.iter().find(|(name, _)| *name == unit)?;
    number.checked_mul(*factor).map(Duration::from_millis)
}

/// The largest unit that divides it.
pub(crate) fn show_duration(time: Duration) -> String {
    let milliseconds = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    let fits = TIMES
        .iter()
        .find(|(_, factor)| milliseconds.is_multiple_of(*factor));
    fits.map_or_else(String::new, |(unit, factor)| {
        format!("{}{unit}", milliseconds / factor)
    })
}

/// A whole number above zero of bytes, or with one of the units `B`, `KiB`, `MiB`, `GiB`.
pub(crate) fn parse_size(text: &str) -> Option<u64> {
    let (number, unit) = split(text)?;
    let unit = if unit.is_empty() { "B" } else { unit };
    let (_, factor) = SIZES
        .iter()
        .find(|(name, _)| name.eq_ignore_ascii_case(unit))?;
    number.checked_mul(*factor)
}

/// The largest unit that divides it.
pub(crate) fn show_size(bytes: u64) -> String {
    let fits = SIZES
        .iter()
        .find(|(_, factor)| bytes.is_multiple_of(*factor));
    fits.map_or_else(String::new, |(unit, factor)| {
        format!("{} {unit}", bytes / factor)
    })
}

fn split(text: &str) -> Option<(u64, &str)> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let number = text[..digits].parse().ok().filter(|number| *number > 0)?;
    Some((number, text[digits..].trim_start()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_sizes_are_read_as_they_are_shown() {
        for text in ["250ms", "30s", "10m", "12h", "90d"] {
            assert_eq!(show_duration(parse_duration(text).unwrap()), text);
        }
        for text in ["1 B", "3 KiB", "512 MiB", "2 GiB"] {
            assert_eq!(show_size(parse_size(text).unwrap()), text);
        }
        assert_eq!(parse_duration("1min"), parse_duration("60s"));
        assert_eq!(parse_size("1024"), parse_size("1KiB"));
    }

    #[test]
    fn nothing_negative_empty_or_overflowing_is_read() {
        for text in ["", "s", "0s", "-1s", "1 week", "1.5h", "99999999999999999d"] {
            assert_eq!(parse_duration(text), None, "{text}");
        }
        for text in ["", "MiB", "0", "-1", "1 MB", "99999999999999 GiB"] {
            assert_eq!(parse_size(text), None, "{text}");
        }
    }
}
