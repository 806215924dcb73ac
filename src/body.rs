//! The crate's one response body: the inner service's, or bytes of ours.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use pin_project_lite::pin_project;

pin_project! {
    /// A response body that is either the inner service's or a short answer of the gateway's own.
    ///
    /// The inner body passes frame by frame, trailers and size hint included. A response that a layer makes
    /// itself (a refusal, say) is [`Body::own`].
    #[derive(Debug)]
    pub struct Body<B> {
        #[pin]
        kind: Kind<B>,
    }
}

pin_project! {
    #[derive(Debug)]
    #[project = KindProj]
    enum Kind<B> {
        Inner { #[pin] body: B },
        Own { bytes: Bytes },
    }
}

impl<B> Body<B> {
    /// The body of the inner service's response.
    pub fn inner(body: B) -> Self {
        Self { kind: Kind::Inner { body } }
    }

    /// Bytes of the gateway's own.
    pub fn own(bytes: impl Into<Bytes>) -> Self {
        Self { kind: Kind::Own { bytes: bytes.into() } }
    }

    /// No content.
    pub fn empty() -> Self {
        Self::own(Bytes::new())
    }
}

impl Body<std::convert::Infallible> {
    /// The bytes, which are ours.
    #[cfg_attr(not(feature = "server"), allow(dead_code))]
    pub(crate) fn into_own(self) -> Bytes {
        match self.kind {
            Kind::Own { bytes } => bytes,
            Kind::Inner { body } => match body {},
        }
    }

    /// A body of ours where the inner body's type is only now known.
    pub(crate) fn retyped<B>(self) -> Body<B> {
        match self.kind {
            Kind::Own { bytes } => Body::own(bytes),
            Kind::Inner { body } => match body {},
        }
    }
}

impl<B> Default for Body<B> {
    fn default() -> Self {
        Self::empty()
    }
}

impl<B> http_body::Body for Body<B>
where
    B: http_body::Body<Data = Bytes>,
{
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        match self.project().kind.project() {
            KindProj::Inner { body } => body.poll_frame(cx),
            KindProj::Own { bytes } if bytes.is_empty() => Poll::Ready(None),
            KindProj::Own { bytes } => Poll::Ready(Some(Ok(Frame::data(std::mem::take(bytes))))),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.kind {
            Kind::Inner { body } => body.is_end_stream(),
            Kind::Own { bytes } => bytes.is_empty(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.kind {
            Kind::Inner { body } => body.size_hint(),
            Kind::Own { bytes } => SizeHint::with_exact(bytes.len() as u64),
        }
    }
}
