//! One request sent and one response head awaited, within the times that the settings allow.
//!
//! Written out as a future because it lies in the box that every exchange allocates: as an async function it would
//! hold the request twice.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
    time::{Duration, Instant},
};

use http::{Request, Response};
use hyper::{body::Incoming, client::conn::TrySendError};
use pin_project_lite::pin_project;

use super::{
    Settings,
    body::{RequestBody, Turn, Upload},
    error::{ClientError, ClientErrorKind},
    lease::Lease,
};

pin_project! {
    pub(super) struct Exchange<'a, F> {
        #[pin]
        sending: F,
        settings: &'a Settings,
        lease: &'a mut Lease,
        upload: Option<&'a Upload>,
        total: Option<Instant>,
        look: Duration,
        deadline: Instant,
    }
}

/// An exchange over this connection, of which `sending` is the sending. With an upload, whose turn it is changes
/// without a word, so the deadline is looked at again at the shorter of the two times.
pub(super) fn exchange<'a, F>(
    sending: F,
    settings: &'a Settings,
    lease: &'a mut Lease,
    upload: Option<&'a Upload>,
    total: Option<Instant>,
) -> Exchange<'a, F> {
    let look = match upload {
        Some(_) => settings.first_byte.min(settings.idle),
        None => settings.first_byte,
    };
    let deadline = settings.clock.now() + look;
    Exchange { sending, settings, lease, upload, total, look, deadline }
}

impl<F> Future for Exchange<'_, F>
where
    F: Future<Output = Result<Response<Incoming>, TrySendError<Request<RequestBody>>>>,
{
    type Output = Result<Response<Incoming>, Failure>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        if let Poll::Ready(answer) = this.sending.poll(cx) {
            return Poll::Ready(answer.map_err(|error| Failure::of(error, *this.upload)));
        }
        let clock = &this.settings.clock;
        loop {
            let limit = this.total.map_or(*this.deadline, |total| total.min(*this.deadline));
            ready!(this.lease.timer().poll(clock, limit, cx));
            let now = clock.now();
            if this.total.is_some_and(|total| total <= now) {
                return Poll::Ready(Err(Failure::timeout(ClientErrorKind::TotalTimeout)));
            }
            match due(this.settings, *this.upload) {
                (Some(due), _) if due > now => *this.deadline = due.min(now + *this.look),
                (_, kind) => return Poll::Ready(Err(Failure::timeout(kind))),
            }
        }
    }
}

/// Until when who acts next has time, if that has moved since the request began, and what it is if not kept.
fn due(settings: &Settings, upload: Option<&Upload>) -> (Option<Instant>, ClientErrorKind) {
    match upload.map(Upload::turn) {
        None => (None, ClientErrorKind::FirstByteTimeout),
        Some((Turn::Origin, since)) => {
            let due = since + settings.first_byte;
            (Some(due), ClientErrorKind::FirstByteTimeout)
        }
        Some((Turn::Caller, since)) => {
            let due = since + settings.idle;
            (Some(due), ClientErrorKind::RequestStalled)
        }
    }
}

/// Why there is no response.
pub(super) enum Failure {
    /// Nothing of the request was written: here it is.
    Unsent(Box<Request<RequestBody>>, ClientError),
    Sent(ClientError),
}

impl Failure {
    /// The caller's own error, if its body failed; else what the connection says.
    pub(super) fn of(
        mut error: TrySendError<Request<RequestBody>>,
        upload: Option<&Upload>,
    ) -> Self {
        let unsent = error.take_message();
        let error = match upload.and_then(Upload::fault) {
            Some(fault) => ClientError::new(ClientErrorKind::RequestBody, fault),
            None => ClientError::from(error.into_error()),
        };
        match unsent {
            Some(request) => Self::Unsent(Box::new(request), error),
            None => Self::Sent(error),
        }
    }

    fn timeout(kind: ClientErrorKind) -> Self {
        Self::Sent(kind.into())
    }
}
