//! The gate before writing: shut from outside while there is no room for what would be written.

use std::sync::{Arc, PoisonError, RwLock};

use crate::{Result, StorageError};

/// Open, or shut with the sentence that says why.
#[derive(Debug, Default)]
pub(crate) struct Gate(RwLock<Option<Arc<str>>>);

impl Gate {
    pub(crate) fn set(&self, reason: Option<Arc<str>>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = reason;
    }

    pub(crate) fn pass(&self) -> Result<()> {
        match &*self.0.read().unwrap_or_else(PoisonError::into_inner) {
            None => Ok(()),
            Some(reason) => Err(StorageError::Shut {
                reason: Arc::clone(reason),
            }),
        }
    }
}
