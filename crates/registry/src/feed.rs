//! The change sequence: what this process remembers, and how it learns what others changed.
//!
//! Whatever is remembered was read from the database at a known point of the sequence and is forgotten as soon
//! as a later change names it. A process that cannot confirm the sequence says so and stops answering from memory.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use kapelle_storage::db::changes::{self, Change};
use kapelle_storage::db::organizations::Organization;
use kapelle_storage::{Connection, StorageError};
use quick_cache::Weighter;
use quick_cache::sync::Cache;
use tokio_util::sync::CancellationToken;

use crate::clock::{MINUTE, Millis, SECOND};
use crate::document::{self, Remembered};
use crate::registry::Registry;
use crate::token::{Fingerprint, KnownToken};

/// How many changes are read at once.
const PAGE: i64 = 1_000;
/// How long the sequence may be unconfirmed before the process calls itself unready.
const UNREADY_AFTER: Millis = 10 * SECOND;
/// How long the sequence may be unconfirmed before private data is no longer served.
const REFUSE_AFTER: Millis = MINUTE;
/// Long before anything that [`Clock::passed`](crate::Clock::passed) counts.
const NEVER: Millis = i64::MIN / 2;
/// How far our clock may be off the database's.
const CLOCK_SKEW: Millis = 2 * SECOND;
/// Valid tokens remembered at most.
const TOKENS: usize = 100_000;
/// Bytes of an ordinary document, to guess how many there is room for.
const DOCUMENT: u64 = 4_096;

/// How well this process knows the sequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Freshness {
    /// Confirmed lately.
    Confirmed,
    /// Unconfirmed for too long to take new clients, or the clock is not the database's.
    Unready,
    /// Unconfirmed for so long that a revoked token might still be honoured: private reads are refused.
    Stale,
}

/// Weighs documents by their bytes.
#[derive(Clone, Debug)]
pub(crate) struct Bytes;

impl Weighter<Box<str>, Remembered> for Bytes {
    fn weight(&self, key: &Box<str>, value: &Remembered) -> u64 {
        (key.len() + value.size()) as u64
    }
}

/// What this process remembers of the database.
#[derive(Debug)]
pub struct Memory {
    /// The newest change that memory takes account of. Held while memory is written, so that nothing older than a
    /// change gets in after it.
    seen: Mutex<i64>,
    /// On the clock of what passed: the other one may be set.
    confirmed_at: AtomicI64,
    clock_is_off: AtomicBool,
    slugs: RwLock<HashMap<i64, Box<str>>>,
    pub(crate) documents: Cache<Box<str>, Remembered, Bytes>,
    pub(crate) tokens: Cache<Fingerprint, Arc<KnownToken>>,
    pub(crate) organizations: Cache<Box<str>, Arc<Organization>>,
}

impl Memory {
    /// Empty, with room for `document_bytes` of documents.
    pub(crate) fn new(document_bytes: u64) -> Self {
        let documents = usize::try_from(document_bytes / DOCUMENT).unwrap_or(usize::MAX);
        Self {
            seen: Mutex::new(0),
            confirmed_at: AtomicI64::new(NEVER),
            clock_is_off: AtomicBool::new(false),
            slugs: RwLock::default(),
            documents: Cache::with_weighter(documents, document_bytes, Bytes),
            tokens: Cache::new(TOKENS),
            organizations: Cache::new(TOKENS),
        }
    }

    /// The point of the sequence to pass to [`remember`](Self::remember); take it before reading the database.
    pub(crate) fn point(&self) -> i64 {
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes to memory unless a change came in since `point`.
    pub(crate) fn remember(&self, point: i64, write: impl FnOnce(&Self)) {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if *seen == point {
            write(self);
        }
    }

    /// Notes which slug an organization has, so that its documents can be forgotten by its id.
    pub(crate) fn note_slug(&self, organization: &Organization) {
        let mut slugs = self.slugs.write().unwrap_or_else(PoisonError::into_inner);
        slugs.insert(organization.id, organization.slug.as_str().into());
    }

    fn forget(&self, page: &[Change], newest: i64) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        for change in page {
            self.forget_one(change);
        }
        *seen = newest.max(*seen);
    }

