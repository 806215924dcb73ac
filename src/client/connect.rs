//! New connections: names to addresses, TCP, TLS, and HTTP on top.

use std::{io, net::SocketAddr, pin::pin, sync::Arc, task::Poll, time::Instant};

use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use smallvec::SmallVec;
use tokio::net::TcpStream;

use super::{
    body::RequestBody,
    error::{ClientError, ClientErrorKind},
    place::Address,
    pool::{Http1, Http2, Load},
    timer::Timer,
};
use crate::{
    clock::{Clock, within},
    gather::Gathered,
};

/// A response head larger than this is refused.
const MAX_HEAD: usize = 64 * 1024;

/// More addresses of one name than this are not tried.
const MAX_ADDRESSES: usize = 16;

/// A connection that has just been made.
pub(super) enum Fresh {
    Http1(Http1),
    Http2(Http2),
}

/// A connection to the first of the host's addresses that takes one.
pub(super) async fn tcp(
    address: &Address,
    clock: &Clock,
    deadline: Instant,
) -> Result<TcpStream, ClientError> {
    let failed = |error| ClientError::new(ClientErrorKind::Connect, error);
    let found = tokio::net::lookup_host((address.host.as_str(), address.port)).await;
    let addrs: SmallVec<[SocketAddr; 4]> = found.map_err(failed)?.take(MAX_ADDRESSES).collect();
    let stream = first_of(&addrs, clock, deadline).await.map_err(failed)?;
    stream.set_nodelay(true).map_err(failed)?;
    Ok(stream)
}

/// Tries one address after another. Each has an equal share of the time that is left, so that one that does not
/// answer leaves some to the next; the last has all of it, and the caller's patience is its limit.
async fn first_of(addrs: &[SocketAddr], clock: &Clock, deadline: Instant) -> io::Result<TcpStream> {
    let Some((last, others)) = addrs.split_last() else {
        return Err(io::Error::new(io::ErrorKind::NotFound, "the name has no addresses"));
    };
    let mut untried = addrs.len() as u32;
    for addr in others {
        let now = clock.now();
        let share = deadline.saturating_duration_since(now) / untried;
        untried -= 1;
        if let Some(Ok(stream)) =
            within(clock.sleep_until(now + share), TcpStream::connect(addr)).await
        {
            return Ok(stream);
        }
    }
    TcpStream::connect(last).await
}

/// Speaks HTTP/1.1 on this stream. The connection lives in a task of its own, until both ends have done.
pub(super) async fn http1<T>(stream: T) -> Result<Fresh, ClientError>
where
    T: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
{
    let (sender, connection) = http1::Builder::new()
        .max_header_size(MAX_HEAD)
        .handshake::<_, RequestBody>(TokioIo::new(Gathered::new(stream)))
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

#[cfg(all(test, feature = "test-util"))]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn an_address_that_does_not_answer_leaves_time_for_the_next() {
        // A listener whose queue is full drops what else knocks.
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let full = socket.listen(1).unwrap();
        let full_addr = full.local_addr().unwrap();
        let _queued = [
            TcpStream::connect(full_addr).await.unwrap(),
            TcpStream::connect(full_addr).await.unwrap(),
        ];
        let good = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let good_addr = good.local_addr().unwrap();

        let (clock, time) = Clock::manual();
        let deadline = clock.now() + Duration::from_secs(5);
        let found = tokio::spawn(async move {
            let stream = first_of(&[full_addr, good_addr], &clock, deadline).await;
            stream.unwrap().peer_addr().unwrap()
        });
        while time.sleepers() == 0 {
            tokio::task::yield_now().await;
        }
        time.advance(Duration::from_millis(2_500));
        assert_eq!(found.await.unwrap(), good_addr);
    }

    #[tokio::test]
    async fn a_name_without_addresses_is_an_error() {
        let clock = Clock::system();
        assert!(first_of(&[], &clock, clock.now()).await.is_err());
    }
}
