//! A file on this machine as a stream of large pieces: what the system has in memory is read without leaving the thread,
//! the rest on a thread that may wait for the disk.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use futures::stream::{self, Stream};

/// Bytes of a piece: so many that what a piece costs by itself does not matter, so few that they are still in the
/// processor's cache when they are sent.
const PIECE: usize = 128 * 1024;
/// Pieces of one stream that are filled again once nobody holds them any more.
const SPARES: usize = 2;

/// Opens a file and gives its size.
pub(super) async fn open(path: PathBuf) -> io::Result<(File, u64)> {
    let open = move || {
        let file = File::open(path)?;
        let size = file.metadata()?.len();
        Ok((file, size))
    };
    tokio::task::spawn_blocking(open)
        .await
        .map_err(io::Error::other)?
}

/// The bytes of a file in `range`, which must lie in it.
pub(super) fn stream(
    file: File,
    range: Range<u64>,
) -> impl Stream<Item = io::Result<Bytes>> + Send + 'static {
    let reading = Reading {
        file: Arc::new(file),
        at: range.start,
        end: range.end,
        spares: Vec::with_capacity(SPARES),
    };
    stream::try_unfold(reading, async |mut reading| {
        let piece = reading.next().await?;
        Ok(piece.map(|piece| (piece, reading)))
    })
}

/// A file that is being read.
struct Reading {
    file: Arc<File>,
    at: u64,
    end: u64,
    /// Whoever has a piece holds a part of one of these.
    spares: Vec<Bytes>,
}

impl Reading {
    async fn next(&mut self) -> io::Result<Option<Bytes>> {
        let left = usize::try_from(self.end.saturating_sub(self.at)).unwrap_or(usize::MAX);
        let wanted = left.min(PIECE);
        if wanted == 0 {
            return Ok(None);
        }
        let mut buffer = self.buffer(wanted);
        let mut length = read_now(&self.file, &mut buffer[..wanted], self.at)?;
        if length.is_none() {
            let (file, at) = (Arc::clone(&self.file), self.at);
            let read = move || {
                let length = file.read_at(&mut buffer[..wanted], at)?;
                io::Result::Ok((buffer, Some(length)))
            };
            let read = tokio::task::spawn_blocking(read).await;
            (buffer, length) = read.map_err(io::Error::other)??;
        }
        let length = length.unwrap_or(0);
        if length == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.at += length as u64;
        let whole = buffer.freeze();
        let piece = whole.slice(..length);
        if self.spares.len() < SPARES {
            self.spares.push(whole);
        }
        Ok(Some(piece))
    }

    /// At least so many bytes; those that were sent already need not be made again.
    fn buffer(&mut self, length: usize) -> BytesMut {
        let free = self.spares.iter().position(Bytes::is_unique);
        let spare = free.map(|free| self.spares.swap_remove(free));
        match spare.map(Bytes::try_into_mut) {
            Some(Ok(spare)) if spare.len() >= length => spare,
            _ => BytesMut::zeroed(length),
        }
    }
}

/// What the system has in memory; `None` where that would have to wait, or cannot be told.
#[cfg(target_os = "linux")]
fn read_now(file: &File, buffer: &mut [u8], at: u64) -> io::Result<Option<usize>> {
    use rustix::io::{Errno, ReadWriteFlags, preadv2};

    match preadv2(
        file,
        &mut [io::IoSliceMut::new(buffer)],
        at,
        ReadWriteFlags::NOWAIT,
    ) {
        Ok(length) => Ok(Some(length)),
        Err(Errno::AGAIN | Errno::INTR | Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL) => {
            Ok(None)
        }
        Err(error) => Err(error.into()),
    }
}

#[cfg(not(target_os = "linux"))]
fn read_now(_: &File, _: &mut [u8], _: u64) -> io::Result<Option<usize>> {
    Ok(None)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use futures::TryStreamExt;

    use super::*;

    const SIZE: usize = 3 * PIECE + 5;

    fn file() -> (File, Vec<u8>) {
        let bytes: Vec<u8> = (0..=250).cycle().take(SIZE).collect();
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&bytes).unwrap();
        (file, bytes)
    }

    #[tokio::test]
    async fn a_range_comes_in_pieces_that_do_not_change_while_they_are_held() {
        let (file, bytes) = file();
        let pieces: Vec<Bytes> = stream(file, 7..SIZE as u64).try_collect().await.unwrap();
        assert!(pieces.iter().all(|piece| piece.len() <= PIECE));
        assert_eq!(pieces.concat(), bytes[7..]);
    }

    #[tokio::test]
    async fn pieces_that_nobody_holds_are_filled_again() {
        let (file, bytes) = file();
        let mut stream = std::pin::pin!(stream(file, 0..SIZE as u64));
        let (mut places, mut at) = (std::collections::BTreeSet::new(), 0);
        while let Some(piece) = stream.try_next().await.unwrap() {
            assert_eq!(piece, bytes[at..at + piece.len()]);
            at += piece.len();
            places.insert(piece.as_ptr());
        }
        assert_eq!((at, places.len()), (SIZE, 1));
    }

    #[tokio::test]
    async fn a_file_that_is_shorter_than_was_said_is_an_error() {
        let (file, _) = file();
        let read: io::Result<Vec<Bytes>> = stream(file, 0..SIZE as u64 + 1).try_collect().await;
        assert_eq!(read.unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    }
}