    /// Forgets everything: what is read from now on is at `newest` or later.
    fn start_over(&self, newest: i64) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        self.documents.clear();
        self.organizations.clear();
        self.tokens.clear();
        *seen = newest;
    }

    fn forget_one(&self, change: &Change) {
        match change.subject.as_str() {
            "package" => {
                let slugs = self.slugs.read().unwrap_or_else(PoisonError::into_inner);
                if let Some(slug) = slugs.get(&change.organization_id) {
                    let name = &change.name;
                    self.documents
                        .remove(format!("{slug}/p2/{name}.json").as_str());
                }
            }
            "root" => {
                let slugs = self.slugs.read().unwrap_or_else(PoisonError::into_inner);
                if let Some(slug) = slugs.get(&change.organization_id) {
                    self.documents
                        .remove(format!("{slug}/{}", document::ROOT).as_str());
                }
            }
            "token" => self.tokens.clear(),
            _ => {
                self.organizations.clear();
                self.documents.clear();
            }
        }
    }
}

impl Registry {
    /// Takes account of every change that is committed by now. Called after each of our own commits, so that a
    /// change is visible where it was made before its answer is sent.
    pub async fn catch_up(&self) -> Result<(), StorageError> {
        let mut connection = self.database().read().await?;
        self.catch_up_on(&mut connection).await
    }

    async fn catch_up_on(&self, connection: &mut Connection) -> Result<(), StorageError> {
        let passed = self.passed();
        if self.freshness() == Freshness::Stale {
            // Never confirmed, or away for so long that changes may have been pruned meanwhile.
            let newest = changes::latest(connection).await?;
            self.memory.start_over(newest);
        }
        loop {
            let since = self.memory.point();
            let page = changes::since(connection, since, PAGE).await?;
            if let Some(newest) = page.last() {
                // Where our own place was pruned, so may have been what comes after it: by a process with a clock ahead.
                if changes::oldest(connection).await? > since {
                    self.memory.start_over(newest.seq);
                } else {
                    self.memory.forget(&page, newest.seq);
                }
            }
            if i64::try_from(page.len()).unwrap_or(PAGE) < PAGE {
                self.memory.confirmed_at.store(passed, Ordering::SeqCst);
                return Ok(());
            }
        }
    }

    /// How long ago the sequence was confirmed, judged.
    pub fn freshness(&self) -> Freshness {
        self.freshness_at(self.passed())
    }

    /// The same for who has looked at the clock: `passed` is that of a [`Moment`](crate::clock::Moment).
    pub fn freshness_at(&self, passed: Millis) -> Freshness {
        match passed - self.memory.confirmed_at.load(Ordering::SeqCst) {
            age if age > REFUSE_AFTER => Freshness::Stale,
            age if age > UNREADY_AFTER => Freshness::Unready,
            _ if self.memory.clock_is_off.load(Ordering::SeqCst) => Freshness::Unready,
            _ => Freshness::Confirmed,
        }
    }

    /// Compares our clock with the database server's; while they differ by more than two seconds, this process
    /// calls itself unready. Gives ours minus theirs in milliseconds: 0 for SQLite, which has no clock.
    pub async fn check_clock(&self) -> Result<Millis, StorageError> {
        let theirs = self.database().server_time().await?;
        let skew = theirs.map_or(0, |theirs| self.now() - theirs);
        let is_off = skew.abs() > CLOCK_SKEW;
        if is_off && !self.memory.clock_is_off.swap(is_off, Ordering::SeqCst) {
            tracing::error!(
                skew,
                "this machine's clock is not the database's: set it, for example with NTP"
            );
        }
        self.memory.clock_is_off.store(is_off, Ordering::SeqCst);
        Ok(skew)
    }

    /// Follows the sequence until `shutdown`; one such loop runs in every serving process.
    pub async fn follow(&self, shutdown: CancellationToken) {
        let mut healthy = true;
        while !shutdown.is_cancelled() {
            match self.follow_once(&shutdown).await {
                Ok(()) => healthy = true,
                Err(error) => {
                    if healthy {
                        tracing::error!(%error, "the change sequence cannot be read; trying again every second");
                    }
                    healthy = false;
                    tokio::select! {
                        () = shutdown.cancelled() => {}
                        () = tokio::time::sleep(Duration::from_secs(1)) => {}
                    }
                }
            }
        }
    }

    async fn follow_once(&self, shutdown: &CancellationToken) -> Result<(), StorageError> {
        let mut watcher = self.database().watch().await?;
        loop {
            // Not behind readers who keep every other connection busy: a token that was revoked must stop in time.
            let mut aside = self.database().read_aside().await?;
            self.catch_up_on(&mut aside).await?;
            drop(aside);
            tokio::select! {
                () = shutdown.cancelled() => return Ok(()),
                changed = watcher.changed(Duration::from_secs(1)) => changed.map(|_| ())?,
            }
        }
    }
}
