//! The request's body on its way to the upstream.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use super::fields::clean_trailers;
use crate::fields::OwnFields;

pin_project! {
    /// The client's body, with trailers that say nothing that is the gateway's to say.
    pub(super) struct CleanTrailers<B> {
        #[pin]
        body: B,
        own: Option<OwnFields>,
    }
}

impl<B> CleanTrailers<B> {
    pub(super) fn new(body: B, own: Option<OwnFields>) -> Self {
        Self { body, own }
    }
}

impl<B: Body<Data = Bytes>> Body for CleanTrailers<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let this = self.project();
        this.body.poll_frame(cx).map_ok(|mut frame| {
            if let Some(trailers) = frame.trailers_mut() {
                clean_trailers(trailers, this.own.as_ref());
            }
            frame
        })
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
