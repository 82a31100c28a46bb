//! Small frequent writes that are gathered in memory and flushed every few seconds: installs and last uses.
//!
//! They, and only they, may lose the last seconds in a crash.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use kapelle_composer::PackageName;
use kapelle_storage::db::{api_keys, install_statistics, packages, tokens};
use kapelle_storage::{StorageError, Transaction};

use crate::access::{self, Denied};
use crate::actor::Actor;
use crate::clock::{DAY, Millis};
use crate::registry::Registry;

/// Distinct entries that one buffer holds; past it, new ones are counted as dropped until the next flush.
const ROOM: usize = 100_000;
/// Longest version that is counted, in bytes: a database's index takes no endless ones.
const VERSION: usize = 1_100;
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
    /// When each token was used last.
    tokens: Mutex<HashMap<i64, i64>>,
    /// When each API key was used last.
    keys: Mutex<HashMap<i64, i64>>,
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
    for install in installs.into_iter().filter_map(countable) {
        let key = (organization_id, install, day);
        if buffer.len() < ROOM || buffer.contains_key(&key) {
            *buffer.entry(key).or_insert(0) += 1;
        } else {
            metrics::counter!("kapelle_installs_dropped_total").increment(1);
        }
    }
    Ok(())
}

/// What a client says may be anything; what can be no package or no version is nothing to count.
fn countable(install: Install) -> Option<Install> {
    let name = PackageName::lookup(&install.name).ok()?;
    let Install { version, .. } = install;
    let is_version = version.len() <= VERSION && !version.chars().any(char::is_control);
    is_version.then(|| Install {
        name: name.to_string(),
        version,
    })
}

/// Notes that a token was used at `now`.
pub(crate) fn record_use(registry: &Registry, token_id: i64, now: Millis) {
    note(&registry.buffers.tokens, token_id, now);
}

/// Notes that an API key was used at `now`.
pub(crate) fn record_key_use(registry: &Registry, key_id: i64, now: Millis) {
    note(&registry.buffers.keys, key_id, now);
}

fn note(buffer: &Mutex<HashMap<i64, i64>>, id: i64, now: Millis) {
    let mut buffer = buffer.lock().unwrap_or_else(PoisonError::into_inner);
    buffer.insert(id, now);
}

/// Writes everything that waits; what cannot be written now waits on. Called every few seconds and at shutdown.
pub async fn flush(registry: &Registry) -> Result<(), StorageError> {
    let Buffers { tokens, keys, .. } = &registry.buffers;
    let tokens = flush_uses(registry, tokens, tokens::touch_last_used).await;
    let keys = flush_uses(registry, keys, api_keys::touch_last_used).await;
    flush_installs(registry).await.and(tokens).and(keys)
}

/// Writes last uses, a batch in a transaction; what cannot be written now waits on.
async fn flush_uses(
    registry: &Registry,
    buffer: &Mutex<HashMap<i64, i64>>,
    write: impl AsyncFn(&mut Transaction, &[(i64, i64)]) -> Result<(), StorageError>,
) -> Result<(), StorageError> {
    let taken = std::mem::take(&mut *buffer.lock().unwrap_or_else(PoisonError::into_inner));
    let mut used: Vec<(i64, i64)> = taken.into_iter().collect();
    // In one order everywhere, so that two processes never wait for each other.
    used.sort_unstable();
    let write_one = async |batch: &[(i64, i64)]| {
        let mut transaction = registry.database().write_reserved().await?;
        write(&mut transaction, batch).await?;
        transaction.commit().await
    };
    for (index, batch) in used.chunks(BATCH).enumerate() {
        if let Err(error) = write_one(batch).await {
            let mut buffer = buffer.lock().unwrap_or_else(PoisonError::into_inner);
            for &(id, at) in &used[index * BATCH..] {
                let latest = buffer.entry(id).or_insert(at);
                *latest = at.max(*latest);
            }
            return Err(error);
        }
    }
    Ok(())
}

async fn flush_installs(registry: &Registry) -> Result<(), StorageError> {
    let buffer = &registry.buffers.installs;
    let taken = std::mem::take(&mut *buffer.lock().unwrap_or_else(PoisonError::into_inner));
    let installs: Vec<(InstallKey, i64)> = taken.into_iter().collect();
    for (index, batch) in installs.chunks(BATCH).enumerate() {
        if let Err(error) = write_installs(registry, batch).await {
            let mut buffer = buffer.lock().unwrap_or_else(PoisonError::into_inner);
            for (key, count) in &installs[index * BATCH..] {
                *buffer.entry(key.clone()).or_insert(0) += count;
            }
            return Err(error);
        }
    }
    Ok(())
}

async fn write_installs(
    registry: &Registry,
    batch: &[(InstallKey, i64)],
) -> Result<(), StorageError> {
    let mut counted = Vec::with_capacity(batch.len());
    let mut connection = registry.database().read().await?;
    for ((organization_id, install, day), count) in batch {
        let package =
            packages::find_by_name(&mut connection, *organization_id, &install.name).await?;
        if let Some(package) = package {
            counted.push(install_statistics::Installs {
                package_id: package.id,
                version_normalized: install.version.clone(),
                day: *day,
                installs: *count,
            });
        }
    }
    drop(connection);
    // In one order everywhere, so that two processes never wait for each other.
    counted.sort_by(|one, other| {
        let key = |row: &install_statistics::Installs| (row.package_id, row.day);
        (key(one), &one.version_normalized).cmp(&(key(other), &other.version_normalized))
    });
    let mut transaction = registry.database().write_reserved().await?;
    install_statistics::add(&mut transaction, &counted).await?;
    transaction.commit().await
}
