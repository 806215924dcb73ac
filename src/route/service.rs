use std::{
    convert::Infallible,
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use http::{Request, Response};
use pin_project_lite::pin_project;
use tower_service::Service;

use super::{body::RoutedBody, layer::Router};
use crate::{body::Body, event, guard::Head, reply::reply};

/// A default service behind a table of routes. Created by [`RouteLayer`](crate::route::RouteLayer).
pub struct Routed<I, S> {
    inner: I,
    router: Arc<Router<S>>,
}

impl<I, S> Routed<I, S> {
    pub(super) fn new(inner: I, router: Arc<Router<S>>) -> Self {
        Self { inner, router }
    }
}

impl<I: Clone, S> Routed<I, S> {
    /// Drops the inner instance that was polled ready and is not called, with what its readiness had reserved.
    fn release(&mut self) {
        self.inner = self.inner.clone();
    }
}

impl<I, S, B, D, R> Service<Request<B>> for Routed<I, S>
where
    I: Service<Request<B>, Response = Response<D>> + Clone,
    S: Service<Request<B>, Response = Response<R>, Error: Into<I::Error>> + Clone,
{
    type Response = Response<Body<RoutedBody<D, R>>>;
    type Error = I::Error;
    type Future = RouteFuture<I, S, B>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), I::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        let state = match self.router.route(&mut request) {
            Ok(None) => State::Default { future: self.inner.call(request) },
            Ok(Some(service)) => {
                self.release();
                State::Waiting { service, request: Some(request) }
            }
            Err(rejection) => {
                self.release();
                let head = Head::of(&request);
                event::refused("route", head, &rejection);
                State::Refused { response: Some(reply(head, rejection)) }
            }
        };
        RouteFuture { state }
    }
}

pin_project! {
    /// The response of a [`Routed`] service.
    pub struct RouteFuture<I, S, B>
    where
        I: Service<Request<B>>,
        S: Service<Request<B>>,
    {
        #[pin]
        state: State<I::Future, S, S::Future, B>,
    }
}

pin_project! {
    #[project = StateProj]
    enum State<D, S, F, B> {
        Default { #[pin] future: D },
        Waiting { service: S, request: Option<Request<B>> },
        Route { #[pin] future: F },
        Refused { response: Option<Response<Body<Infallible>>> },
    }
}

impl<I, S, B, D, R> Future for RouteFuture<I, S, B>
where
    I: Service<Request<B>, Response = Response<D>>,
    S: Service<Request<B>, Response = Response<R>, Error: Into<I::Error>>,
{
    type Output = Result<Response<Body<RoutedBody<D, R>>>, I::Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut state = self.project().state;
        let response = loop {
            match state.as_mut().project() {
                StateProj::Default { future } => {
                    break ready!(future.poll(cx))?.map(RoutedBody::of_default).map(Body::inner);
                }
                StateProj::Route { future } => {
                    let response = ready!(future.poll(cx)).map_err(Into::into)?;
                    break response.map(RoutedBody::of_route).map(Body::inner);
                }
                StateProj::Refused { response } => {
                    let response = response.take().expect("polled after completion");
                    break response.map(Body::retyped);
                }
                StateProj::Waiting { service, request } => {
                    ready!(service.poll_ready(cx)).map_err(Into::into)?;
                    let request = request.take().expect("polled after completion");
                    let future = service.call(request);
                    state.set(State::Route { future });
                }
            }
        };
        Poll::Ready(Ok(response))
    }
}

impl<I: Clone, S> Clone for Routed<I, S> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone(), router: Arc::clone(&self.router) }
    }
}

impl<I: fmt::Debug, S> fmt::Debug for Routed<I, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Routed").field("default", &self.inner).finish_non_exhaustive()
    }
}

impl<I, S, B> fmt::Debug for RouteFuture<I, S, B>
where
    I: Service<Request<B>>,
    S: Service<Request<B>>,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RouteFuture")
    }
}
