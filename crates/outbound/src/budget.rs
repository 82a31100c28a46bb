//! How many things may happen at once against one host.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Above so many hosts, those that nobody uses are forgotten.
const REMEMBERED_HOSTS: usize = 256;

/// The right to work against one host, given back when dropped.
#[derive(Debug)]
pub struct HostPermit {
    _permit: OwnedSemaphorePermit,
}

#[derive(Debug)]
pub(crate) struct HostBudget {
    per_host: usize,
    hosts: Mutex<HashMap<String, Arc<Semaphore>>>,
}

impl HostBudget {
    /// At least one permit per host, or nothing would ever happen.
    pub(crate) fn new(per_host: usize) -> Self {
        Self {
            per_host: per_host.max(1),
            hosts: Mutex::default(),
        }
    }

    pub(crate) async fn permit(&self, host: &str) -> HostPermit {
        let permit = self
            .semaphore(host)
            .acquire_owned()
            .await
            .expect("the semaphores of a budget are never closed");
        HostPermit { _permit: permit }
    }

    fn semaphore(&self, host: &str) -> Arc<Semaphore> {
        let key = host.to_ascii_lowercase();
        let mut hosts = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        if hosts.len() >= REMEMBERED_HOSTS && !hosts.contains_key(&key) {
            hosts.retain(|_, semaphore| Arc::strong_count(semaphore) > 1);
        }
        Arc::clone(
            hosts
                .entry(key)
                .or_insert_with(|| Arc::new(Semaphore::new(self.per_host))),
        )
    }
}
