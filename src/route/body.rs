use std::{
    error::Error,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use pin_project_lite::pin_project;

pin_project! {
    /// The body of the inner service `D`'s response or of a route `R`'s. Passes frame by frame.
    #[derive(Debug)]
    pub struct RoutedBody<D, R> {
        #[pin]
        kind: Kind<D, R>,
    }
}

pin_project! {
    #[derive(Debug)]
    #[project = KindProj]
    enum Kind<D, R> {
        Default { #[pin] body: D },
        Route { #[pin] body: R },
    }
}

impl<D, R> RoutedBody<D, R> {
    pub(super) fn of_default(body: D) -> Self {
        Self { kind: Kind::Default { body } }
    }

    pub(super) fn of_route(body: R) -> Self {
        Self { kind: Kind::Route { body } }
    }
}

impl<D, R> http_body::Body for RoutedBody<D, R>
where
    D: http_body::Body<Data = Bytes, Error: Into<Box<dyn Error + Send + Sync>>>,
    R: http_body::Body<Data = Bytes, Error: Into<Box<dyn Error + Send + Sync>>>,
{
    type Data = Bytes;
    type Error = Box<dyn Error + Send + Sync>;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        match self.project().kind.project() {
            KindProj::Default { body } => body.poll_frame(cx).map_err(Into::into),
            KindProj::Route { body } => body.poll_frame(cx).map_err(Into::into),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.kind {
            Kind::Default { body } => body.is_end_stream(),
            Kind::Route { body } => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.kind {
            Kind::Default { body } => body.size_hint(),
            Kind::Route { body } => body.size_hint(),
        }
    }
}
