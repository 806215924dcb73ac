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
use crate::{BoxError, body};

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
        Plain { #[pin] body: body::Body<B> },
        Stream { download: Pin<Box<Download<B>>> },
    }
}

impl<B> TranscodeBody<B> {
    pub(super) fn passed(body: B) -> Self {
        Self { kind: Kind::Plain { body: body::Body::inner(body) } }
    }

    pub(super) fn whole(bytes: Bytes) -> Self {
        Self { kind: Kind::Plain { body: body::Body::own(bytes) } }
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
            KindProj::Plain { body } => body.poll_frame(cx).map_err(Into::into),
            KindProj::Stream { download } => {
                download.as_mut().poll_data(cx).map(|next| next.map(|data| data.map(Frame::data)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.kind {
            Kind::Plain { body } => body.is_end_stream(),
            Kind::Stream { .. } => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.kind {
            Kind::Plain { body } => body.size_hint(),
            Kind::Stream { .. } => SizeHint::default(),
        }
    }
}

impl<B> fmt::Debug for TranscodeBody<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.kind {
            Kind::Plain { .. } => "TranscodeBody::Plain",
            Kind::Stream { .. } => "TranscodeBody::Stream",
        })
    }
}
