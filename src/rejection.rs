//! A refusal: what the client is told, and what only the operator sees.
//!
//! A layer that says no makes a [`Rejection`] and hands it to the [`reply`](crate::reply) engine, which renders
//! it in the client's dialect. Its *detail* is written for the caller and is safe to show; its *cause* goes to
//! events only. The rejection itself travels in the response's extensions, so that outer layers can count it:
//!
//! ```
//! use std::time::Duration;
//! use tower_gateway::rejection::{Reason, Rejection};
//!
//! let no = Rejection::rate_limited(Duration::from_millis(1_200));
//! assert_eq!(no.status(), 429);
//! assert_eq!(no.reason(), Reason::RateLimited);
//! assert_eq!(no.headers()["retry-after"], "2"); // rounded up: a client that obeys is admitted
//! ```
//!
//! Every reason, with its status in each dialect, stands in [rejections](crate::rejection).

use std::{borrow::Cow, error::Error, fmt, sync::Arc, time::Duration};

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};

/// Why a request was refused. Decides the HTTP status, the gRPC code and the problem type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Reason {
    /// The message breaks its protocol or can be read in two ways. 400, `INVALID_ARGUMENT`.
    Malformed,
    /// No credential, or one that does not hold. 401, `UNAUTHENTICATED`.
    Unauthenticated,
    /// The client is known and may not do this, or cannot be attributed. 403, `PERMISSION_DENIED`.
    Forbidden,
    /// Nothing is served here. 404, `UNIMPLEMENTED`.
    NotFound,
    /// The resource does not take this method. 405, `UNIMPLEMENTED`.
    MethodNotAllowed,
    /// The client did not send its request in time. 408, `DEADLINE_EXCEEDED`.
    RequestTimeout,
    /// The content is larger than is taken. 413, `RESOURCE_EXHAUSTED`.
    ContentTooLarge,
    /// The request target is longer than is taken. 414, `INVALID_ARGUMENT`.
    UriTooLong,
    /// The content is of a media type or a coding that is not taken. 415, `INVALID_ARGUMENT`.
    UnsupportedMediaType,
    /// The client expects what is not done here. 417, `INVALID_ARGUMENT`.
    ExpectationFailed,
    /// This host is not served here. 421, `UNIMPLEMENTED`.
    Misdirected,
    /// The client has used up its quota. 429, `RESOURCE_EXHAUSTED`.
    RateLimited,
    /// The header section is larger than is taken. 431, `RESOURCE_EXHAUSTED`.
    HeadersTooLarge,
    /// The gateway is at fault. 500, `INTERNAL`.
    Internal,
    /// The method or the framing is not supported. 501, `UNIMPLEMENTED`.
    NotImplemented,
    /// The upstream could not be reached, or answered nonsense. 502, `UNAVAILABLE`.
    BadGateway,
    /// No decision or service for now; trying later may help. 503, `UNAVAILABLE`.
    Unavailable,
    /// The upstream did not answer in time. 504, `DEADLINE_EXCEEDED`.
    GatewayTimeout,
    /// The request has passed this gateway before. 508, `INTERNAL`.
    LoopDetected,
}

/// A reason's fixed facts: its name, its HTTP status, its gRPC code and its problem type's title.
struct Facts(&'static str, StatusCode, GrpcCode, &'static str);

