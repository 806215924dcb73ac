//! What stands for TLS where feature `tls` is off.

use tokio::net::TcpStream;

use super::{
    connect::Fresh,
    error::{ClientError, ClientErrorKind},
    settings::HttpVersion,
};

#[derive(Clone, Debug, Default)]
pub(crate) struct Secure;

impl Secure {
    pub(super) async fn connect(
        &self,
        _: TcpStream,
        _: &str,
        _: HttpVersion,
    ) -> Result<Fresh, ClientError> {
        let text = "https needs feature `tls`";
        Err(ClientError::new(ClientErrorKind::Request, text))
    }
}
