//! One connection, from its first byte to its last.

use std::{
    future::{Future, poll_fn},
    io,
    net::SocketAddr,
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll, ready},
    time::{Duration, Instant},
};

use bytes::{Bytes, BytesMut};
use hyper::server::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    sync::{OwnedSemaphorePermit, watch},
};

use super::{
    Asked, BoxError, Limits, PeerCertificate,
    activity::{Activity, Then},
    ask::{Ask, Facts},
    io::{Reads, Watched},
    timer::Timer,
    tls::{Acceptor, Secured},
};
use crate::{client_ip::PeerAddr, clock::Sleep, target::Scheme};

/// How far the server's shutdown has gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Stage {
    Serving,
    /// Requests in flight end, and no new ones begin.
    Draining,
    /// Time is up.
    Cut,
}

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
            let Secured {
                stream,
                protocol,
                certificate,
            } = secured;
            self.talk(stream, protocol, Scheme::Https, certificate, service)
                .await;
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
        let Self {
            peer,
            place,
            mut watch,
        } = self;
        let limits = Arc::clone(&watch.deadline.limits);
        let activity = Arc::clone(&watch.deadline.activity);
        let watched = Watched::new(io, Arc::clone(&activity), place);
        let told = match protocol {
            Some(protocol) => Some((watched, protocol, Bytes::new())),
            None => watch
                .guard(tell(watched), |_| false)
                .await
                .and_then(Result::ok),
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
        let ask = Ask {
            service,
            facts: Arc::new(facts),
        };
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

/// Ends a connection's futures at their deadlines and at the server's shutdown.
pub(super) struct Watch {
    stage: watch::Receiver<Stage>,
    deadline: Deadline,
}

impl Watch {
    /// The receiver stands for the connection: the server counts them.
    pub(super) fn new(
        activity: Arc<Activity>,
        limits: Arc<Limits>,
        stage: watch::Receiver<Stage>,
    ) -> Self {
        let deadline = Deadline {
            activity,
            limits,
            timer: None,
        };
        Self { stage, deadline }
    }

    fn stage(&self) -> Stage {
        *self.stage.borrow()
    }

    /// The future's output; `None` if it was cut. `goodbye` says it, or tells that there is nothing to say.
    async fn guard<F: Future>(
        &mut self,
        future: F,
        mut goodbye: impl FnMut(Pin<&mut F>) -> bool,
    ) -> Option<F::Output> {
        let mut future = pin!(future);
        let (mut draining, mut overdue, mut closing) = (false, false, false);
        let mut turn = pin!(after(Stage::Serving, &mut self.stage));
        let deadline = &mut self.deadline;
        let activity = Arc::clone(&deadline.activity);
        poll_fn(|cx| {
            while let Poll::Ready((now, stage)) = turn.as_mut().poll(cx) {
                if now == Stage::Cut {
                    return Poll::Ready(None);
                }
                draining = true;
                turn.set(after(now, stage));
            }
            loop {
                // before the future is polled: the answer that it may now give should say `close`
                if !closing && (overdue || draining && activity.drains()) {
                    closing = true;
                    activity.closes();
                    if !goodbye(future.as_mut()) {
                        return Poll::Ready(None);
                    }
                }
                if let Poll::Ready(output) = future.as_mut().poll(cx) {
                    return Poll::Ready(Some(output));
                }
                match ready!(deadline.poll(cx)) {
                    Then::Close if !closing => overdue = true,
                    _ => return Poll::Ready(None),
                }
            }
        })
        .await
    }
}

/// The stage that follows, or `Cut` when nobody is left to announce it.
async fn after(
    stage: Stage,
    stages: &mut watch::Receiver<Stage>,
) -> (Stage, &mut watch::Receiver<Stage>) {
    let next = stages.wait_for(|next| *next > stage).await;
    let next = next.map_or(Stage::Cut, |next| *next);
    (next, stages)
}

/// A connection's one timer, armed when the client first keeps us waiting.
struct Deadline {
    activity: Arc<Activity>,
    limits: Arc<Limits>,
    timer: Option<(Pin<Box<Sleep>>, Instant)>,
}

impl Deadline {
    /// What to do, once a deadline has passed.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Then> {
        loop {
            let Some((due, then)) = self.activity.due(&self.limits.patience) else {
                return Poll::Pending;
            };
            let clock = self.activity.clock();
            let (sleep, armed) = self
                .timer
                .get_or_insert_with(|| (Box::pin(clock.sleep_until(due)), due));
            if due < *armed {
                sleep.as_mut().reset(due);
                *armed = due;
            }
            ready!(sleep.as_mut().poll(cx));
            if due <= *armed {
                return Poll::Ready(then);
            }
            // The deadline has moved on since the timer was armed.
            sleep.as_mut().reset(due);
            *armed = due;
        }
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
