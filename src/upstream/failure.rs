//! What the client is told when the upstream fails, and whose fault it is.

use crate::{
    client::{ClientError, ClientErrorKind as Kind},
    rejection::{Reason, Rejection},
};

/// The refusal for an exchange that did not come to a response.
pub(super) fn rejection(error: ClientError) -> Rejection {
    let (reason, detail) = match error.kind() {
        Kind::RequestBody => return Rejection::of_content(error.into()),
        Kind::RequestStalled => (Reason::RequestTimeout, "The request's content stopped coming."),
        Kind::ConnectTimeout | Kind::FirstByteTimeout | Kind::IdleTimeout | Kind::TotalTimeout => {
            (Reason::GatewayTimeout, "The upstream did not answer in time.")
        }
        Kind::Connect | Kind::Tls => (Reason::BadGateway, "The upstream could not be reached."),
        Kind::Closed => (Reason::BadGateway, "The upstream did not answer."),
        Kind::Malformed => (Reason::BadGateway, "The upstream's answer is malformed."),
        Kind::Request => (Reason::Internal, "The request cannot be forwarded."),
    };
    Rejection::new(reason, detail).caused_by(error)
}
