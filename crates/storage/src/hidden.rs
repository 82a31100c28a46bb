//! Bytes that must not reach a log.

use std::fmt;
use std::ops::Deref;

/// Bytes whose `Debug` shows only their length: encrypted secrets and token hashes.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Hidden(pub Vec<u8>);

impl fmt::Debug for Hidden {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Hidden({} bytes)", self.0.len())
    }
}

impl Deref for Hidden {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl From<Vec<u8>> for Hidden {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }
}
