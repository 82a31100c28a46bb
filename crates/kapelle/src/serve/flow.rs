//! How long a client may take nothing of what it is sent: who never reads would keep a connection, and what waits to be sent
//! on it, for ever.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

/// A stream whose other end has to take something of what is sent, again and again.
#[derive(Debug)]
pub(super) struct Flowing<S> {
    stream: S,
    limit: Duration,
    /// Set while nothing is taken.
    stalled: Option<Pin<Box<Sleep>>>,
}

impl<S> Flowing<S> {
    /// Closes `stream` when it has taken nothing for `limit` although something is to be sent.
    pub(super) fn new(stream: S, limit: Duration) -> Self {
        Self {
            stream,
            limit,
            stalled: None,
        }
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

impl<S: AsyncRead + Unpin> AsyncRead for Flowing<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Flowing<S> {
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
    use tokio::time::advance;

    use super::*;

    const LIMIT: Duration = Duration::from_mins(1);

    #[tokio::test(start_paused = true)]
    async fn who_takes_nothing_is_dropped() {
        let (_client, stream) = duplex(64);
        let mut flowing = Flowing::new(stream, LIMIT);
        let sent = flowing.write_all(&[0; 100]).await;
        assert_eq!(sent.unwrap_err().kind(), io::ErrorKind::TimedOut);
    }

    #[tokio::test(start_paused = true)]
    async fn who_takes_a_little_at_a_time_gets_everything() {
        let (mut client, stream) = duplex(64);
        let mut flowing = Flowing::new(stream, LIMIT);
        let sending = tokio::spawn(async move { flowing.write_all(&[7; 1000]).await });
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
        let mut flowing = Flowing::new(stream, LIMIT);
        flowing.write_all(b"hello").await.unwrap();
        client.read_exact(&mut [0; 5]).await.unwrap();
        advance(LIMIT * 10).await;
        flowing.write_all(b"again").await.unwrap();
    }
}
