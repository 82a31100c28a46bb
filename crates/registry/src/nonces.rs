//! Nonces of signed requests that this process has accepted.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use sha2::{Digest, Sha256};

use crate::clock::{HOUR, MINUTE, Millis};

/// How long a nonce is remembered in memory: the time of a request may be off by 15 seconds both ways, and clocks of processes
/// by a few.
pub(crate) const REMEMBERED: Millis = 2 * MINUTE;
/// How long a nonce of a request that changes something is kept in the database: an upload is admitted when it has arrived, and
/// no copy of it that was begun in time may still be on its way then.
pub(crate) const KEPT: Millis = HOUR;
/// From how many on old ones are looked for.
const MANY: usize = 1_000;

/// What was accepted lately, by a digest of key and nonce.
#[derive(Debug, Default)]
pub(crate) struct Nonces(Mutex<Seen>);

#[derive(Debug, Default)]
struct Seen {
    all: HashMap<[u8; 16], Millis>,
    /// At how many old ones are looked for again: so that this takes no longer than noting them did.
    full: usize,
}

impl Nonces {
    /// Notes a nonce; `false`: it was noted lately.
    pub(crate) fn note(&self, key: i64, cnonce: &str, now: Millis) -> bool {
        let digest = Sha256::new()
            .chain_update(key.to_le_bytes())
            .chain_update(cnonce);
        let mut name = [0; 16];
        name.copy_from_slice(&digest.finalize()[..16]);
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.all.len() >= seen.full.max(MANY) {
            seen.all.retain(|_, at| *at > now - REMEMBERED);
            seen.full = seen.all.len() * 2;
        }
        let before = seen.all.insert(name, now);
        before.is_none_or(|at| at <= now - REMEMBERED)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nonce_is_new_once_for_each_key_and_forgotten_in_time() {
        let nonces = Nonces::default();
        assert!(nonces.note(1, "a", 0));
        assert!(!nonces.note(1, "a", 1));
        assert!(nonces.note(2, "a", 1));
        assert!(nonces.note(2, "a", 1 + REMEMBERED));
        for number in 0..3 * MANY {
            assert!(nonces.note(3, &number.to_string(), 2 * REMEMBERED));
        }
        let seen = nonces.0.lock().unwrap();
        assert_eq!(seen.all.len(), 3 * MANY + 1, "the oldest is gone");
    }
}