impl Reason {
    /// All reasons, in the order of their statuses.
    pub const ALL: &'static [Self] = &[
        Self::Malformed,
        Self::Unauthenticated,
        Self::Forbidden,
        Self::NotFound,
        Self::MethodNotAllowed,
        Self::RequestTimeout,
        Self::ContentTooLarge,
        Self::UriTooLong,
        Self::UnsupportedMediaType,
        Self::ExpectationFailed,
        Self::Misdirected,
        Self::RateLimited,
        Self::HeadersTooLarge,
        Self::Internal,
        Self::NotImplemented,
        Self::BadGateway,
        Self::Unavailable,
        Self::GatewayTimeout,
        Self::LoopDetected,
    ];

    const fn facts(self) -> Facts {
        use GrpcCode as G;
        use StatusCode as S;
        match self {
            Self::Malformed => {
                Facts("malformed", S::BAD_REQUEST, G::InvalidArgument, "Malformed request")
            }
            Self::Unauthenticated => Facts(
                "unauthenticated",
                S::UNAUTHORIZED,
                G::Unauthenticated,
                "Authentication required",
            ),
            Self::Forbidden => Facts("forbidden", S::FORBIDDEN, G::PermissionDenied, "Forbidden"),
            Self::NotFound => Facts("not-found", S::NOT_FOUND, G::Unimplemented, "Not found"),
            Self::MethodNotAllowed => Facts(
                "method-not-allowed",
                S::METHOD_NOT_ALLOWED,
                G::Unimplemented,
                "Method not allowed",
            ),
            Self::RequestTimeout => Facts(
                "request-timeout",
                S::REQUEST_TIMEOUT,
                G::DeadlineExceeded,
                "Request not received in time",
            ),
            Self::ContentTooLarge => Facts(
                "content-too-large",
                S::PAYLOAD_TOO_LARGE,
                G::ResourceExhausted,
                "Content too large",
            ),
            Self::UriTooLong => {
                Facts("uri-too-long", S::URI_TOO_LONG, G::InvalidArgument, "URI too long")
            }
            Self::UnsupportedMediaType => Facts(
                "unsupported-media-type",
                S::UNSUPPORTED_MEDIA_TYPE,
                G::InvalidArgument,
                "Unsupported media type",
            ),
            Self::ExpectationFailed => Facts(
                "expectation-failed",
                S::EXPECTATION_FAILED,
                G::InvalidArgument,
                "Expectation failed",
            ),
            Self::Misdirected => {
                Facts("misdirected", S::MISDIRECTED_REQUEST, G::Unimplemented, "Host not served")
            }
            Self::RateLimited => Facts(
                "rate-limited",
                S::TOO_MANY_REQUESTS,
                G::ResourceExhausted,
                "Request quota exceeded",
            ),
            Self::HeadersTooLarge => Facts(
                "headers-too-large",
                S::REQUEST_HEADER_FIELDS_TOO_LARGE,
                G::ResourceExhausted,
                "Header fields too large",
            ),
            Self::Internal => {
                Facts("internal", S::INTERNAL_SERVER_ERROR, G::Internal, "Internal error")
            }
            Self::NotImplemented => {
                Facts("not-implemented", S::NOT_IMPLEMENTED, G::Unimplemented, "Not implemented")
            }
            Self::BadGateway => {
                Facts("bad-gateway", S::BAD_GATEWAY, G::Unavailable, "Upstream failed")
            }
            Self::Unavailable => {
                Facts("unavailable", S::SERVICE_UNAVAILABLE, G::Unavailable, "Unavailable for now")
            }
            Self::GatewayTimeout => Facts(
                "gateway-timeout",
                S::GATEWAY_TIMEOUT,
                G::DeadlineExceeded,
                "Upstream did not answer in time",
            ),
            Self::LoopDetected => {
                Facts("loop-detected", S::LOOP_DETECTED, G::Internal, "Request loop")
            }
        }
    }

    /// Its stable name, in kebab case: `rate-limited`.
    pub const fn name(self) -> &'static str {
        self.facts().0
    }

    /// Its HTTP status.
    pub const fn status(self) -> StatusCode {
        self.facts().1
    }

    /// Its gRPC code.
    pub const fn grpc_code(self) -> GrpcCode {
        self.facts().2
    }

    /// The title of its problem type, RFC 9457 §3.1.3.
    pub const fn title(self) -> &'static str {
        self.facts().3
    }
}

/// The gRPC status codes. A rejection becomes one of them that says so; services answer with any.
///
/// The numbers are those of the [gRPC status codes](https://grpc.io/docs/guides/status-codes/).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[allow(missing_docs)] // the names are the specification's
pub enum GrpcCode {
    Ok = 0,
    Cancelled = 1,
    Unknown = 2,
    InvalidArgument = 3,
    DeadlineExceeded = 4,
    NotFound = 5,
    AlreadyExists = 6,
    PermissionDenied = 7,
    ResourceExhausted = 8,
    FailedPrecondition = 9,
    Aborted = 10,
    OutOfRange = 11,
    Unimplemented = 12,
    Internal = 13,
    Unavailable = 14,
    DataLoss = 15,
    Unauthenticated = 16,
}

/// A refusal on its way to the client. See the [module docs](self).
#[derive(Clone)]
pub struct Rejection(Box<Parts>);

