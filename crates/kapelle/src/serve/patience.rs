//! How long a client may keep silent at first where two versions of HTTP are spoken: the server's own limits begin only
//! once it knows which one it is.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

/// Bytes after which the version is known: the greeting of HTTP/2.
const GREETING: usize = 24;
/// What a greeting begins with; a request of HTTP/1 with this letter is told from it within [`GREETING`] bytes.
const LETTER: u8 = b'P';

/// A stream whose first bytes have to come in time.
#[derive(Debug)]
pub(super) struct Greeted<S> {
    stream: S,
    /// Gone once the greeting is over.
    patience: Option<Pin<Box<Sleep>>>,
    read: usize,
}

impl<S> Greeted<S> {
    /// Closes `stream` if its first bytes are not there after `limit`.
    pub(super) fn new(stream: S, limit: Duration) -> Self {
        Self {
            stream,
            patience: Some(Box::pin(sleep(limit))),
            read: 0,
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Greeted<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(context, buffer);
        let new = &buffer.filled()[before..];
        if self.read == 0 && new.first().is_some_and(|first| *first != LETTER) {
            self.patience = None;
        }
        self.read += new.len();
        if self.read >= GREETING {
            self.patience = None;
        }
        let late = |patience: &mut Pin<Box<Sleep>>| patience.as_mut().poll(context).is_ready();
        if polled.is_pending() && self.patience.as_mut().is_some_and(late) {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        polled
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Greeted<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};
    use tokio::time::timeout;

    use super::*;

    const LIMIT: Duration = Duration::from_millis(20);

    /// What becomes of a client that sends `bytes` and then nothing: the error, or `None` while it is borne with.
    async fn outcome(bytes: &[u8]) -> Option<io::ErrorKind> {
        let (mut client, stream) = duplex(64);
        client.write_all(bytes).await.unwrap();
        let mut greeted = Greeted::new(stream, LIMIT);
        let mut buffer = vec![0; bytes.len()];
        greeted.read_exact(&mut buffer).await.unwrap();
        let next = timeout(LIMIT * 10, greeted.read_u8()).await.ok()?;
        Some(next.unwrap_err().kind())
    }

    #[tokio::test]
    async fn who_does_not_greet_in_time_is_dropped() {
        assert_eq!(outcome(b"").await, Some(io::ErrorKind::TimedOut));
        assert_eq!(outcome(b"P").await, Some(io::ErrorKind::TimedOut));
        assert_eq!(
            outcome(b"PRI * HTTP/2.0\r\n").await,
            Some(io::ErrorKind::TimedOut)
        );
    }

    #[tokio::test]
    async fn who_has_greeted_may_be_quiet() {
        assert_eq!(outcome(b"G").await, None);
        assert_eq!(outcome(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await, None);
    }
}
