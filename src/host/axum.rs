//! Extractors: what the layers left in the request's extensions, as arguments of axum handlers.

use axum::{
    body::Body,
    extract::FromRequestParts,
    response::{IntoResponse, Response},
};
use http::{Request, request::Parts};

use crate::{
    client_ip::ClientIp,
    guard::Head,
    identity::{Claims, Identity},
    rejection::Rejection,
    reply::reply,
};

/// A problem document: handlers of axum speak HTTP, and no request is at hand to choose another dialect by.
impl IntoResponse for Rejection {
    fn into_response(self) -> Response {
        let request = Request::new(());
        reply::<Body>(Head::of(&request), self).map(Body::new)
    }
}

impl<S: Sync> FromRequestParts<S> for Identity {
    type Rejection = Rejection;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Rejection> {
        extension(parts, "no authentication layer has set an `Identity`")
    }
}

impl<C: Send + Sync + 'static, S: Sync> FromRequestParts<S> for Claims<C> {
    type Rejection = Rejection;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Rejection> {
        extension(parts, "no authentication layer has read `Claims` of this type")
    }
}

impl<S: Sync> FromRequestParts<S> for ClientIp {
    type Rejection = Rejection;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Rejection> {
        extension(parts, "no `ClientIpLayer` has set a `ClientIp`")
    }
}

/// 500 when it is not there: the stack was put together without the layer that sets it.
fn extension<T: Clone + Send + Sync + 'static>(
    parts: &Parts,
    missing: &'static str,
) -> Result<T, Rejection> {
    let found = parts.extensions.get::<T>().cloned();
    found.ok_or_else(|| Rejection::internal().caused_by(missing))
}
