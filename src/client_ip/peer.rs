//! The address at the other end of the connection, as each host records it.

use std::net::SocketAddr;

use http::Extensions;

/// The peer of the connection, for hosts that have no extension of their own.
///
/// This crate's server inserts it; under plain hyper, insert it for each request of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PeerAddr(pub SocketAddr);

pub(crate) fn addr(extensions: &Extensions) -> Option<SocketAddr> {
    extensions
        .get::<PeerAddr>()
        .map(|peer| peer.0)
        .or_else(|| axum(extensions))
        .or_else(|| tonic(extensions))
}

#[cfg(feature = "axum")]
fn axum(extensions: &Extensions) -> Option<SocketAddr> {
    extensions.get::<axum::extract::ConnectInfo<SocketAddr>>().map(|info| info.0)
}

#[cfg(not(feature = "axum"))]
fn axum(_: &Extensions) -> Option<SocketAddr> {
    None
}

#[cfg(feature = "tonic")]
fn tonic(extensions: &Extensions) -> Option<SocketAddr> {
    extensions.get::<tonic::transport::server::TcpConnectInfo>()?.remote_addr()
}

#[cfg(not(feature = "tonic"))]
fn tonic(_: &Extensions) -> Option<SocketAddr> {
    None
}
