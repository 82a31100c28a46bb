//! The registry itself: the parts that every rule works with, behind one cheap handle.

use std::ops::Deref;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicI64;
use std::thread::available_parallelism;

use arc_swap::ArcSwap;
use kapelle_outbound::Client;
use kapelle_storage::blobs::Blobs;
use kapelle_storage::{Database, StorageError};
use kapelle_vcs::{Git, Protocols};
use tokio::sync::{Notify, Semaphore};
use url::Url;

use crate::clock::{Clock, Moment};
use crate::disk::Disk;
use crate::dist::{Builds, Kept};
use crate::document::{Presses, Renderings};
use crate::feed::Memory;
use crate::limits::Limits;
use crate::nonces::Nonces;
use crate::random::Random;
use crate::secrets::Secrets;
use crate::statistics::Buffers;

/// What a registry is made of; the binary and the tests put it together.
#[derive(Debug)]
pub struct Parts {
    /// Rows, migrated.
    pub database: Database,
    /// Dists.
    pub blobs: Blobs,
    /// Repositories of others.
    pub git: Git,
    /// Which protocols a repository URL may use.
    pub protocols: Protocols,
    /// The only HTTP client.
    pub outbound: Client,
    /// Secrets at rest.
    pub secrets: Secrets,
    /// Time.
    pub clock: Clock,
    /// Randomness.
    pub random: Random,
    /// Sizes and counts.
    pub limits: Limits,
    /// Scheme, host and path under which clients reach this registry, ending in `/`.
    pub public_url: Url,
    /// Where dists are built before they become blobs.
    pub temporary: PathBuf,
    /// The disks that must not run full.
    pub disk: Disk,
}

/// A cheap handle on one registry; clones share everything.
#[derive(Clone, Debug)]
pub struct Registry(Arc<Inner>);

/// Parts and memory; reached through [`Registry`].
#[derive(Debug)]
pub struct Inner {
    pub(crate) parts: Parts,
    pub(crate) public_url: ArcSwap<Url>,
    pub(crate) memory: Memory,
    pub(crate) builds: Builds,
    pub(crate) kept: Kept,
    pub(crate) renderings: Renderings,
    pub(crate) presses: Presses,
    /// The rights to build a dist that nobody waits for: as many as keep the processors busy, because each of them takes memory.
    pub(crate) patient_builds: Semaphore,
    /// The rights to look into an archive that somebody else made: names and folders are held in memory meanwhile.
    pub(crate) inspections: Arc<Semaphore>,
    pub(crate) buffers: Buffers,
    pub(crate) nonces: Nonces,
    /// Wakes the workers of this process when a job was queued.
    pub(crate) job_queued: Notify,
    /// When this process gave a sign of life for its depot, on the clock of what passed.
    pub(crate) attended_at: AtomicI64,
}

impl Deref for Registry {
    type Target = Inner;

    fn deref(&self) -> &Inner {
        &self.0
    }
}

impl Registry {
    /// Puts the parts together.
    pub fn new(parts: Parts) -> Self {
        let memory = Memory::new(parts.limits.document_cache);
        Self(Arc::new(Inner {
            public_url: ArcSwap::from_pointee(parts.public_url.clone()),
            memory,
            builds: Builds::default(),
            kept: Kept::default(),
            renderings: Renderings::default(),
            presses: Presses::default(),
            patient_builds: Semaphore::new(available_parallelism().map_or(1, usize::from)),
            inspections: Arc::new(Semaphore::new(
                available_parallelism().map_or(1, usize::from),
            )),
            buffers: Buffers::default(),
            nonces: Nonces::default(),
            job_queued: Notify::new(),
            attended_at: AtomicI64::new(i64::MIN / 2),
            parts,
        }))
    }

    /// The rows.
    pub fn database(&self) -> &Database {
        &self.parts.database
    }

    /// The present moment in milliseconds since 1970.
    pub fn now(&self) -> i64 {
        self.parts.clock.now()
    }

    /// The present moment in every form.
    pub fn moment(&self) -> Moment {
        self.parts.clock.moment()
    }

    /// How many milliseconds have passed since some moment, whatever happens to the clock.
    pub(crate) fn passed(&self) -> i64 {
        self.parts.clock.passed()
    }

    /// The dists' bytes.
    pub fn blobs(&self) -> &Blobs {
        &self.parts.blobs
    }

    /// Whether the database answers.
    pub async fn ping(&self) -> Result<(), StorageError> {
        self.database().ping().await
    }

    /// The limits in force.
    pub fn limits(&self) -> &Limits {
        &self.parts.limits
    }

    /// The protocols a repository URL may use.
    pub fn protocols(&self) -> &Protocols {
        &self.parts.protocols
    }

    /// Where clients reach this registry, ending in `/`.
    pub fn public_url(&self) -> Url {
        Url::clone(&self.public_url.load())
    }

    /// Changes where clients reach this registry; documents made for another URL are made anew when read.
    pub fn set_public_url(&self, url: Url) {
        self.public_url.store(Arc::new(url));
        self.memory.documents.clear();
    }

    /// The URL of an organization's Composer repository, without a slash at the end.
    pub fn repository_url(&self, slug: &str) -> String {
        format!("{}repo/{slug}", self.public_url.load())
    }
}
