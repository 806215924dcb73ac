use std::{
    convert::Infallible,
    future::{Ready, ready},
    task::{Context, Poll},
};

use http::{Request, Response};
use tower_service::Service;

use crate::{body::Body, event, guard::Head, rejection::Rejection, reply::reply};

/// The default for gateways that have none: 404, or `UNIMPLEMENTED` to a gRPC call.
///
/// ```
/// use http::{Request, Response};
/// use tower::{Layer, ServiceExt, service_fn};
/// use tower_gateway::route::{NotFound, RouteLayer, Routes};
///
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let hello = service_fn(|_: Request<String>| async {
///     Ok::<_, std::convert::Infallible>(Response::new("hello".to_owned()))
/// });
/// let gateway = RouteLayer::new(Routes::new().exact("/hello", hello))?.layer(NotFound);
/// let get = |path| Request::get(path).header("host", "a").body(String::new()).unwrap();
/// assert_eq!(gateway.clone().oneshot(get("/hello")).await.unwrap().status(), 200);
/// assert_eq!(gateway.oneshot(get("/bye")).await.unwrap().status(), 404);
/// # Ok::<_, tower_gateway::ConfigError>(())
/// # }).unwrap();
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct NotFound;

impl<B> Service<Request<B>> for NotFound {
    type Response = Response<Body<String>>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let head = Head::of(&request);
        let rejection = Rejection::not_found();
        event::refused("route", head, &rejection);
        ready(Ok(reply(head, rejection)))
    }
}
