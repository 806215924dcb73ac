//! What the fuzz targets share: a layer's inner service that keeps what reached it.

pub mod protobuf;

use std::{
    convert::Infallible,
    future::{Ready, ready},
    sync::{Arc, Mutex},
    task::{Context, Poll},
};

use futures_util::FutureExt;
use http::{Request, Response, StatusCode};
use tower::{Layer, Service, ServiceExt};

/// Keeps the request that reached it.
#[derive(Clone, Default)]
pub struct Seen(Arc<Mutex<Option<Request<()>>>>);

impl Seen {
    /// The request that reached it, if one did.
    pub fn take(&self) -> Option<Request<()>> {
        self.0.lock().expect("one thread").take()
    }
}

impl Service<Request<()>> for Seen {
    type Response = Response<()>;
    type Error = Infallible;
    type Future = Ready<Result<Response<()>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<()>) -> Self::Future {
        let before = self.0.lock().expect("one thread").replace(request);
        assert!(before.is_none(), "one request is one call");
        ready(Ok(Response::new(())))
    }
}

/// The request as the layer's inner service sees it, or the status with which the layer answers.
pub fn inside<L, B>(layer: &L, request: Request<()>) -> Result<Request<()>, StatusCode>
where
    L: Layer<Seen>,
    L::Service: Service<Request<()>, Response = Response<B>, Error = Infallible>,
{
    let seen = Seen::default();
    let status = answer(layer.layer(seen.clone()), request);
    seen.take().ok_or(status)
}

/// The status of the service's answer, for which nothing has to be waited.
pub fn answer<S, B>(service: S, request: Request<()>) -> StatusCode
where
    S: Service<Request<()>, Response = Response<B>, Error = Infallible>,
{
    let answer = service.oneshot(request).now_or_never().expect("nothing waits");
    answer.unwrap_or_else(|never| match never {}).status()
}
