//! The request body that the inner service reads.

use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use super::{turn::Turn, upload::Upload};
use crate::{BoxError, body};

pin_project! {
    /// The request body that a service behind a [`TranscodeLayer`](crate::transcode::TranscodeLayer) reads: the
    /// client's, untouched; or one message; or messages that are made of the client's body while they are read.
    pub struct CallBody<B> {
        #[pin]
        kind: Kind<B>,
    }
}

pin_project! {
    #[project = KindProj]
    enum Kind<B> {
        Plain { #[pin] body: body::Body<B> },
        Stream { #[pin] body: B, upload: Box<Upload> },
    }
}

impl<B> CallBody<B> {
    pub(in crate::transcode) fn passed(body: B) -> Self {
        Self { kind: Kind::Plain { body: body::Body::inner(body) } }
    }

    pub(super) fn message(frame: impl Into<Bytes>) -> Self {
        Self { kind: Kind::Plain { body: body::Body::own(frame) } }
    }

    pub(super) fn stream(body: B, upload: Upload) -> Self {
        Self { kind: Kind::Stream { body, upload: Box::new(upload) } }
    }
}

impl<B> Body for CallBody<B>
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
            KindProj::Stream { body, upload } => {
                let next = ready!(poll_upload(body, upload, cx));
                Poll::Ready(next.map(|frame| frame.map(Frame::data)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.kind {
            Kind::Plain { body } => body.is_end_stream(),
            Kind::Stream { upload, .. } => upload.is_over(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.kind {
            Kind::Plain { body } => body.size_hint(),
            Kind::Stream { .. } => SizeHint::default(),
        }
    }
}

/// Reads no more of the client's body than the next messages need. Its trailers mean nothing here.
fn poll_upload<B>(
    mut body: Pin<&mut B>,
    upload: &mut Upload,
    cx: &mut Context<'_>,
) -> Poll<Option<Result<Bytes, BoxError>>>
where
    B: Body<Data = Bytes, Error: Into<BoxError>>,
{
    let mut turn = Turn::new();
    loop {
        if let Some(frames) = upload.next() {
            return Poll::Ready(Some(frames));
        }
        if upload.is_over() {
            return Poll::Ready(None);
        }
        ready!(turn.poll(cx));
        match ready!(body.as_mut().poll_frame(cx)) {
            Some(Ok(frame)) => upload.push(frame.into_data().unwrap_or_default()),
            Some(Err(error)) => return Poll::Ready(Some(Err(upload.broken(error.into())))),
            None => upload.end(),
        }
    }
}

impl<B> fmt::Debug for CallBody<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.kind {
            Kind::Plain { .. } => "CallBody::Plain",
            Kind::Stream { .. } => "CallBody::Stream",
        })
    }
}
