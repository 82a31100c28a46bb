//! Bytes that come and go without ever being lost: who stores announces first, who deletes claims first.

use std::time::Duration;

use kapelle_storage::blobs::BlobError;
use kapelle_storage::db::blobs::{self as rows, Blob, Touched};
use kapelle_storage::{StorageError, Transaction};

use crate::clock::{MINUTE, Millis};
use crate::registry::Registry;

/// How long a collector may take to delete bytes that it has claimed. Then it counts as lost, and whoever needs the bytes
/// or their place finishes for it.
pub(crate) const CLAIM: Millis = 15 * MINUTE;
/// How long after its claim a collector needs not ask whether it is still its own.
const FRESH: Millis = MINUTE;

/// How often and how long a writer waits for a collector that is deleting the same bytes.
const WAITS: usize = 40;
/// As above.
const WAIT: Duration = Duration::from_millis(250);

/// Why bytes could not be stored or deleted.
#[derive(Debug, thiserror::Error)]
pub enum CollectError {
    /// The same bytes are being deleted by somebody who does not come to an end.
    #[error("the same bytes are just being deleted: try again later")]
    Deleting,
    /// The store failed.
    #[error(transparent)]
    Blob(#[from] BlobError),
    /// The database failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// Announces that bytes are about to be stored, so that no collector takes them before they are referred to.
pub(crate) async fn announce(
    registry: &Registry,
    sha256: &[u8],
    size: i64,
) -> Result<(), CollectError> {
    for _ in 0..WAITS {
        let mut transaction = registry.database().write().await?;
        let touched = rows::touch(&mut transaction, sha256, size, registry.now()).await?;
        transaction.commit().await?;
        match touched {
            Touched::Live => return Ok(()),
            Touched::Deleting if finish_lost(registry, sha256).await? => {}
            Touched::Deleting => tokio::time::sleep(WAIT).await,
        }
    }
    Err(CollectError::Deleting)
}

/// Deletes what a collector claimed that was lost before it could; `false`: the claim is still fresh, or done with.
async fn finish_lost(registry: &Registry, sha256: &[u8]) -> Result<bool, CollectError> {
    let now = registry.now();
    let mut transaction = registry.database().write().await?;
    let lost = rows::take_over(&mut transaction, sha256, now - CLAIM, now).await?;
    transaction.commit().await?;
    match lost {
        Some(lost) => collect(registry, &lost).await.map(|()| true),
        None => Ok(false),
    }
}

/// Ends a transaction in which it turned out that stored bytes come to nothing, and deletes them, unless somebody else needs them.
pub(crate) async fn discard(
    registry: &Registry,
    mut transaction: Transaction,
    sha256: &[u8],
) -> Result<(), CollectError> {
    let orphan = rows::claim(&mut transaction, sha256, registry.now()).await?;
    transaction.commit().await?;
    match orphan {
        Some(orphan) => collect(registry, &orphan).await,
        None => Ok(()),
    }
}

/// Deletes the bytes of a claimed blob, then its row.
pub(crate) async fn collect(registry: &Registry, claimed: &Blob) -> Result<(), CollectError> {
    let now = registry.now();
    if now - claimed.touched_at > FRESH {
        // One of many that were claimed at once: by now somebody else may have taken it over, and a writer may have
        // stored the same bytes again.
        let mut transaction = registry.database().write().await?;
        let before = claimed.touched_at + 1;
        let ours = rows::take_over(&mut transaction, &claimed.sha256, before, now).await?;
        transaction.commit().await?;
        if ours.is_none() {
            return Ok(());
        }
    }
    registry.parts.blobs.delete(&claimed.sha256).await?;
    let mut transaction = registry.database().write().await?;
    rows::drop_row(&mut transaction, &claimed.sha256).await?;
    Ok(transaction.commit().await?)
}
