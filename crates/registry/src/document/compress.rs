//! The two compressed forms in which every document is kept, and the few presses that make them.

use std::fmt;
use std::io;
use std::panic::resume_unwind;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, available_parallelism};

use flate2::{Compress, Compression, FlushCompress, Status};
use sha2::{Digest, Sha256};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use zstd::bulk::Compressor;
use zstd::zstd_safe::CParameter;

/// A good ratio at little cost; documents are compressed once and sent often.
const GZIP_LEVEL: u32 = 6;
/// 32 KB, the most that gzip can have.
const GZIP_WINDOW: u8 = 15;
/// As [`GZIP_LEVEL`].
const ZSTD_LEVEL: i32 = 6;
/// 1 MB, as a logarithm. Versions of a document are like those next to them; a larger window would only cost memory.
const ZSTD_WINDOW: u32 = 20;
/// Bytes from which on both forms are made at once: less takes no longer than it takes to start a thread.
const LARGE: usize = 64 * 1024;

/// The same bytes, compressed.
#[derive(Debug)]
pub(super) struct Compressed {
    pub(super) gzip: Vec<u8>,
    pub(super) zstd: Vec<u8>,
}

impl Compressed {
    /// What ties them to the body that they were made of: who has that body and these, knows that they are right.
    pub(super) fn seal(&self, body: &[u8]) -> [u8; 32] {
        seal(body, &self.gzip, &self.zstd)
    }
}

/// See [`Compressed::seal`].
pub(super) fn seal(body: &[u8], gzip: &[u8], zstd: &[u8]) -> [u8; 32] {
    let parts = [body, gzip, zstd];
    let digest = parts.into_iter().fold(Sha256::new(), Digest::chain_update);
    digest.finalize().into()
}

/// As many presses as there are processors. What one needs is used again by the next document, and no more
/// documents than that are rendered at a time, so that memory does not hold many.
pub(crate) struct Presses {
    turns: Arc<Semaphore>,
    idle: Mutex<Vec<Press>>,
}

impl Default for Presses {
    fn default() -> Self {
        Self {
            turns: Arc::new(Semaphore::new(
                available_parallelism().map_or(1, usize::from),
            )),
            idle: Mutex::default(),
        }
    }
}

impl fmt::Debug for Presses {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Presses").finish_non_exhaustive()
    }
}

impl Presses {
    /// The right to [`work`](Self::work). Whoever needs much for that waits for it first.
    pub(super) async fn turn(&self) -> Turn {
        let turn = Arc::clone(&self.turns).acquire_owned().await;
        Turn(turn.expect("this semaphore is never closed"))
    }

    /// Does work that takes a while and a press, off the asynchronous threads.
    pub(super) async fn work<T: Send + 'static>(
        &self,
        turn: Turn,
        work: impl FnOnce(&mut Press) -> T + Send + 'static,
    ) -> io::Result<T> {
        let idle = self.lock().pop();
        let mut press = idle.map_or_else(Press::new, Ok)?;
        let worked = tokio::task::spawn_blocking(move || {
            // Until it is done, also when nobody waits for it any more.
            let _turn = turn;
            let done = work(&mut press);
            (press, done)
        });
        let (press, done) = worked.await.map_err(io::Error::other)?;
        self.lock().push(press);
        Ok(done)
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Press>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The right to one press.
pub(super) struct Turn(#[expect(dead_code, reason = "is given back")] OwnedSemaphorePermit);

/// Compresses one document after the other.
pub(super) struct Press {
    gzip: Compress,
    zstd: Compressor<'static>,
}

impl Press {
    fn new() -> io::Result<Self> {
        let mut zstd = Compressor::new(ZSTD_LEVEL)?;
        zstd.set_parameter(CParameter::WindowLog(ZSTD_WINDOW))?;
        Ok(Self {
            gzip: Compress::new_gzip(Compression::new(GZIP_LEVEL), GZIP_WINDOW),
            zstd,
        })
    }

    /// Compresses deterministically: equal input gives equal output.
    pub(super) fn compress(&mut self, body: &[u8]) -> io::Result<Compressed> {
        let Self { gzip, zstd } = self;
        let mut zstd = || zstd.compress(body);
        let (mut gzip, mut zstd) = if body.len() < LARGE {
            (deflate(gzip, body)?, zstd()?)
        } else {
            thread::scope(|scope| {
                let zstd = scope.spawn(zstd);
                let gzip = deflate(gzip, body)?;
                let zstd = zstd.join();
                Ok::<_, io::Error>((gzip, zstd.unwrap_or_else(|panic| resume_unwind(panic))?))
            })?
        };
        gzip.shrink_to_fit();
        zstd.shrink_to_fit();
        Ok(Compressed { gzip, zstd })
    }
}

fn deflate(press: &mut Compress, body: &[u8]) -> io::Result<Vec<u8>> {
    press.reset();
    let mut packed = Vec::with_capacity(body.len() / 6 + 128);
    loop {
        let read = usize::try_from(press.total_in()).map_err(io::Error::other)?;
        let status = press.compress_vec(&body[read..], &mut packed, FlushCompress::Finish)?;
        if status == Status::StreamEnd {
            return Ok(packed);
        }
        packed.reserve(body.len() / 6 + 128);
    }
}