#[derive(Clone)]
struct Parts {
    reason: Reason,
    detail: Cow<'static, str>,
    retry_after: Option<Duration>,
    headers: HeaderMap,
    members: Vec<(&'static str, String)>,
    scheme: Option<&'static str>,
    cause: Option<Arc<dyn Error + Send + Sync>>,
}

impl Rejection {
    /// A refusal for `reason`, with a `detail` that is safe to show to the client.
    pub fn new(reason: Reason, detail: impl Into<Cow<'static, str>>) -> Self {
        Self(Box::new(Parts {
            reason,
            detail: detail.into(),
            retry_after: None,
            headers: HeaderMap::new(),
            members: Vec::new(),
            scheme: None,
            cause: None,
        }))
    }

    /// 400: the request breaks its protocol, or can be read in two ways.
    pub fn malformed(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Reason::Malformed, detail)
    }

    /// 401 with its `WWW-Authenticate` challenge, which RFC 9110 §15.5.2 demands.
    pub fn unauthenticated(challenge: HeaderValue, detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Reason::Unauthenticated, detail).with_header(header::WWW_AUTHENTICATE, challenge)
    }

    /// 403: asking again, or with the same credential, will not help.
    pub fn forbidden(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Reason::Forbidden, detail)
    }

    /// 404 / `UNIMPLEMENTED`: nothing is served here.
    pub fn not_found() -> Self {
        Self::new(Reason::NotFound, "Nothing is served at this address.")
    }

    /// 405 with the `Allow` field that RFC 9110 §15.5.6 demands.
    pub fn method_not_allowed(allow: HeaderValue) -> Self {
        Self::new(Reason::MethodNotAllowed, "This resource does not take that method.")
            .with_header(header::ALLOW, allow)
    }

    /// 415 with the media types that are taken, in the `Accept` field that RFC 9110 §15.5.16 advises.
    pub fn unsupported_media_type(
        accept: HeaderValue,
        detail: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self::new(Reason::UnsupportedMediaType, detail).with_header(header::ACCEPT, accept)
    }

    /// 429 / `RESOURCE_EXHAUSTED`: ask again after `retry_after`.
    pub fn rate_limited(retry_after: Duration) -> Self {
        Self::new(Reason::RateLimited, "Too many requests; try again later.")
            .retry_after(retry_after)
    }

    /// 503: no decision can be made for now. Never a verdict on the credential.
    pub fn unavailable(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Reason::Unavailable, detail)
    }

    /// 500: the gateway, or how it was put together, is at fault. Name the fault in
    /// [`caused_by`](Self::caused_by).
    pub fn internal() -> Self {
        Self::new(Reason::Internal, "The gateway could not handle this request.")
    }

    /// What is said of content that could not be read: what a layer before has said, else 400. It is the client's
    /// fault, never the upstream's.
    #[allow(dead_code, reason = "used by the concerns that read content")]
    pub(crate) fn of_content(error: Box<dyn Error + Send + Sync>) -> Self {
        Self::find(&*error).cloned().unwrap_or_else(|| {
            Self::malformed("The request's content is malformed or incomplete.").caused_by(error)
        })
    }

    /// When to ask again: `Retry-After` in whole seconds, rounded up and at least 1, and gRPC `RetryInfo`.
    #[must_use]
    pub fn retry_after(mut self, after: Duration) -> Self {
        self.0.retry_after = Some(after);
        self.with_header(header::RETRY_AFTER, HeaderValue::from(whole_seconds(after)))
    }

    /// Another header field for the answer; metadata of that name in the gRPC dialects.
    #[must_use]
    pub fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.0.headers.append(name, value);
        self
    }

    /// A fact for programs: an extension member of the problem document, metadata of gRPC's `ErrorInfo`.
    #[must_use]
    pub fn with_member(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.0.members.push((name, value.into()));
        self
    }

    /// What went wrong inside. Goes to events, never to the client.
    #[must_use]
    pub fn caused_by(mut self, cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.0.cause = Some(Arc::from(cause.into()));
        self
    }

    /// The scheme that refused, where a layer of several asked it; the innermost one stays.
    #[allow(dead_code, reason = "used by the concerns that combine guards")]
    pub(crate) fn refused_by(mut self, scheme: &'static str) -> Self {
        self.0.scheme.get_or_insert(scheme);
        self
    }

    /// The rejection that an error is, or that lies among its sources: what stopped a body can so be answered
    /// for, whatever has wrapped the error since.
    pub fn find<'a>(mut error: &'a (dyn Error + 'static)) -> Option<&'a Self> {
        loop {
            if let Some(rejection) = error.downcast_ref() {
                return Some(rejection);
            }
            // An `io::Error` passes over what it holds: its source is the source of that.
            let held = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
            error = match held {
                Some(held) => held,
                None => error.source()?,
            };
        }
    }

    /// Why.
    pub fn reason(&self) -> Reason {
        self.0.reason
    }

    /// The HTTP status.
    pub fn status(&self) -> StatusCode {
        self.0.reason.status()
    }

    /// What the client is told.
    pub fn detail(&self) -> &str {
        &self.0.detail
    }

    /// Extra fields of the answer.
    pub fn headers(&self) -> &HeaderMap {
        &self.0.headers
    }

    /// Facts for programs, in the order in which they were added.
    pub fn members(&self) -> impl ExactSizeIterator<Item = (&'static str, &str)> {
        self.0.members.iter().map(|(name, value)| (*name, value.as_str()))
    }

    /// When to ask again, unrounded.
    pub fn delay(&self) -> Option<Duration> {
        self.0.retry_after
    }

    /// Which scheme refused ("jwt"), where the layer combines several. Goes to events.
    pub fn scheme(&self) -> Option<&'static str> {
        self.0.scheme
    }

    /// What went wrong inside.
    pub fn cause(&self) -> Option<&(dyn Error + Send + Sync + 'static)> {
        self.0.cause.as_deref()
    }
}

