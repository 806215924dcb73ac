use std::{
    fmt,
    sync::Arc,
    task::{Context, Poll},
};

use arc_swap::ArcSwap;
use bytes::Bytes;
use http::{Request, Response};

use tower_service::Service;

use super::{
    call::{Call, CallBody, Origin, Plan, Start, TranscodeBody, TranscodeFuture},
    schema::Schema,
    settings::Settings,
};
use crate::{
    BoxError,
    body::Body,
    guard::Head,
    rejection::Rejection,
    reply::{Dialect, reply},
};

/// A gRPC service behind JSON over HTTP. Created by [`TranscodeLayer`](super::TranscodeLayer).
pub struct Transcode<S> {
    inner: S,
    schema: Arc<ArcSwap<Schema>>,
    settings: Arc<Settings>,
}

/// What to do with a request.
enum Way {
    Pass,
    Refuse(Rejection),
    Call(Plan),
}

impl<S> Transcode<S> {
    pub(super) fn new(inner: S, schema: Arc<ArcSwap<Schema>>, settings: Arc<Settings>) -> Self {
        Self { inner, schema, settings }
    }

    fn way<B>(&self, request: &Request<B>) -> Way {
        if Dialect::of(request.headers()) != Dialect::Http {
            return match self.settings.reject_native {
                true => Way::Refuse(Rejection::not_found()),
                false => Way::Pass,
            };
        }
        let (method, path) = (request.method(), request.uri().path());
        let schema = self.schema.load();
        match Plan::find(&schema, &self.settings, method, path) {
            Some(plan) => Way::Call(plan),
            None if self.settings.reject_unknown => Way::Refuse(match schema.table().allow(path) {
                Some(allow) => Rejection::method_not_allowed(allow),
                None => Rejection::not_found(),
            }),
            None => Way::Pass,
        }
    }
}

impl<S> Transcode<S> {
    /// The answer to a request that is not this layer's to serve, in its dialect.
    fn refuse<B>(&self, request: &Request<B>, rejection: Rejection) -> Response<Bytes> {
        let origin = Origin::of(request);
        origin.tell(&rejection);
        match Dialect::of(request.headers()) {
            Dialect::Http => origin.refusal(rejection, self.settings.errors, |_, _, _| false),
            _ => reply(Head::of(request), rejection).map(Body::into_own),
        }
    }
}

impl<S: Clone> Transcode<S> {
    /// Takes the inner instance that was polled ready; its clone has yet to be. One that is not called is dropped,
    /// with what its readiness had reserved.
    fn take(&mut self) -> S {
        let clone = self.inner.clone();
        std::mem::replace(&mut self.inner, clone)
    }
}

impl<S, B, R> Service<Request<B>> for Transcode<S>
where
    S: Service<Request<CallBody<B>>, Response = Response<R>> + Clone,
    B: http_body::Body<Data = Bytes, Error: Into<BoxError>>,
    R: http_body::Body<Data = Bytes, Error: Into<BoxError>>,
{
    type Response = Response<TranscodeBody<R>>;
    type Error = S::Error;
    type Future = TranscodeFuture<S, B, R>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let mut call = match self.way(&request) {
            Way::Pass => {
                return TranscodeFuture::passed(self.inner.call(request.map(CallBody::passed)));
            }
            Way::Refuse(rejection) => {
                drop(self.take());
                return TranscodeFuture::refused(self.refuse(&request, rejection));
            }
            Way::Call(plan) => Call::new(plan, &request),
        };
        match call.start(request) {
            Ok(Start::Now(request)) => TranscodeFuture::calling(call, self.inner.call(request)),
            Ok(Start::Later(reading, body)) => {
                TranscodeFuture::reading(call, self.take(), reading, body)
            }
            Err(rejection) => {
                drop(self.take());
                TranscodeFuture::refused(call.refuse(rejection))
            }
        }
    }
}

impl<S: Clone> Clone for Transcode<S> {
    fn clone(&self) -> Self {
        Self {
            inner: self.inner.clone(),
            schema: Arc::clone(&self.schema),
            settings: Arc::clone(&self.settings),
        }
    }
}

impl<S: fmt::Debug> fmt::Debug for Transcode<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transcode").field("inner", &self.inner).finish_non_exhaustive()
    }
}
