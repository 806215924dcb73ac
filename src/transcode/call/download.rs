//! An answer that is a stream: the service's messages become records of JSON, or content as it is, while the client
//! reads them.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue};
use http_body::Body;
use pin_project_lite::pin_project;

use super::{
    Call,
    failure::{self, Failure},
    timer::Timer,
    writing::Writing,
};
use crate::BoxError;

pin_project! {
    /// The service's body, read no faster than the client reads. Dropped at its end, at the first failure, and with
    /// the client: each cancels the call.
    pub(super) struct Download<B> {
        #[pin]
        body: Option<B>,
        #[pin]
        timer: Timer,
        #[pin]
        heartbeat: Timer,
        writing: Writing,
    }
}

enum Step {
    Data(Bytes),
    End,
    Failed(Failure),
}

impl<B> Download<B>
where
    B: Body<Data = Bytes, Error: Into<BoxError>>,
{
    /// `head` is that of the answer with this body; without one, that is all of the answer.
    pub(super) fn new(call: Call, head: &HeaderMap, body: Option<B>) -> Self {
        let timer = call.timer();
        let clock = call.plan.settings.clock.clone();
        let writing = Writing::new(call, head);
        let heartbeat = Timer::new(clock, writing.next_heartbeat());
        Self { body, timer, heartbeat, writing }
    }

    pub(super) fn call(&self) -> &Call {
        &self.writing.call
    }

    /// The media type of raw content. Known once the answer has begun.
    pub(super) fn media(&self) -> Option<HeaderValue> {
        self.writing.media()
    }

    /// Ready once it is known whether the answer begins, or the call has failed.
    ///
    /// That is: with the first message, or the status. But a client that is still sending may wait for the head before
    /// it goes on, and one of an event stream is told that there is one after a heartbeat's period.
    pub(super) fn poll_begin(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), Failure>> {
        let first = match self.as_mut().poll_step(cx) {
            Poll::Ready(Step::Failed(failure)) => return Poll::Ready(Err(failure)),
            Poll::Ready(Step::Data(data)) => Some(data),
            Poll::Ready(Step::End) => None,
            Poll::Pending if self.writing.begins_at_once() => None,
            Poll::Pending => match self.as_mut().poll_heartbeat(cx) {
                Poll::Ready(comment) => Some(comment),
                Poll::Pending => return Poll::Pending,
            },
        };
        self.project().writing.first = first;
        Poll::Ready(Ok(()))
    }

    /// What the client reads next.
    pub(super) fn poll_data(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, BoxError>>> {
        if let Some(first) = self.as_mut().project().writing.first.take() {
            return Poll::Ready(Some(Ok(first)));
        }
        match self.as_mut().poll_step(cx) {
            Poll::Ready(Step::Data(data)) => Poll::Ready(Some(Ok(data))),
            Poll::Ready(Step::End) => Poll::Ready(self.project().writing.end().map(Ok)),
            Poll::Ready(Step::Failed(failure)) => {
                Poll::Ready(Some(self.project().writing.fail(&failure)))
            }
            Poll::Pending => self.poll_heartbeat(cx).map(|comment| Some(Ok(comment))),
        }
    }

    fn poll_step(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Step> {
        let mut this = self.project();
        // Asked first: a service that always has more to say has no longer than others.
        if this.body.is_some() && this.timer.as_mut().poll(cx).is_ready() {
            this.writing.interrupted(true, cx);
        }
        loop {
            if let Some(data) = this.writing.data() {
                if let Some(next) = this.writing.next_heartbeat() {
                    this.heartbeat.set(next);
                }
                return Poll::Ready(Step::Data(data));
            }
            if let Some(failure) = this.writing.take_failure() {
                this.body.set(None);
                return Poll::Ready(Step::Failed(failure));
            }
            let Some(body) = this.body.as_mut().as_pin_mut() else {
                return Poll::Ready(Step::End);
            };
            match body.poll_frame(cx) {
                Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                    Ok(data) => this.writing.frames.push(data),
                    Err(frame) => {
                        let trailers = frame.into_trailers().unwrap_or_default();
                        this.writing.ended(trailers, cx);
                        this.body.set(None);
                    }
                },
                Poll::Ready(Some(Err(error))) => {
                    this.writing.failed(failure::of_body(error.into()), cx);
                }
                Poll::Ready(None) => {
                    this.writing.failed(failure::without_status().into(), cx);
                }
                Poll::Pending => {
                    if !this.writing.interrupted(false, cx) {
                        return Poll::Pending;
                    }
                }
            }
        }
    }

    fn poll_heartbeat(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Bytes> {
        let mut this = self.project();
        ready!(this.heartbeat.as_mut().poll(cx));
        if let Some(next) = this.writing.next_heartbeat() {
            this.heartbeat.set(next);
        }
        Poll::Ready(this.writing.heartbeat().unwrap_or_default())
    }
}
