//! When a call's time is up.

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Instant,
};

use pin_project_lite::pin_project;

use crate::{
    clock::{Clock, Sleep},
    deadline::Deadline,
};

pin_project! {
    /// Waits until a moment, if there is one. It becomes a timer when it is first polled: a call that is answered at
    /// once costs none.
    pub(super) struct Timer {
        at: Option<Instant>,
        clock: Clock,
        #[pin]
        sleep: Option<Sleep>,
    }
}

impl Timer {
    pub(super) fn new(clock: Clock, deadline: Option<Deadline>) -> Self {
        Self { at: deadline.map(|it| it.0), clock, sleep: None }
    }

    /// Waits until then.
    pub(super) fn set(self: Pin<&mut Self>, deadline: Deadline) {
        let at = deadline.0;
        let mut this = self.project();
        *this.at = Some(at);
        if let Some(sleep) = this.sleep.as_mut().as_pin_mut() {
            sleep.reset(at);
        }
    }

    /// Ready when the time is up; never if there is none.
    pub(super) fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut this = self.project();
        let Some(at) = *this.at else { return Poll::Pending };
        if this.sleep.is_none() {
            this.sleep.set(Some(this.clock.sleep_until(at)));
        }
        this.sleep.as_pin_mut().map_or(Poll::Pending, |sleep| sleep.poll(cx))
    }
}
