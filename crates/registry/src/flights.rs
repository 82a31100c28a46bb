//! Single flight: of all who want the same costly thing at once, one makes it and the others find it made.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard};

/// One lock per key, forgotten when nobody holds or awaits it.
#[derive(Debug)]
pub struct Flights<K>(Mutex<HashMap<K, Weak<AsyncMutex<()>>>>);

impl<K> Default for Flights<K> {
    fn default() -> Self {
        Self(Mutex::new(HashMap::new()))
    }
}

impl<K: Eq + Hash> Flights<K> {
    /// Waits for the key's turn. Whoever gets it looks first whether the thing exists by now.
    pub async fn turn(&self, key: K) -> OwnedMutexGuard<()> {
        let lock = {
            let mut flights = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            flights.retain(|_, lock| lock.strong_count() > 0);
            let lock = flights
                .get(&key)
                .and_then(Weak::upgrade)
                .unwrap_or_default();
            flights.insert(key, Arc::downgrade(&lock));
            lock
        };
        lock.lock_owned().await
    }
}
