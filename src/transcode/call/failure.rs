//! Why a call has no answer, or no more of it.

use http::{HeaderMap, StatusCode, header, response};

use crate::{
    BoxError,
    rejection::{Reason, Rejection},
    reply::Dialect,
    transcode::grpc::{frame::FrameFault, status::Status},
};

/// Why a call has no answer, or no more of it.
#[derive(Debug)]
pub(super) enum Failure {
    /// The service says so, with metadata.
    Status(Box<Status>, HeaderMap),
    /// The gateway does.
    Rejected(Rejection),
    /// A layer behind this one did, and has said so.
    RejectedWithin(Rejection, HeaderMap),
}

impl Failure {
    /// What a gRPC client would be told.
    pub(super) fn status(&self) -> Status {
        match self {
            Self::Status(status, _) => Status::clone(status),
            Self::Rejected(rejection) | Self::RejectedWithin(rejection, _) => {
                Status::from(rejection)
            }
        }
    }
}

impl From<Rejection> for Failure {
    fn from(rejection: Rejection) -> Self {
        Self::Rejected(rejection)
    }
}

/// The service's answer breaks the protocol: 502.
pub(super) fn broken(detail: &'static str) -> Rejection {
    Rejection::new(Reason::BadGateway, detail)
}

/// The service's answer has no end: 502.
pub(super) fn without_status() -> Rejection {
    broken("The service ended its answer without a status.").caused_by(
        "no trailers with a `grpc-status`; a remote service is reached over HTTP/2: `Upstream::http2`",
    )
}

/// The service's answer, which is one message, has none: 502.
pub(super) fn without_message() -> Rejection {
    broken("The service sent no message.")
}

/// What came is no sequence of messages: 502.
pub(super) fn frames(fault: FrameFault) -> Failure {
    Failure::Rejected(fault.into())
}

/// The body of an answer could not be read: what a layer behind says of it, else 502.
pub(super) fn of_body(error: BoxError) -> Failure {
    let found = Rejection::find(&*error).cloned();
    let rejection = found.unwrap_or_else(|| {
        broken("The service's answer could not be read to its end.").caused_by(error)
    });
    rejection.into()
}

/// The call takes too long: 504.
pub(super) fn late() -> Rejection {
    Rejection::new(Reason::GatewayTimeout, "The service did not answer in time.")
}

/// What the head of an answer says of the call, if it says that it has failed.
///
/// Whether a body follows or not: a head with a `grpc-status` is all there is ("Trailers-Only").
pub(super) fn of_head(head: &mut response::Parts) -> Result<Option<Status>, Failure> {
    if let Some(rejection) = head.extensions.get::<Rejection>() {
        let rejection = rejection.clone();
        return Err(Failure::RejectedWithin(rejection, std::mem::take(&mut head.headers)));
    }
    match Status::of(&head.headers) {
        Some(status) if status.is_ok() && head.status == StatusCode::OK => Ok(Some(status)),
        Some(status) if status.is_ok() => {
            Err(Failure::Status(Box::new(Status::of_http(head.status)), HeaderMap::new()))
        }
        Some(status) => Err(Failure::Status(Box::new(status), std::mem::take(&mut head.headers))),
        None if is_grpc(head) => Ok(None),
        None if head.status == StatusCode::OK => {
            let media = head.headers.get(header::CONTENT_TYPE);
            Err(broken("The service answered in no gRPC.")
                .caused_by(format!("its answer has the content type {media:?}"))
                .into())
        }
        None => Err(Failure::Status(Box::new(Status::of_http(head.status)), HeaderMap::new())),
    }
}

fn is_grpc(head: &response::Parts) -> bool {
    head.status == StatusCode::OK && Dialect::of(&head.headers) == Dialect::Grpc
}

/// What trailers say of the call.
pub(super) fn of_trailers(trailers: HeaderMap) -> Result<HeaderMap, Failure> {
    match Status::of(&trailers) {
        Some(status) if status.is_ok() => Ok(trailers),
        Some(status) => Err(Failure::Status(Box::new(status), trailers)),
        None => Err(without_status().into()),
    }
}
