//! Bodies on their way out and in.

use std::{
    fmt,
    pin::Pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU8, AtomicU64, Ordering::Relaxed},
    },
    task::{Context, Poll, ready},
    time::{Duration, Instant},
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use super::{
    Settings,
    error::{ClientError, ClientErrorKind},
    lease::Lease,
};
use crate::{BoxError, clock::Clock};

/// The one body that connections send: nothing, or the caller's in a box.
///
/// One type, so that one pool serves requests of any body; no box where there is nothing in it.
pub(super) enum RequestBody {
    Empty,
    Caller(Pin<Box<dyn Body<Data = Bytes, Error = BoxError> + Send>>),
}

impl RequestBody {
    /// The caller's body, and what can be seen of its progress.
    pub(super) fn of<B>(body: B, clock: &Clock) -> (Self, Option<Arc<Upload>>)
    where
        B: Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
    {
        if body.is_end_stream() {
            return (Self::Empty, None);
        }
        let upload = Upload::begin(clock);
        let watched = Watched { body, upload: Arc::clone(&upload) };
        (Self::Caller(Box::pin(watched)), Some(upload))
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        match self.get_mut() {
            Self::Empty => Poll::Ready(None),
            Self::Caller(body) => body.as_mut().poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Empty => true,
            Self::Caller(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Empty => SizeHint::with_exact(0),
            Self::Caller(body) => body.size_hint(),
        }
    }
}

impl fmt::Debug for RequestBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RequestBody")
    }
}

/// What whoever waits for the response knows of the request's body.
pub(super) struct Upload {
    clock: Clock,
    start: Instant,
    state: AtomicU8,
    /// Milliseconds from `start` to the last frame.
    progress: AtomicU64,
    fault: Mutex<Option<BoxError>>,
}

/// Who has to act next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// The origin: all is sent, or it does not take what there is.
    Origin,
    /// The caller: nothing more has come to be sent.
    Caller,
}

impl Upload {
    fn begin(clock: &Clock) -> Arc<Self> {
        Arc::new(Self {
            clock: clock.clone(),
            start: clock.now(),
            state: AtomicU8::new(Turn::Origin as u8),
            progress: AtomicU64::new(0),
            fault: Mutex::new(None),
        })
    }

    /// Who has to act, and since when.
    pub(super) fn turn(&self) -> (Turn, Instant) {
        let turn = match self.state.load(Relaxed) == Turn::Caller as u8 {
            true => Turn::Caller,
            false => Turn::Origin,
        };
        let progress = Duration::from_millis(self.progress.load(Relaxed));
        (turn, self.start + progress)
    }

    /// The error that the caller's body ended with.
    pub(super) fn fault(&self) -> Option<BoxError> {
        self.fault.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn moved(&self) {
        let elapsed = self.clock.now().saturating_duration_since(self.start);
        let millis = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX);
        self.progress.store(millis, Relaxed);
        self.state.store(Turn::Origin as u8, Relaxed);
    }

    fn failed(&self, fault: BoxError) {
        *self.fault.lock().unwrap_or_else(PoisonError::into_inner) = Some(fault);
    }
}

pin_project! {
    /// The caller's body; notes its progress and keeps its error for whoever waits.
    struct Watched<B> {
        #[pin]
        body: B,
        upload: Arc<Upload>,
    }
}

impl<B> Body for Watched<B>
where
    B: Body<Data = Bytes, Error: Into<BoxError>>,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = self.project();
        let Poll::Ready(frame) = this.body.poll_frame(cx) else {
            this.upload.state.store(Turn::Caller as u8, Relaxed);
            return Poll::Pending;
        };
        this.upload.moved();
        Poll::Ready(frame.map(|frame| {
            frame.map_err(|fault| {
                this.upload.failed(fault.into());
                "the request body failed".into()
            })
        }))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// The body of a response, as it comes in.
///
/// It ends with an error if the connection breaks or an idle or total timeout passes, so that a body that was
/// cut never looks whole. Dropping it before its end closes an HTTP/1.1 connection and resets an HTTP/2 stream.
pub struct IncomingBody {
    incoming: hyper::body::Incoming,
    /// The connection, until the body has ended.
    lease: Option<Lease>,
    limits: Limits,
}

/// When the body has to make progress, and to end.
#[derive(Debug)]
pub(super) struct Limits {
    clock: Clock,
    idle: Duration,
    total: Option<Instant>,
    /// Set while the body is waited for.
    deadline: Option<Instant>,
}

impl Limits {
    pub(super) fn new(settings: &Settings, total: Option<Instant>) -> Self {
        Self { clock: settings.clock.clone(), idle: settings.idle, total, deadline: None }
    }
}

impl IncomingBody {
    pub(super) fn new(incoming: hyper::body::Incoming, lease: Lease, limits: Limits) -> Self {
        let mut body = Self { incoming, lease: Some(lease), limits };
        body.release_if_done();
        body
    }

    /// Gives the connection back as soon as the last octet has been read from it.
    fn release_if_done(&mut self) {
        if self.incoming.is_end_stream() || self.lease.as_ref().is_some_and(Lease::is_free) {
            self.release();
        }
    }

    fn release(&mut self) {
        if let Some(lease) = self.lease.take() {
            lease.give_back();
        }
    }

    fn poll_deadline(&mut self, cx: &mut Context<'_>) -> Poll<ClientErrorKind> {
        let Some(lease) = &mut self.lease else {
            return Poll::Pending; // all of it has been received
        };
        let limits = &mut self.limits;
        let idle = *limits.deadline.get_or_insert_with(|| limits.clock.now() + limits.idle);
        let (deadline, kind) = match limits.total {
            Some(total) if total <= idle => (total, ClientErrorKind::TotalTimeout),
            _ => (idle, ClientErrorKind::IdleTimeout),
        };
        ready!(lease.timer().poll(&limits.clock, deadline, cx));
        Poll::Ready(kind)
    }
}

impl Body for IncomingBody {
    type Data = Bytes;
    type Error = ClientError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, ClientError>>> {
        let this = self.get_mut();
        let Poll::Ready(frame) = Pin::new(&mut this.incoming).poll_frame(cx) else {
            let timeout = ready!(this.poll_deadline(cx));
            this.lease = None; // closes the connection, or resets the stream with `incoming`
            return Poll::Ready(Some(Err(timeout.into())));
        };
        this.limits.deadline = None;
        match &frame {
            None => this.release(),
            Some(Ok(_)) => this.release_if_done(),
            Some(Err(_)) => this.lease = None,
        }
        Poll::Ready(frame.map(|frame| frame.map_err(ClientError::from)))
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}

impl fmt::Debug for IncomingBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("IncomingBody")
    }
}
