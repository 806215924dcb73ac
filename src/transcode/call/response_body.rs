//! The response body that the client reads.

use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use super::download::Download;
use crate::BoxError;

pin_project! {
    /// The response body of a service behind a [`TranscodeLayer`](crate::transcode::TranscodeLayer): the service's,
    /// untouched; or an answer as a whole; or a stream that is made of the service's while it is read.
    pub struct TranscodeBody<B> {
        #[pin]
        kind: Kind<B>,
    }
}

pin_project! {
    #[project = KindProj]
    enum Kind<B> {
        Passed { #[pin] body: B },
        Whole { bytes: Bytes },
        Stream { download: Pin<Box<Download<B>>> },
    }
}

impl<B> TranscodeBody<B> {
    pub(super) fn passed(body: B) -> Self {
        Self { kind: Kind::Passed { body } }
    }

    pub(super) fn whole(bytes: Bytes) -> Self {
        Self { kind: Kind::Whole { bytes } }
    }

    pub(super) fn stream(download: Pin<Box<Download<B>>>) -> Self {
        Self { kind: Kind::Stream { download } }
    }
}

impl<B> Body for TranscodeBody<B>
where
    B: Body<Data = Bytes, Error: Into<BoxError>>,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        match self.project().kind.project() {
            KindProj::Passed { body } => body.poll_frame(cx).map_err(Into::into),
            KindProj::Whole { bytes } if bytes.is_empty() => Poll::Ready(None),
            KindProj::Whole { bytes } => Poll::Ready(Some(Ok(Frame::data(std::mem::take(bytes))))),
            KindProj::Stream { download } => {
                download.as_mut().poll_data(cx).map(|next| next.map(|data| data.map(Frame::data)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.kind {
            Kind::Passed { body } => body.is_end_stream(),
            Kind::Whole { bytes } => bytes.is_empty(),
            Kind::Stream { .. } => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.kind {
            Kind::Passed { body } => body.size_hint(),
            Kind::Whole { bytes } => SizeHint::with_exact(bytes.len() as u64),
            Kind::Stream { .. } => SizeHint::default(),
        }
    }
}

impl<B> fmt::Debug for TranscodeBody<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.kind {
            Kind::Passed { .. } => "TranscodeBody::Passed",
            Kind::Whole { .. } => "TranscodeBody::Whole",
            Kind::Stream { .. } => "TranscodeBody::Stream",
        })
    }
}
