//! New connections: names to addresses, TCP, TLS, and HTTP on top.

use std::{io, pin::pin, sync::Arc, task::Poll};

use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;

use super::{
    body::RequestBody,
    error::{ClientError, ClientErrorKind},
    pool::{Http1, Http2, Load},
    timer::Timer,
};

/// A response head larger than this is refused.
const MAX_HEAD: usize = 64 * 1024;

/// Where an origin listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Address {
    /// A name or an address; IPv6 without its brackets.
    pub(super) host: String,
    pub(super) port: u16,
}

/// A connection that has just been made.
pub(super) enum Fresh {
    Http1(Http1),
    Http2(Http2),
}

/// The first of the host's addresses that takes a connection.
pub(super) async fn tcp(address: &Address) -> Result<TcpStream, ClientError> {
    let failed = |error| ClientError::new(ClientErrorKind::Connect, error);
    let found = tokio::net::lookup_host((address.host.as_str(), address.port)).await;
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no addresses");
    for addr in found.map_err(failed)? {
        match TcpStream::connect(addr).await {
            Ok(stream) => {
                stream.set_nodelay(true).map_err(failed)?;
                return Ok(stream);
            }
            Err(error) => last = error,
        }
    }
    Err(failed(last))
}

/// Speaks HTTP/1.1 on this stream. The connection lives in a task of its own, until both ends have done.
pub(super) async fn http1<T>(stream: T) -> Result<Fresh, ClientError>
where
    T: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
{
    let (sender, connection) = http1::Builder::new()
        .max_header_size(MAX_HEAD)
        .handshake::<_, RequestBody>(TokioIo::new(stream))
        .await?;
    tokio::spawn(connection.with_upgrades());
    let timer = Timer::default();
    Ok(Fresh::Http1(Http1 { sender, timer }))
}

/// Speaks HTTP/2 on this stream. The connection lives in a task of its own, which reports how many streams the
/// origin allows.
pub(super) async fn http2<T>(stream: T) -> Result<Fresh, ClientError>
where
    T: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
{
    let (sender, connection) = http2::Builder::new(TokioExecutor::new())
        .max_header_list_size(MAX_HEAD as u32)
        .handshake::<_, RequestBody>(TokioIo::new(stream))
        .await?;
    let load = Load::new();
    let reported = Arc::clone(&load);
    tokio::spawn(async move {
        let mut connection = pin!(connection);
        std::future::poll_fn(|cx| {
            let done = connection.as_mut().poll(cx).is_ready();
            reported.allow(connection.current_max_send_streams());
            if done { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    });
    Ok(Fresh::Http2(Http2 { sender, load }))
}
