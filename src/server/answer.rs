//! An answer on its way out, and what ends with it.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use pin_project_lite::pin_project;

use super::activity::Activity;
use crate::body::Body;

/// One request in flight, until it is dropped.
pub(super) struct Ticket(Arc<Activity>);

impl Ticket {
    pub(super) fn new(activity: Arc<Activity>) -> Self {
        activity.request_began();
        Self(activity)
    }

    /// Whether something that the client sends will stay unread.
    pub(super) fn is_unread(&self) -> bool {
        self.0.is_unread()
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.0.response_ended();
    }
}

pin_project! {
    /// An answer's content on its way out; notes whether the client takes it.
    pub(super) struct Answer<B> {
        #[pin]
        body: Body<B>,
        ticket: Ticket,
        // The head or data was given, and no more has been asked for.
        given: bool,
    }

    impl<B> PinnedDrop for Answer<B> {
        fn drop(this: Pin<&mut Self>) {
            if this.given {
                this.ticket.0.took();
            }
        }
    }
}

impl<B> Answer<B> {
    pub(super) fn new(body: Body<B>, ticket: Ticket) -> Self {
        // An HTTP/2 client that gives no window is asked for nothing, the first frame included.
        ticket.0.gave();
        Self { body, ticket, given: true }
    }
}

impl<B: http_body::Body<Data = Bytes>> http_body::Body for Answer<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let this = self.project();
        if std::mem::take(this.given) {
            this.ticket.0.took();
        }
        let frame = ready!(this.body.poll_frame(cx));
        if matches!(frame, Some(Ok(_))) {
            *this.given = true;
            this.ticket.0.gave();
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
