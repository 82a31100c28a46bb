//! Whether everything that was promised is still there: rows, bytes, documents and mirrors, held against each other.
//!
//! Nothing is changed. It may run beside servers and workers: what looks wrong is looked at again before it is
//! reported, and what is only on its way (announced blobs, queued jobs) is not wrong. Rows are read in pages, so that
//! memory depends on the largest package and not on how many there are.

mod archives;
mod blobs;
mod documents;
mod jobs;
mod mirrors;
mod packages;
mod references;
mod report;
mod secrets;
mod sequence;
mod stored;
mod unbuilt;
mod walk;

pub use report::{About, Checked, Finding, Kind, Report, Unlisted};

use kapelle_storage::StorageError;
use kapelle_storage::blobs::BlobError;

use crate::access::{self, Denied};
use crate::actor::Actor;
use crate::registry::Registry;
use sequence::Sequence;
use walk::Walk;

/// How thoroughly to look.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// Only whether bytes are there and how many: no archive is read, no mirror is followed from commit to commit.
    pub quick: bool,
}

/// How far a run is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// What is looked at, such as `packages`.
    pub stage: &'static str,
    /// How many of them were.
    pub done: u64,
    /// Of how many, as counted when the stage began.
    pub total: u64,
}

/// Why nothing can be said.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// Not allowed.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// The store of blobs cannot be listed.
    #[error(transparent)]
    Blobs(#[from] BlobError),
    /// An archive could not be brought into a temporary file.
    #[error("a temporary file for an archive cannot be written: {0}")]
    Temporary(#[from] std::io::Error),
    /// A part of the check stopped unexpectedly.
    #[error("the check could not go on: {0}")]
    Stopped(#[from] tokio::task::JoinError),
    /// The database failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// Looks at the whole installation and says what is wrong with it. `on_progress` is told after each thing that was
/// looked at.
pub async fn run(
    registry: &Registry,
    actor: &Actor,
    options: Options,
    on_progress: &(dyn Fn(Progress) + Send + Sync),
) -> Result<Report, VerifyError> {
    access::administer(actor, 0)?;
    let walk = Walk::begin(registry, options, on_progress).await?;
    let sequence = Sequence::read(&walk).await?;
    secrets::check(&walk).await?;
    jobs::check(&walk).await?;
    packages::check(&walk).await?;
    stored::check(&walk, &sequence).await?;
    blobs::check(&walk).await?;
    sequence.end(&walk).await?;
    Ok(walk.end())
}
