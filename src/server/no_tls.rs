//! Stands in for TLS where it is not compiled in: there is never an acceptor.

use std::io;

use tokio::net::TcpStream;

use super::{PeerCertificate, connection::Protocol};

#[derive(Clone)]
pub(super) enum Acceptor {}

pub(super) struct Secured {
    pub(super) stream: TcpStream,
    pub(super) protocol: Option<Protocol>,
    pub(super) certificate: Option<PeerCertificate>,
}

impl Acceptor {
    pub(super) async fn accept(self, _: TcpStream) -> io::Result<Secured> {
        match self {}
    }
}
