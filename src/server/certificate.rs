//! The client's certificate.

use std::{fmt, sync::Arc};

use bytes::Bytes;

/// The certificate chain that the client presented and TLS verified, in a request's extensions.
///
/// DER as it came, leaf first. Its presence proves that the chain leads to one of the server's client roots and
/// that the client holds the leaf's key.
#[derive(Clone)]
pub struct PeerCertificate(Arc<[Bytes]>);

impl PeerCertificate {
    /// A chain that was verified in a way of your own, leaf first.
    pub fn new(chain: impl IntoIterator<Item = Bytes>) -> Self {
        Self(chain.into_iter().collect())
    }

    /// The client's own certificate.
    pub fn leaf(&self) -> &[u8] {
        self.0.first().map_or(&[], |leaf| leaf)
    }

    /// The chain, leaf first.
    pub fn chain(&self) -> &[Bytes] {
        &self.0
    }
}

impl fmt::Debug for PeerCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PeerCertificate({} certificates)", self.0.len())
    }
}
