//! A request body that is one message, read as a whole.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http_body::Body;

use super::turn::Turn;
use crate::{
    BoxError,
    rejection::{Reason, Rejection},
};

/// What has been read, and how much there may be. Trailers mean nothing here.
#[derive(Debug)]
pub(super) struct Collect {
    limit: usize,
    /// The first chunk: usually, the only one.
    first: Bytes,
    all: Vec<u8>,
}

impl Collect {
    /// # Errors
    ///
    /// 413 if the body says that it is too large.
    pub(super) fn new<B: Body>(body: &B, limit: usize) -> Result<Self, Rejection> {
        match usize::try_from(body.size_hint().lower()) {
            Ok(least) if least <= limit => Ok(Self { limit, first: Bytes::new(), all: Vec::new() }),
            _ => Err(too_large()),
        }
    }

    pub(super) fn poll<B>(
        &mut self,
        mut body: Pin<&mut B>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Bytes, Rejection>>
    where
        B: Body<Data = Bytes, Error: Into<BoxError>>,
    {
        let mut turn = Turn::new();
        while !body.is_end_stream() {
            ready!(turn.poll(cx));
            match ready!(body.as_mut().poll_frame(cx)) {
                Some(Ok(frame)) => self.push(frame.into_data().unwrap_or_default())?,
                Some(Err(error)) => return Poll::Ready(Err(Rejection::of_content(error.into()))),
                None => break,
            }
        }
        Poll::Ready(Ok(self.take()))
    }

    fn push(&mut self, chunk: Bytes) -> Result<(), Rejection> {
        let before = self.first.len().max(self.all.len());
        if chunk.len() > self.limit - before {
            return Err(too_large());
        }
        if before == 0 {
            self.first = chunk;
            return Ok(());
        }
        if self.all.is_empty() {
            self.all = std::mem::take(&mut self.first).into();
        }
        self.all.extend_from_slice(&chunk);
        Ok(())
    }

    fn take(&mut self) -> Bytes {
        match self.all.is_empty() {
            true => std::mem::take(&mut self.first),
            false => std::mem::take(&mut self.all).into(),
        }
    }
}

fn too_large() -> Rejection {
    Rejection::new(Reason::ContentTooLarge, "The content is larger than is taken.")
}
