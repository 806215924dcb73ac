//! One connection, from its first byte to its last.

use std::{future::poll_fn, io, net::SocketAddr, pin::Pin, sync::Arc, time::Duration};

use bytes::{Bytes, BytesMut};
use hyper::server::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    sync::OwnedSemaphorePermit,
};

use super::{
    Asked, Limits, PeerCertificate,
    activity::Activity,
    ask::{Ask, Facts},
    io::{Reads, Watched},
    timer::Timer,
    tls::{Acceptor, Secured},
    watch::{Stage, Watch},
};
use crate::{BoxError, client_ip::PeerAddr, gather::Gathered, target::Scheme};

/// A connection that was accepted.
pub(super) struct Accepted {
    pub(super) peer: SocketAddr,
    pub(super) place: Option<OwnedSemaphorePermit>,
    pub(super) watch: Watch,
}

/// What a client speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protocol {
    Http1,
    Http2,
}

impl Accepted {
    /// Serves the connection to its end.
    pub(super) async fn serve<S, B>(mut self, stream: TcpStream, tls: Option<Acceptor>, service: S)
    where
        S: Asked<B>,
        B: http_body::Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
    {
        let Some(tls) = tls else {
            return self.talk(stream, None, Scheme::Http, None, service).await;
        };
        // The handshake shares the deadline of the first head.
        if let Some(Ok(secured)) = self.watch.guard(tls.accept(stream), |_| false).await {
            let Secured { stream, protocol, certificate } = secured;
            // In a box: a connection in the clear, of which there may be thousands, has no TLS state to keep.
            Box::pin(self.talk(stream, protocol, Scheme::Https, certificate, service)).await;
        }
    }

    /// Speaks HTTP. `protocol` is what TLS negotiated; without it the first bytes tell.
    async fn talk<I, S, B>(
        self,
        io: I,
        protocol: Option<Protocol>,
        scheme: Scheme,
        certificate: Option<PeerCertificate>,
        service: S,
    ) where
        I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
        S: Asked<B>,
        B: http_body::Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
    {
        let Self { peer, place, mut watch } = self;
        let limits = Arc::clone(watch.limits());
        let activity = Arc::clone(watch.activity());
        let watched = Watched::new(Gathered::new(io), Arc::clone(&activity), place);
        let told = match protocol {
            Some(protocol) => Some((watched, protocol, Bytes::new())),
            None => watch.guard(tell(watched), |_| false).await.and_then(Result::ok),
        };
        let Some((io, protocol, prefix)) = told else {
            return;
        };
        let facts = Facts {
            limits: Arc::clone(&limits),
            activity: Arc::clone(&activity),
            peer: PeerAddr(peer),
            scheme,
            certificate,
        };
        let ask = Ask { service, facts: Arc::new(facts) };
        match protocol {
            Protocol::Http1 => {
                let io = TokioIo::new(io.speaks(Reads::Http1, prefix));
                let connection = http1(&limits, &activity, watch.stage())
                    .serve_connection(io, ask)
                    .with_upgrades();
                let goodbye = |it: Pin<&mut http1::UpgradeableConnection<_, _>>| {
                    it.graceful_shutdown();
                    true
                };
                if let Some(Ok(())) = watch.guard(connection, goodbye).await {
                    activity.released(); // upgraded, or gone
                }
            }
            Protocol::Http2 => {
                activity.speaks_h2();
                let io = TokioIo::new(io.speaks(Reads::Http2, prefix));
                let connection = http2(&limits, &activity).serve_connection(io, ask);
                let goodbye = |it: Pin<&mut http2::Connection<_, _, _>>| {
                    it.graceful_shutdown();
                    true
                };
                watch.guard(connection, goodbye).await;
            }
        }
    }
}

fn http1(limits: &Limits, activity: &Activity, stage: Stage) -> http1::Builder {
    let mut builder = http1::Builder::new();
    builder
        .timer(Timer(activity.clock().clone()))
        .header_read_timeout(None) // ours knows a head that drips from a client that is idle
        .keep_alive(stage == Stage::Serving)
        .max_buf_size(limits.max_header_bytes.max(8 * 1024))
        .max_header_size(limits.max_header_bytes);
    if limits.head.max_headers != 100 {
        builder.max_headers(limits.head.max_headers); // hyper's default of 100 needs no allocation
    }
    builder
}

/// hyper adds durations to instants, unchecked.
const DAY: Duration = Duration::from_secs(86_400);

fn http2(limits: &Limits, activity: &Activity) -> http2::Builder<TokioExecutor> {
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder
        .timer(Timer(activity.clock().clone()))
        .max_concurrent_streams(limits.max_streams)
        .max_header_list_size(u32::try_from(limits.max_header_bytes).unwrap_or(u32::MAX))
        .max_send_buf_size(64 * 1024) // for each stream whose client does not read
        .max_pending_accept_reset_streams(20) // RUSTSEC-2023-0034
        .max_local_error_reset_streams(100) // RUSTSEC-2024-0003
        .keep_alive_interval((limits.patience.idle / 2).min(DAY))
        .keep_alive_timeout(limits.patience.write.min(DAY));
    builder
}

/// The start of every HTTP/2 connection (RFC 9113 §3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Tells HTTP/2 with prior knowledge from HTTP/1 by the first bytes, which it gives back.
async fn tell<I>(mut io: Watched<I>) -> io::Result<(Watched<I>, Protocol, Bytes)>
where
    I: AsyncRead + Unpin,
{
    let mut seen = BytesMut::new();
    loop {
        let mut scratch = [0; 1024];
        let mut buf = ReadBuf::new(&mut scratch);
        poll_fn(|cx| Pin::new(&mut io).poll_read(cx, &mut buf)).await?;
        if buf.filled().is_empty() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        seen.extend_from_slice(buf.filled());
        if let Some(protocol) = spoken(&seen) {
            return Ok((io, protocol, seen.freeze()));
        }
    }
}

/// The protocol that begins like this, if that can be told.
fn spoken(start: &[u8]) -> Option<Protocol> {
    if start.starts_with(PREFACE) {
        Some(Protocol::Http2)
    } else if PREFACE.starts_with(start) {
        None
    } else {
        Some(Protocol::Http1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_bytes_tell_the_protocol() {
        assert_eq!(spoken(PREFACE), Some(Protocol::Http2));
        assert_eq!(spoken(b"PRI * HT"), None);
        assert_eq!(spoken(b"P"), None);
        assert_eq!(spoken(b"PUT / HTTP/1.1"), Some(Protocol::Http1));
        assert_eq!(spoken(b"PRI * HTTP/1.1\r\n"), Some(Protocol::Http1));
        assert_eq!(spoken(b"\x16\x03\x01"), Some(Protocol::Http1));
    }
}
