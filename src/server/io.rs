//! A connection's bytes, with a note taken of who waits for whom.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::{Buf, Bytes};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    sync::OwnedSemaphorePermit,
};

use super::{activity::Activity, parser};

/// How much of an unread request a closing connection takes in before it resets.
const LINGER_BYTES: usize = 256 * 1024;

/// A transport whose waits are noted in the connection's [`Activity`].
///
/// It holds the connection's place among the permitted ones, also after an upgrade.
pub(super) struct Watched<I> {
    io: I,
    /// What was read to tell the protocol.
    prefix: Bytes,
    activity: Arc<Activity>,
    reads: Reads,
    blocked: bool,
    linger: usize,
    /// What goes out instead of the parser's answer, and how many bytes of that it stands for.
    instead: Option<(Bytes, usize)>,
    _place: Option<OwnedSemaphorePermit>,
}

/// What arriving bytes mean.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Reads {
    /// The protocol is not known yet.
    Preface,
    Http1,
    Http2,
}

impl<I> Watched<I> {
    pub(super) fn new(io: I, activity: Arc<Activity>, place: Option<OwnedSemaphorePermit>) -> Self {
        Self {
            io,
            prefix: Bytes::new(),
            activity,
            reads: Reads::Preface,
            blocked: false,
            linger: LINGER_BYTES,
            instead: None,
            _place: place,
        }
    }

    /// The protocol is known; `prefix` is read again.
    pub(super) fn speaks(mut self, reads: Reads, prefix: Bytes) -> Self {
        self.prefix = prefix;
        self.reads = reads;
        self
    }

    /// Notes whether the client takes what we write.
    fn note<T>(&mut self, written: Poll<T>) -> Poll<T> {
        let blocked = written.is_pending();
        if blocked != self.blocked {
            self.blocked = blocked;
            match blocked {
                true => self.activity.write_blocked(),
                false => self.activity.write_moved(),
            }
        }
        written
    }
}

impl<I: AsyncWrite + Unpin> Watched<I> {
    /// Whether hyper is writing an answer of its parser's: no request is in flight that could have one.
    fn is_parsers(&self, buf: &[u8]) -> bool {
        self.instead.is_some()
            || self.reads == Reads::Http1 && parser::may_be_refusal(buf) && self.activity.is_quiet()
    }

    /// Writes an answer with a document, and then says that `buf` has been written.
    fn poll_instead(&mut self, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let (rest, stands_for) =
            self.instead.get_or_insert_with(|| (parser::refusal(buf), buf.len()));
        while !rest.is_empty() {
            match ready!(Pin::new(&mut self.io).poll_write(cx, rest))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                written => rest.advance(written),
            }
        }
        let stands_for = *stands_for;
        self.instead = None;
        Poll::Ready(Ok(stands_for))
    }
}

impl<I: AsyncRead + Unpin> AsyncRead for Watched<I> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.prefix.is_empty() {
            let length = self.prefix.len().min(buf.remaining());
            buf.put_slice(&self.prefix[..length]);
            self.prefix.advance(length);
            return Poll::Ready(Ok(()));
        }
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.io).poll_read(cx, buf))?;
        match buf.filled().len() > before {
            true if self.reads == Reads::Http1 => self.activity.head_bytes(),
            true => {}
            false => self.linger = 0, // the client has said all
        }
        Poll::Ready(Ok(()))
    }
}

impl<I: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Watched<I> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = match self.is_parsers(buf) {
            true => self.poll_instead(cx, buf),
            false => Pin::new(&mut self.io).poll_write(cx, buf),
        };
        self.note(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = match bufs.first() {
            Some(first) if self.is_parsers(first) => self.poll_instead(cx, first),
            _ => Pin::new(&mut self.io).poll_write_vectored(cx, bufs),
        };
        self.note(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.io).poll_flush(cx);
        if flushed.is_ready() && self.reads == Reads::Http1 {
            self.activity.flushed();
        }
        self.note(flushed)
    }

    /// Says that we are done, then reads on for a while what the client still sends: to close a socket with
    /// unread bytes resets the connection, and the reset can overtake our answer (RFC 9112 §9.6).
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.io).poll_shutdown(cx))?;
        let mut scratch = [0; 4096];
        while self.linger > 0 && self.reads == Reads::Http1 && self.activity.lingers() {
            let mut buf = ReadBuf::new(&mut scratch);
            match ready!(Pin::new(&mut self.io).poll_read(cx, &mut buf)) {
                Ok(()) if !buf.filled().is_empty() => {
                    self.linger = self.linger.saturating_sub(buf.filled().len());
                }
                _ => self.linger = 0,
            }
        }
        Poll::Ready(Ok(()))
    }
}
