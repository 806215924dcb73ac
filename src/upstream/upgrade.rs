//! WebSocket: once both ends have agreed, octets pass in both directions.

use std::{
    future::poll_fn,
    io,
    pin::{Pin, pin},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    task::{Context, Poll},
    time::{Duration, Instant},
};

use http::{HeaderMap, Method, Response, StatusCode, Version, header, request::Parts};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf, copy_bidirectional};

use crate::{clock::Clock, fields::websocket_upgrade};

/// The client's end of an upgrade that can be passed on, if the request asks for one: HTTP/1.1, `GET`, on a
/// connection that its host can hand over (RFC 6455 §4.1).
pub(super) fn asked(head: &mut Parts) -> Option<OnUpgrade> {
    let asks = head.version == Version::HTTP_11
        && head.method == Method::GET
        && websocket_upgrade(&head.headers).is_some();
    asks.then(|| head.extensions.remove()).flatten()
}

/// Whether the upstream agreed.
pub(super) fn agreed<B>(response: &Response<B>) -> bool {
    response.status() == StatusCode::SWITCHING_PROTOCOLS
        && websocket_upgrade(response.headers()).is_some()
}

/// Removes what asks for, or agrees to, an upgrade.
pub(super) fn withhold(headers: &mut HeaderMap) {
    headers.remove(header::CONNECTION);
    headers.remove(header::UPGRADE);
}

/// Passes octets until both directions have ended, one fails, or nothing has moved for `idle`.
///
/// In a task of its own, which ends with the connections.
pub(super) fn splice(client: OnUpgrade, upstream: OnUpgrade, clock: Clock, idle: Duration) {
    tokio::spawn(async move {
        let (Ok(upstream), Ok(client)) = (upstream.await, client.await) else {
            return; // one of them left before the switch
        };
        let moved = Arc::new(Moved::now(clock));
        let mut client = TokioIo::new(client);
        let mut upstream = Watched { io: TokioIo::new(upstream), moved: Arc::clone(&moved) };
        let mut copying = pin!(copy_bidirectional(&mut client, &mut upstream));
        let mut silence = pin!(moved.silence(idle));
        poll_fn(|cx| match copying.as_mut().poll(cx) {
            Poll::Ready(_) => Poll::Ready(()),
            Poll::Pending => silence.as_mut().poll(cx),
        })
        .await;
    });
}

/// When an octet last moved.
struct Moved {
    clock: Clock,
    start: Instant,
    /// Milliseconds since `start`.
    last: AtomicU64,
}

impl Moved {
    fn now(clock: Clock) -> Self {
        Self { start: clock.now(), clock, last: AtomicU64::new(0) }
    }

    fn touch(&self) {
        let elapsed = self.clock.now().saturating_duration_since(self.start);
        let millis = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX);
        self.last.store(millis, Relaxed);
    }

    /// Completes when nothing has moved for `idle`.
    async fn silence(&self, idle: Duration) {
        loop {
            let due = self.start + Duration::from_millis(self.last.load(Relaxed)) + idle;
            if due <= self.clock.now() {
                return;
            }
            self.clock.sleep_until(due).await;
        }
    }
}

/// One end, watched: all that moves in either direction passes it.
struct Watched<T> {
    io: T,
    moved: Arc<Moved>,
}

impl<T: AsyncRead + Unpin> AsyncRead for Watched<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let read = Pin::new(&mut self.io).poll_read(cx, buf);
        if read.is_ready() {
            self.moved.touch();
        }
        read
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Watched<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.io).poll_write(cx, buf);
        if written.is_ready() {
            self.moved.touch();
        }
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}
