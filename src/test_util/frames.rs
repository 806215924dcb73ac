//! A body that is a list of frames.

use std::{
    collections::VecDeque,
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};

/// A body of known chunks and, perhaps, trailers; its size hint is exact.
#[derive(Debug, Default)]
pub struct Frames {
    chunks: VecDeque<Bytes>,
    trailers: Option<HeaderMap>,
}

impl Frames {
    /// These chunks, in this order.
    pub fn new<I>(chunks: I) -> Self
    where
        I: IntoIterator<Item: Into<Bytes>>,
    {
        Self { chunks: chunks.into_iter().map(Into::into).collect(), trailers: None }
    }

    /// And then these trailers.
    #[must_use]
    pub fn with_trailers(self, trailers: HeaderMap) -> Self {
        Self { trailers: Some(trailers), ..self }
    }
}

impl Body for Frames {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let data = self.chunks.pop_front().map(Frame::data);
        Poll::Ready(data.or_else(|| self.trailers.take().map(Frame::trailers)).map(Ok))
    }

    fn is_end_stream(&self) -> bool {
        self.chunks.is_empty() && self.trailers.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.chunks.iter().map(|chunk| chunk.len() as u64).sum())
    }
}
