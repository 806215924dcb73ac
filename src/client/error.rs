//! Why a request got no response, or a body no end.

use crate::BoxError;
use std::{error::Error, fmt};

/// A request failed, or the response's body did. What went wrong beneath is its [`source`](Error::source).
pub struct ClientError(Box<Parts>);

struct Parts {
    kind: ClientErrorKind,
    source: Option<BoxError>,
}

/// What failed, and with that whose fault it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ClientErrorKind {
    /// The request cannot be sent: its URI is no absolute `http` or `https` URI, or needs feature `tls`.
    Request,
    /// No connection: the name was not found, or no address took it.
    Connect,
    /// No secure connection: the handshake failed, or the certificate does not hold.
    Tls,
    /// No connection in time.
    ConnectTimeout,
    /// The origin did not begin to answer in time.
    FirstByteTimeout,
    /// The origin stopped in the middle of its answer.
    IdleTimeout,
    /// The whole exchange took too long.
    TotalTimeout,
    /// The connection broke before the answer was complete.
    Closed,
    /// The answer breaks its protocol, or is too large.
    Malformed,
    /// The caller's request body failed; its error is the source.
    RequestBody,
    /// The caller's request body stopped coming.
    RequestStalled,
}

impl ClientErrorKind {
    const fn text(self) -> &'static str {
        match self {
            Self::Request => "the request cannot be sent",
            Self::Connect => "could not connect",
            Self::Tls => "could not connect securely",
            Self::ConnectTimeout => "could not connect in time",
            Self::FirstByteTimeout => "no response in time",
            Self::IdleTimeout => "the response stopped",
            Self::TotalTimeout => "the exchange took too long",
            Self::Closed => "the connection broke",
            Self::Malformed => "the response is malformed",
            Self::RequestBody => "the request body failed",
            Self::RequestStalled => "the request body stopped",
        }
    }
}

impl ClientError {
    pub(super) fn new(kind: ClientErrorKind, source: impl Into<BoxError>) -> Self {
        Self(Box::new(Parts { kind, source: Some(source.into()) }))
    }

    /// What failed.
    pub fn kind(&self) -> ClientErrorKind {
        self.0.kind
    }
}

impl From<ClientErrorKind> for ClientError {
    fn from(kind: ClientErrorKind) -> Self {
        Self(Box::new(Parts { kind, source: None }))
    }
}

impl From<hyper::Error> for ClientError {
    fn from(error: hyper::Error) -> Self {
        let kind = match breaks_the_protocol(&error) {
            true => ClientErrorKind::Malformed,
            false => ClientErrorKind::Closed,
        };
        Self::new(kind, error)
    }
}

/// A broken head, or a broken chunk (which hyper reports as `InvalidInput` or `InvalidData` from its decoder).
fn breaks_the_protocol(error: &hyper::Error) -> bool {
    let chunk = |io: &std::io::Error| {
        use std::io::ErrorKind::{InvalidData, InvalidInput};
        matches!(io.kind(), InvalidData | InvalidInput)
    };
    error.is_parse() || error.source().and_then(|source| source.downcast_ref()).is_some_and(chunk)
}

impl fmt::Display for ClientError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.kind.text())
    }
}

impl fmt::Debug for ClientError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientError")
            .field("kind", &self.0.kind)
            .field("source", &self.0.source)
            .finish()
    }
}

impl Error for ClientError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        let source = self.0.source.as_deref()?;
        Some(source as &(dyn Error + 'static))
    }
}
