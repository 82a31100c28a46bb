//! How patient a server is with a client: how long one may keep silent at first where two versions of HTTP are spoken (the
//! server's own limits begin only once it knows which one it is), and how long one may take nothing of what it is sent
//! (who never reads would keep a connection, and what waits to be sent on it, for ever).

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

/// A stream whose other end has to greet, and to take something of what is sent, in time.
#[derive(Debug)]
pub(super) struct Patient<S> {
    stream: S,
    /// Gone once the greeting is over.
    greeting: Option<Pin<Box<Sleep>>>,
    read: usize,
    /// How long nothing may be taken.
    limit: Duration,
    /// Set while nothing is taken.
    stalled: Option<Pin<Box<Sleep>>>,
}

impl<S> Patient<S> {
    /// Closes `stream` when it has taken nothing for `limit` although something is to be sent.
    pub(super) fn new(stream: S, limit: Duration) -> Self {
        Self {
            stream,
            greeting: None,
            read: 0,
            limit,
            stalled: None,
        }
    }

    /// Also closes it if its first bytes are not there after `limit`.
    pub(super) fn greeted(mut self, limit: Duration) -> Self {
        self.greeting = Some(Box::pin(sleep(limit)));
        self
    }

    fn judge<T>(
        &mut self,
        polled: Poll<io::Result<T>>,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<T>> {
        if polled.is_ready() {
            self.stalled = None;
            return polled;
        }
        let limit = self.limit;
        let stalled = self.stalled.get_or_insert_with(|| Box::pin(sleep(limit)));
        match stalled.as_mut().poll(context) {
            Poll::Ready(()) => Poll::Ready(Err(io::ErrorKind::TimedOut.into())),
            Poll::Pending => Poll::Pending,
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Patient<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(context, buffer);
        let new = &buffer.filled()[before..];
        if self.read == 0 && new.first().is_some_and(|first| *first != LETTER) {
            self.greeting = None;
        }
        self.read += new.len();
        if self.read >= GREETING {
            self.greeting = None;
        }
        let late = |greeting: &mut Pin<Box<Sleep>>| greeting.as_mut().poll(context).is_ready();
        if polled.is_pending() && self.greeting.as_mut().is_some_and(late) {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        polled
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Patient<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.judge(polled, context)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.stream).poll_flush(context);
        self.judge(polled, context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.stream).poll_shutdown(context);
        self.judge(polled, context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write_vectored(context, bytes);
        self.judge(polled, context)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};
    use tokio::time::{advance, timeout};

    use super::*;

    const LIMIT: Duration = Duration::from_mins(1);

    /// What becomes of a client that sends `bytes` and then nothing: the error, or `None` while it is borne with.
    async fn outcome(bytes: &[u8]) -> Option<io::ErrorKind> {
        let (mut client, stream) = duplex(64);
        client.write_all(bytes).await.unwrap();
        let mut greeted = Patient::new(stream, LIMIT).greeted(LIMIT);
        let mut buffer = vec![0; bytes.len()];
        greeted.read_exact(&mut buffer).await.unwrap();
        let next = timeout(LIMIT * 10, greeted.read_u8()).await.ok()?;
        Some(next.unwrap_err().kind())
    }

    #[tokio::test(start_paused = true)]
    async fn who_does_not_greet_in_time_is_dropped() {
        assert_eq!(outcome(b"").await, Some(io::ErrorKind::TimedOut));
        assert_eq!(outcome(b"P").await, Some(io::ErrorKind::TimedOut));
        assert_eq!(
            outcome(b"PRI * HTTP/2.0\r\n").await,
            Some(io::ErrorKind::TimedOut)
        );
    }

    #[tokio::test(start_paused = true)]
    async fn who_has_greeted_may_be_quiet() {
        assert_eq!(outcome(b"G").await, None);
        assert_eq!(outcome(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await, None);
    }

    #[tokio::test(start_paused = true)]
    async fn who_takes_nothing_is_dropped() {
        let (_client, stream) = duplex(64);
        let mut patient = Patient::new(stream, LIMIT);
        let sent = patient.write_all(&[0; 100]).await;
        assert_eq!(sent.unwrap_err().kind(), io::ErrorKind::TimedOut);
    }

    #[tokio::test(start_paused = true)]
    async fn who_takes_a_little_at_a_time_gets_everything() {
        let (mut client, stream) = duplex(64);
        let mut patient = Patient::new(stream, LIMIT);
        let sending = tokio::spawn(async move { patient.write_all(&[7; 1000]).await });
        let mut taken = 0;
        while taken < 1000 {
            advance(LIMIT / 2).await;
            taken += client.read(&mut [0; 64]).await.unwrap();
        }
        sending.await.unwrap().unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn who_is_sent_nothing_may_be_quiet() {
        let (mut client, stream) = duplex(64);
        let mut patient = Patient::new(stream, LIMIT);
        patient.write_all(b"hello").await.unwrap();
        client.read_exact(&mut [0; 5]).await.unwrap();
        advance(LIMIT * 10).await;
        patient.write_all(b"again").await.unwrap();
    }
}