/// Rounded up, and never the 0 that tells a client to ask again at once.
pub(crate) fn whole_seconds(duration: Duration) -> u64 {
    let partial = u64::from(duration.subsec_nanos() > 0);
    duration.as_secs().saturating_add(partial).max(1)
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.reason().name(), self.detail())
    }
}

impl fmt::Debug for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rejection")
            .field("reason", &self.reason())
            .field("detail", &self.detail())
            .field("cause", &self.cause())
            .finish_non_exhaustive()
    }
}

impl Error for Rejection {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.0.cause.as_ref().map(|cause| cause.as_ref() as &(dyn Error + 'static))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_rounded_up_and_never_zero() {
        let seconds = |millis| whole_seconds(Duration::from_millis(millis));
        assert_eq!([0, 1, 999, 1_000, 1_001, 60_000].map(seconds), [1, 1, 1, 1, 2, 60]);
        assert_eq!(whole_seconds(Duration::MAX), u64::MAX);
    }

    #[test]
    fn names_are_unique_and_statuses_are_errors_in_order() {
        for (n, reason) in Reason::ALL.iter().enumerate() {
            assert!(reason.status().is_client_error() || reason.status().is_server_error());
            assert!(Reason::ALL[n + 1..].iter().all(|other| other.name() != reason.name()));
            assert!(Reason::ALL[n + 1..].iter().all(|other| other.status() > reason.status()));
        }
    }

    #[test]
    fn what_is_not_taken_is_told_what_is() {
        let no = Rejection::unsupported_media_type(
            HeaderValue::from_static("application/json"),
            "JSON.",
        );
        assert_eq!(
            (no.status(), no.reason().grpc_code()),
            (415.try_into().unwrap(), GrpcCode::InvalidArgument)
        );
        assert_eq!(no.headers()["accept"], "application/json");
    }

    #[test]
    fn a_rejection_is_found_among_the_sources_of_an_error() {
        let no = Rejection::malformed("Bad chunk.");
        let wrapped = std::io::Error::other(no);
        let twice = Rejection::internal().caused_by(wrapped);
        assert_eq!(Rejection::find(&twice).unwrap().status(), 500);
        let found = Rejection::find(twice.source().unwrap()).unwrap();
        assert_eq!(found.detail(), "Bad chunk.");
        assert!(Rejection::find(&std::io::Error::other("no")).is_none());
    }

    #[test]
    fn the_cause_is_a_source_and_not_part_of_the_message() {
        let no = Rejection::unavailable("Try later.").caused_by("password=hunter2");
        assert_eq!(no.to_string(), "unavailable: Try later.");
        assert_eq!(no.source().unwrap().to_string(), "password=hunter2");
    }
}
