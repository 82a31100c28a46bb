//! PHP's `version_compare`, on text and on a form prepared once.

use std::cmp::Ordering;

/// What an absent segment counts as, between `RC` and any number.
const END: u64 = 5;
/// A `#`, which PHP takes for any number.
const HASH: u64 = 6;
/// Where the keys of numbers start.
const NUMBER: u64 = 7;

/// The words that PHP knows, by prefix and in the order it tries them, with their keys.
const FORMS: [(&[u8], u64); 10] = [
    (b"dev", 1),
    (b"alpha", 2),
    (b"a", 2),
    (b"beta", 3),
    (b"b", 3),
    (b"RC", 4),
    (b"rc", 4),
    (b"#", HASH),
    (b"pl", u64::MAX),
    (b"p", u64::MAX),
];

/// Compares two normalized versions as composer/semver does, which asks PHP's `version_compare`.
///
/// Two branches are not ordered: always `Equal`. On other text this need not be an order: unknown
/// words are all equal, and a `#` behind a digit equals every number. On normalized numbers it is
/// one, up to leading zeros and numbers beyond `i64`, which are all equal. To sort, use
/// [`Version`](super::Version).
pub fn compare(a: &str, b: &str) -> Ordering {
    if a.starts_with("dev-") && b.starts_with("dev-") {
        return Ordering::Equal;
    }
    compare_bytes(a.as_bytes(), b.as_bytes())
}

fn compare_bytes(a: &[u8], b: &[u8]) -> Ordering {
    let (a, b) = (until_nul(a), until_nul(b));
    if a.is_empty() || b.is_empty() {
        return (!a.is_empty()).cmp(&!b.is_empty());
    }
    let (a, b) = (canonical(a), canonical(b));
    let (mut left, mut right) = (Some(a.as_slice()), Some(b.as_slice()));
    while let (Some(x @ [_, ..]), Some(y @ [_, ..])) = (left, right) {
        let (first, rest_of_left) = segment(x);
        let (second, rest_of_right) = segment(y);
        let order = compare_segments(first, second);
        if order.is_ne() {
            return order;
        }
        (left, right) = (rest_of_left, rest_of_right);
    }
    match (left, right) {
        (Some(rest), _) => compare_tail(rest),
        (None, Some(rest)) => compare_tail(rest).reverse(),
        (None, None) => Ordering::Equal,
    }
}

/// Compares what one side has left with nothing: as `#`, unless it is a number.
fn compare_tail(mut rest: &[u8]) -> Ordering {
    loop {
        let (first, after) = segment(rest);
        if first.is_empty() {
            return Ordering::Less;
        }
        if first[0].is_ascii_digit() {
            return Ordering::Greater;
        }
        match (compare_segments(first, b"#"), after) {
            (Ordering::Equal, Some(after)) => rest = after,
            (order, _) => return order,
        }
    }
}

fn compare_segments(a: &[u8], b: &[u8]) -> Ordering {
    let (a, b) = (key(a), key(b));
    let numbers = NUMBER..u64::MAX;
    if numbers.contains(&a) && b == HASH || a == HASH && numbers.contains(&b) {
        return Ordering::Equal;
    }
    a.cmp(&b)
}

/// The keys of a version's segments: compared as numbers they order as PHP orders segments.
pub(super) fn keys(version: &str) -> Box<[u64]> {
    canonical(until_nul(version.as_bytes()))
        .split(|byte| *byte == b'.')
        .map(key)
        .collect()
}

/// Compares prepared versions; equals [`compare`] where no `#` is involved.
pub(super) fn compare_keys(a: &[u64], b: &[u64]) -> Ordering {
    let common = a.len().min(b.len());
    let order = a[..common].cmp(&b[..common]);
    if order.is_ne() {
        return order;
    }
    let next = |keys: &[u64]| keys.get(common).copied().unwrap_or(END);
    next(a).cmp(&next(b))
}

fn key(segment: &[u8]) -> u64 {
    if segment.first().is_some_and(u8::is_ascii_digit) {
        return NUMBER + saturating_number(segment);
    }
    FORMS
        .iter()
        .find(|(form, _)| segment.starts_with(form))
        .map_or(0, |(_, key)| *key)
}

/// C's `strtol`: the leading digits, at most `i64::MAX`.
fn saturating_number(segment: &[u8]) -> u64 {
    segment
        .iter()
        .take_while(|byte| byte.is_ascii_digit())
        .fold(0, |number: u64, digit| {
            number
                .saturating_mul(10)
                .saturating_add(u64::from(digit - b'0'))
        })
        .min(i64::MAX.unsigned_abs())
}

/// The text up to the next dot, and what follows that dot.
fn segment(text: &[u8]) -> (&[u8], Option<&[u8]>) {
    match text.iter().position(|byte| *byte == b'.') {
        Some(dot) => (&text[..dot], Some(&text[dot + 1..])),
        None => (text, None),
    }
}

/// PHP compares C strings.
fn until_nul(text: &[u8]) -> &[u8] {
    text.split(|byte| *byte == 0).next().unwrap_or_default()
}

/// Puts dots between words and numbers and in place of every other character.
fn canonical(version: &[u8]) -> Vec<u8> {
    let Some((&first, rest)) = version.split_first() else {
        return Vec::new();
    };
    if first == b'#' {
        return version.to_vec();
    }
    let mut dotted = Vec::with_capacity(version.len() * 2);
    dotted.push(first);
    let mut previous = first;
    for &byte in rest {
        let kept = !matches!(byte, b'-' | b'_' | b'+')
            && (is_border(previous, byte) || byte.is_ascii_alphanumeric());
        if (!kept || is_border(previous, byte)) && dotted.last() != Some(&b'.') {
            dotted.push(b'.');
        }
        if kept {
            dotted.push(byte);
        }
        previous = byte;
    }
    dotted
}

/// Whether a number ends or starts between the two.
fn is_border(previous: u8, byte: u8) -> bool {
    previous != b'.' && byte != b'.' && previous.is_ascii_digit() != byte.is_ascii_digit()
}
