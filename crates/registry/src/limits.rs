//! Sizes and counts past which input is refused with a sentence.

use std::time::Duration;

use kapelle_composer::manifest::MANIFEST_LIMITS;
use kapelle_composer::{Limits as JsonLimits, Manifest, ManifestError};

/// One mebibyte.
pub const MIB: u64 = 1024 * 1024;

/// Sizes in bytes, counts, and times. The defaults are those of the handbook.
#[derive(Clone, Debug)]
pub struct Limits {
    /// A composer.json.
    pub manifest: u64,
    /// A JSON request body.
    pub json_body: u64,
    /// Depth of a JSON request body.
    pub json_depth: usize,
    /// A dist or artifact, packed.
    pub packed: u64,
    /// A dist or artifact, unpacked.
    pub unpacked: u64,
    /// Entries of an archive, and of a tree.
    pub entries: u64,
    /// Tags and branches of one repository.
    pub refs: usize,
    /// Answers that are kept in memory.
    pub document_cache: u64,
    /// Package names up to which the root lists them all.
    pub available_packages: usize,
    /// How long a removed package can be restored.
    pub undo: Duration,
    /// How long a job stays with a worker that gives no sign of life.
    pub lease: Duration,
    /// How long a download waits for a worker when it has to be built elsewhere.
    pub build_wait: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            manifest: MIB,
            json_body: 2 * MIB,
            json_depth: 64,
            packed: 512 * MIB,
            unpacked: 2048 * MIB,
            entries: 200_000,
            refs: 200_000,
            document_cache: 64 * MIB,
            available_packages: 10_000,
            undo: Duration::from_hours(30 * 24),
            lease: Duration::from_mins(1),
            build_wait: Duration::from_secs(15),
        }
    }
}

/// Reads a composer.json whose size was judged by [`Limits::manifest`] when it came out of its repository.
pub(crate) fn manifest(bytes: &[u8]) -> Result<Manifest, ManifestError> {
    let limits = JsonLimits {
        bytes: usize::MAX,
        ..MANIFEST_LIMITS
    };
    Manifest::parse_within(bytes, limits)
}
