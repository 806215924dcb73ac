//! An answer that is one message: read until its status.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::{HeaderMap, response::Parts};
use http_body::Body;

use super::{
    failure::{self, Failure},
    turn::Turn,
};
use crate::{
    BoxError,
    transcode::grpc::frame::{Encoding, Frames},
};

/// The head of an answer, and what of its message has come.
#[derive(Debug)]
pub(super) struct Gather {
    pub(super) head: Parts,
    frames: Frames,
    message: Option<Bytes>,
}

impl Gather {
    pub(super) fn new(head: Parts, max_message: usize) -> Self {
        let frames = Frames::new(Encoding::of(&head.headers), max_message);
        Self { head, frames, message: None }
    }

    /// The message and the trailers.
    pub(super) fn poll<B>(
        &mut self,
        mut body: Pin<&mut B>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(Bytes, HeaderMap), Failure>>
    where
        B: Body<Data = Bytes, Error: Into<BoxError>>,
    {
        let mut turn = Turn::new();
        loop {
            ready!(turn.poll(cx));
            let Some(frame) = ready!(body.as_mut().poll_frame(cx)) else {
                return Poll::Ready(Err(failure::without_status().into()));
            };
            match frame.map_err(|error| failure::of_body(error.into()))?.into_data() {
                Ok(data) => self.push(data)?,
                Err(frame) => {
                    let trailers = frame.into_trailers().unwrap_or_default();
                    return Poll::Ready(self.end(trailers));
                }
            }
        }
    }

    fn push(&mut self, data: Bytes) -> Result<(), Failure> {
        self.frames.push(data);
        while let Some(message) = self.frames.next() {
            if self.message.replace(message.map_err(failure::frames)?).is_some() {
                return Err(failure::broken("The service sent more than one message.").into());
            }
        }
        Ok(())
    }

    fn end(&mut self, trailers: HeaderMap) -> Result<(Bytes, HeaderMap), Failure> {
        let trailers = match failure::of_trailers(trailers) {
            // What was said before the messages is said of the failure too.
            Err(Failure::Status(status, trailers)) => {
                let mut metadata = std::mem::take(&mut self.head.headers);
                metadata.extend(trailers);
                return Err(Failure::Status(status, metadata));
            }
            other => other?,
        };
        self.frames.end().map_err(failure::frames)?;
        let message = self.message.take();
        let message = message.ok_or_else(failure::without_message)?;
        Ok((message, trailers))
    }
}
