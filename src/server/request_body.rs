//! A request's content, with its failures put down to the client.

use std::{
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use hyper::body::Incoming;

use super::activity::Activity;
use crate::{
    clock::Sleep,
    rejection::{Reason, Rejection},
};

/// The content of a request, as it arrives; trailers included.
///
/// Its error is the [`Rejection`] that answers it: 400 when the content is malformed or breaks off, 408 when the
/// client stops sending, 413 when it sends more than the server takes. Whatever wraps the error, the rejection
/// stays in the chain of its sources.
pub struct RequestBody {
    body: Incoming,
    activity: Arc<Activity>,
    patience: Duration,
    left: Option<u64>,
    wait: Wait,
    done: bool,
}

enum Wait {
    /// Nothing was waited for yet: most contents arrive with their head.
    Never,
    Now(Pin<Box<Sleep>>),
    Before(Pin<Box<Sleep>>),
}

impl RequestBody {
    pub(super) fn new(
        body: Incoming,
        activity: Arc<Activity>,
        patience: Duration,
        most: Option<u64>,
    ) -> Self {
        Self { body, activity, patience, left: most, wait: Wait::Never, done: false }
    }

    /// Counts a frame against the cap.
    fn count(&mut self, frame: Frame<Bytes>) -> Result<Frame<Bytes>, Rejection> {
        if let (Some(left), Some(data)) = (&mut self.left, frame.data_ref()) {
            *left = left.checked_sub(data.len() as u64).ok_or_else(too_large)?;
        }
        Ok(frame)
    }

    /// Whether the client has kept us waiting for too long.
    fn poll_patience(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut sleep = match std::mem::replace(&mut self.wait, Wait::Never) {
            Wait::Now(sleep) => sleep,
            Wait::Never => Box::pin(self.activity.clock().sleep(self.patience)),
            Wait::Before(mut sleep) => {
                if let Some(deadline) = self.activity.clock().now().checked_add(self.patience) {
                    sleep.as_mut().reset(deadline);
                }
                sleep
            }
        };
        let elapsed = sleep.as_mut().poll(cx);
        self.wait = Wait::Now(sleep);
        elapsed
    }

    fn moved(&mut self) {
        self.wait = match std::mem::replace(&mut self.wait, Wait::Never) {
            Wait::Now(sleep) | Wait::Before(sleep) => Wait::Before(sleep),
            Wait::Never => Wait::Never,
        };
    }
}

/// The refusal of a content that is larger than the cap.
pub(super) fn too_large() -> Rejection {
    Rejection::new(
        Reason::ContentTooLarge,
        "The request's content is larger than this server takes.",
    )
}

impl http_body::Body for RequestBody {
    type Data = Bytes;
    type Error = Rejection;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Rejection>>> {
        if self.done {
            return Poll::Ready(None);
        }
        let frame = match Pin::new(&mut self.body).poll_frame(cx) {
            Poll::Ready(None) => None,
            Poll::Ready(Some(Ok(frame))) => {
                self.moved();
                Some(self.count(frame))
            }
            Poll::Ready(Some(Err(error))) => {
                Some(Err(Rejection::malformed("The request's content is malformed or broke off.")
                    .caused_by(error)))
            }
            Poll::Pending => match self.poll_patience(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(()) => Some(Err(Rejection::new(
                    Reason::RequestTimeout,
                    "The request's content did not arrive in time.",
                ))),
            },
        };
        self.done = !matches!(frame, Some(Ok(_)));
        if matches!(frame, Some(Err(_))) {
            self.activity.leaves_unread();
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.done || self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        match self.done {
            true => SizeHint::with_exact(0),
            false => self.body.size_hint(),
        }
    }
}

impl Drop for RequestBody {
    fn drop(&mut self) {
        if !http_body::Body::is_end_stream(self) {
            self.activity.leaves_unread();
        }
    }
}

impl fmt::Debug for RequestBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RequestBody")
    }
}
