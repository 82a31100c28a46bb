//! The body of an answer, read within its limits of size and time.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures::{Stream, stream};
use tokio::time::{Instant, timeout_at};
use url::Url;

use crate::error::{OutboundError, shown};

/// A body that ends with an error once it is larger (after decompression) or slower than allowed.
#[derive(Debug)]
pub struct BodyStream {
    pub(crate) answer: reqwest::Response,
    pub(crate) url: Url,
    pub(crate) read: u64,
    pub(crate) max_bytes: u64,
    pub(crate) deadline: Instant,
    pub(crate) total: Duration,
}

impl BodyStream {
    /// The size the server announces, if it does and the body is not compressed. Not to be trusted.
    pub fn announced_size(&self) -> Option<u64> {
        self.answer.content_length()
    }

    /// The next piece, or `None` at the end of a complete body.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, OutboundError> {
        let next = timeout_at(self.deadline, self.answer.chunk())
            .await
            .map_err(|_| OutboundError::Total {
                url: shown(&self.url),
                limit: self.total,
            })?
            .map_err(|error| OutboundError::from_transport(&self.url, &error))?;
        if let Some(piece) = &next {
            self.read += piece.len() as u64;
            self.check_size(self.read)?;
        }
        Ok(next)
    }

    /// All of it in memory.
    pub async fn collect(mut self) -> Result<Bytes, OutboundError> {
        let mut whole = BytesMut::new();
        while let Some(piece) = self.chunk().await? {
            whole.extend_from_slice(&piece);
        }
        Ok(whole.freeze())
    }

    /// The same as a stream; it ends after the first error.
    pub fn into_stream(self) -> impl Stream<Item = Result<Bytes, OutboundError>> + Send {
        stream::try_unfold(self, async |mut body| {
            Ok(body.chunk().await?.map(|piece| (piece, body)))
        })
    }

    pub(crate) fn check_size(&self, size: u64) -> Result<(), OutboundError> {
        if size > self.max_bytes {
            return Err(OutboundError::TooLarge {
                url: shown(&self.url),
                limit: self.max_bytes,
            });
        }
        Ok(())
    }
}
