//! Names of objects as they stand in objects: 20 bytes.

use std::fmt;

use crate::error::VcsError;
use crate::refname;

/// The name of an object: its SHA-1.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Oid([u8; Oid::LENGTH]);

impl Oid {
    /// Bytes of a name.
    pub(crate) const LENGTH: usize = 20;

    /// The name that stands at the beginning of `bytes`, and what follows it.
    pub(crate) fn split_from(bytes: &[u8]) -> Option<(Self, &[u8])> {
        let (name, rest) = bytes.split_first_chunk()?;
        Some((Self(*name), rest))
    }

    /// Reads 40 lower-case hexadecimal digits.
    pub fn parse(text: &str) -> Result<Self, VcsError> {
        refname::check_oid(text)?;
        let mut name = [0; Self::LENGTH];
        for (byte, digits) in name.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
            *byte = digit(digits[0]) << 4 | digit(digits[1]);
        }
        Ok(Self(name))
    }
}

fn digit(character: u8) -> u8 {
    match character {
        b'a'..=b'f' => character - b'a' + 10,
        _ => character.wrapping_sub(b'0'),
    }
}

impl fmt::Display for Oid {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut text = [0; 2 * Self::LENGTH];
        for (pair, byte) in text.chunks_exact_mut(2).zip(self.0) {
            pair[0] = DIGITS[usize::from(byte >> 4)];
            pair[1] = DIGITS[usize::from(byte & 15)];
        }
        out.write_str(str::from_utf8(&text).unwrap_or_default())
    }
}

impl fmt::Debug for Oid {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Oid({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_written_as_it_was_read() {
        let text = "0123456789abcdef0123456789abcdef01234567";
        assert_eq!(Oid::parse(text).unwrap().to_string(), text);
        let (first, rest) = Oid::split_from(&[0xab; 21]).unwrap();
        assert_eq!((first.to_string(), rest), ("ab".repeat(20), &[0xab][..]));
        assert!(Oid::split_from(&[0; 19]).is_none());
        for refused in ["", "HEAD", &text[..39], &text.to_uppercase()] {
            assert!(Oid::parse(refused).is_err(), "{refused}");
        }
    }
}
