//! How a refusal is written: in the dialect that the client speaks.
//!
//! | the request's `content-type` | dialect | status line | what the client reads |
//! |---|---|---|---|
//! | `application/grpc`, `+proto`, … | [`Dialect::Grpc`] | 200 | trailers-only: `grpc-status`, `grpc-message`, `grpc-status-details-bin` |
//! | `application/grpc-web`, `-text` | [`Dialect::GrpcWeb`] | 200 | the same fields as a framed trailer in the body |
//! | anything else | [`Dialect::Http`] | the reason's | `application/problem+json`, RFC 9457 |
//!
//! The dialect is chosen for each request, because a bare HTTP 429 would reach a gRPC client as `UNAVAILABLE`,
//! which it retries at once.
//!
//! ```
//! use http::Request;
//! use tower_gateway::{body::Body, guard::Head, rejection::Rejection, reply::reply};
//!
//! let (rest, _) = Request::get("/").body(()).unwrap().into_parts();
//! let response = reply::<String>(Head::from(&rest), Rejection::not_found());
//! assert_eq!(response.status(), 404);
//! assert_eq!(response.headers()["content-type"], "application/problem+json");
//!
//! let call = Request::post("/pkg.Svc/M").header("content-type", "application/grpc");
//! let (call, _) = call.body(()).unwrap().into_parts();
//! let response = reply::<String>(Head::from(&call), Rejection::not_found());
//! assert_eq!(response.status(), 200);
//! assert_eq!(response.headers()["grpc-status"], "12"); // UNIMPLEMENTED
//! ```

mod grpc;
mod problem;

use bytes::Bytes;
use http::{HeaderMap, Method, Response, header};

use crate::{body::Body, guard::Head, rejection::Rejection};

/// The bytes of the `google.rpc.Status` that a rejection is.
#[cfg(feature = "transcode")]
pub(crate) use grpc::details as google_rpc_status;

/// The form in which a client understands a refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Dialect {
    /// An HTTP status and a problem document, RFC 9457.
    Http,
    /// Native gRPC: HTTP 200 and a status in the header section ("trailers-only").
    Grpc,
    /// gRPC-Web: HTTP 200 and a trailer frame in the body.
    GrpcWeb {
        /// The body is base64, as `application/grpc-web-text` demands.
        text: bool,
    },
}

impl Dialect {
    /// The dialect of a request, by its `content-type`.
    pub fn of(headers: &HeaderMap) -> Self {
        let media = headers.get(header::CONTENT_TYPE).map_or(&b""[..], |value| value.as_bytes());
        let is = |prefix: &str| {
            media
                .get(..prefix.len())
                .is_some_and(|head| head.eq_ignore_ascii_case(prefix.as_bytes()))
                && matches!(media.get(prefix.len()), None | Some(b'+' | b';' | b' '))
        };
        if is("application/grpc") {
            Self::Grpc
        } else if is("application/grpc-web") {
            Self::GrpcWeb { text: false }
        } else if is("application/grpc-web-text") {
            Self::GrpcWeb { text: true }
        } else {
            Self::Http
        }
    }
}

/// The answer to the request with this head, refused with `rejection`.
///
/// The rejection travels in the response's extensions. The answer to a `HEAD` has no content.
pub fn reply<B>(head: Head<'_>, rejection: Rejection) -> Response<Body<B>> {
    let mut response = match Dialect::of(head.headers()) {
        Dialect::Http => problem::response(&rejection),
        Dialect::Grpc => grpc::trailers_only(&rejection, head.headers()),
        Dialect::GrpcWeb { text } => grpc::web(&rejection, head.headers(), text),
    };
    if head.method() == Method::HEAD {
        *response.body_mut() = Bytes::new();
    }
    response.extensions_mut().insert(rejection);
    response.map(Body::own)
}

/// The policies that refuse: the rejection may have this member several times.
fn policies(rejection: &Rejection) -> impl Iterator<Item = &str> {
    rejection.members().filter(|(name, _)| *name == "policy").map(|(_, policy)| policy)
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    #[test]
    fn the_content_type_names_the_dialect() {
        let of = |media: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media));
            Dialect::of(&headers)
        };
        assert_eq!(of("application/grpc"), Dialect::Grpc);
        assert_eq!(of("Application/gRPC+proto"), Dialect::Grpc);
        assert_eq!(of("application/grpc; x=1"), Dialect::Grpc);
        assert_eq!(of("application/grpc-web+proto"), Dialect::GrpcWeb { text: false });
        assert_eq!(of("application/grpc-web-text"), Dialect::GrpcWeb { text: true });
        assert_eq!(of("application/grpcish"), Dialect::Http);
        assert_eq!(of("application/json"), Dialect::Http);
        assert_eq!(Dialect::of(&HeaderMap::new()), Dialect::Http);
    }
}
