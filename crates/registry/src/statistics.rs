//! Small frequent writes that are gathered in memory and flushed every few seconds: installs and last uses.
//!
//! They, and only they, may lose the last seconds in a crash.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use kapelle_storage::StorageError;
use kapelle_storage::db::{install_statistics, packages, tokens};

use crate::access::{self, Denied};
use crate::actor::Actor;
use crate::clock::DAY;
use crate::registry::Registry;

/// Distinct entries that one buffer holds; past it, new ones are counted as dropped until the next flush.
const ROOM: usize = 100_000;
/// Rows written per transaction.
const BATCH: usize = 500;

/// One installed package as Composer reports it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Install {
    /// The package's name.
    pub name: String,
    /// Its normalized version.
    pub version: String,
}

type InstallKey = (i64, Install, i64);

/// What waits to be written.
#[derive(Debug, Default)]
pub struct Buffers {
    installs: Mutex<HashMap<InstallKey, i64>>,
    tokens: Mutex<HashMap<i64, i64>>,
}

/// Notes that packages of an organization were installed.
pub fn record_installs(
    registry: &Registry,
    actor: &Actor,
    organization_id: i64,
    installs: Vec<Install>,
) -> Result<(), Denied> {
    access::read(actor, organization_id)?;
    let day = registry.now().div_euclid(DAY);
    let mut buffer = registry
        .buffers
        .installs
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    for install in installs {
        let key = (organization_id, install, day);
        if buffer.len() < ROOM || buffer.contains_key(&key) {
            *buffer.entry(key).or_insert(0) += 1;
        } else {
            metrics::counter!("kapelle_installs_dropped_total").increment(1);
        }
    }
    Ok(())
}

/// Notes that a token was used now.
pub(crate) fn record_use(registry: &Registry, token_id: i64) {
    let now = registry.now();
    let mut buffer = registry
        .buffers
        .tokens
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    buffer.insert(token_id, now);
}

/// Writes everything that waits. Called every few seconds and at shutdown.
pub async fn flush(registry: &Registry) -> Result<(), StorageError> {
    flush_tokens(registry).await?;
    flush_installs(registry).await
}

async fn flush_tokens(registry: &Registry) -> Result<(), StorageError> {
    let used = std::mem::take(
        &mut *registry
            .buffers
            .tokens
            .lock()
            .unwrap_or_else(PoisonError::into_inner),
    );
    for batch in used.into_iter().collect::<Vec<_>>().chunks(BATCH) {
        let mut transaction = registry.database().write().await?;
        tokens::touch_last_used(&mut transaction, batch).await?;
        transaction.commit().await?;
    }
    Ok(())
}

async fn flush_installs(registry: &Registry) -> Result<(), StorageError> {
    let installs = std::mem::take(
        &mut *registry
            .buffers
            .installs
            .lock()
            .unwrap_or_else(PoisonError::into_inner),
    );
    for batch in installs.into_iter().collect::<Vec<_>>().chunks(BATCH) {
        let mut transaction = registry.database().write().await?;
        let mut counted = Vec::with_capacity(batch.len());
        for ((organization_id, install, day), count) in batch {
            let package =
                packages::find_by_name(&mut transaction, *organization_id, &install.name).await?;
            if let Some(package) = package {
                counted.push(install_statistics::Installs {
                    package_id: package.id,
                    version_normalized: install.version.clone(),
                    day: *day,
                    installs: *count,
                });
            }
        }
        install_statistics::add(&mut transaction, &counted).await?;
        transaction.commit().await?;
    }
    Ok(())
}
