//! Looking into an archive that somebody else made.

use std::path::PathBuf;
use std::sync::Arc;

use kapelle_archive::{ArchiveError, Limits, RootFile, read_root_file};
use tokio::task::JoinError;

use crate::registry::Registry;

/// Reads the whole archive for its composer.json: every name, link and checksum in it is checked, and every limit holds. As many
/// are read at once as there are processors, whether or not anybody still waits for them.
pub(crate) async fn read(
    registry: &Registry,
    archive: PathBuf,
    limits: Limits,
) -> Result<Result<RootFile, ArchiveError>, JoinError> {
    let turn = Arc::clone(&registry.inspections).acquire_owned().await;
    let turn = turn.expect("this semaphore is never closed");
    tokio::task::spawn_blocking(move || {
        let found = read_root_file(&archive, "composer.json", &limits);
        drop(turn);
        found
    })
    .await
}
