//! Extractors: what the layers left in the request's extensions, as arguments of axum handlers.
//!
//! A handler that takes [`Identity`], [`Claims`] or [`ClientIp`] relies on the layer that sets it: without, the answer
//! is 500. Behind `optional`, where some clients are nobody, take an `Option` of it.

use std::convert::Infallible;

use axum::{
    body::Body,
    extract::{FromRequestParts, OptionalFromRequestParts},
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

/// `None` when no authentication layer has set one: for what `optional` lets through.
impl<S: Sync> OptionalFromRequestParts<S> for Identity {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Option<Self>, Infallible> {
        Ok(parts.extensions.get().cloned())
    }
}

/// `None` when no layer has read claims of this type: for what `optional` lets through.
impl<C: Send + Sync + 'static, S: Sync> OptionalFromRequestParts<S> for Claims<C> {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Option<Self>, Infallible> {
        Ok(parts.extensions.get().cloned())
    }
}

/// `None` when there is no `ClientIpLayer`.
impl<S: Sync> OptionalFromRequestParts<S> for ClientIp {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Option<Self>, Infallible> {
        Ok(parts.extensions.get().cloned())
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
