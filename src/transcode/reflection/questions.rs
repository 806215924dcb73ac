//! The body of a call to reflection: questions, sent as they come up.

use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http_body::Frame;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// The request body of a call to reflection: it ends when nothing is left to ask.
#[derive(Debug)]
pub struct Questions(UnboundedReceiver<Bytes>);

impl Questions {
    /// Holds no more than the questions that are open, which are bounded.
    pub(super) fn channel() -> (UnboundedSender<Bytes>, Self) {
        let (sender, receiver) = unbounded_channel();
        (sender, Self(receiver))
    }
}

impl http_body::Body for Questions {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.poll_recv(cx).map(|question| question.map(Frame::data).map(Ok))
    }
}
