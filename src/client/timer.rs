//! Deadlines that cost next to nothing while they are kept.

use std::{
    future::poll_fn,
    pin::{Pin, pin},
    task::{Context, Poll},
    time::Instant,
};

use crate::clock::{Clock, Sleep};

/// One timer for one deadline after another.
///
/// It lives as long as its connection and is moved, never made anew: to move a timer to a later time is a
/// single compare-and-swap in the runtime, to register one takes the lock of the timer wheel.
#[derive(Debug, Default)]
pub(super) struct Timer {
    sleep: Option<Pin<Box<Sleep>>>,
    deadline: Option<Instant>,
}

impl Timer {
    /// Ready once `deadline` has passed; until then the task will be woken for it.
    pub(super) fn poll(
        &mut self,
        clock: &Clock,
        deadline: Instant,
        cx: &mut Context<'_>,
    ) -> Poll<()> {
        let sleep = self.sleep.get_or_insert_with(|| Box::pin(clock.sleep_until(deadline)));
        if self.deadline.replace(deadline) != Some(deadline) {
            sleep.as_mut().reset(deadline);
        }
        sleep.as_mut().poll(cx)
    }
}

/// What the future comes to, unless `deadline` passes first.
pub(super) async fn within<F: Future>(
    clock: &Clock,
    deadline: Instant,
    future: F,
) -> Option<F::Output> {
    let (mut future, mut timer) = (pin!(future), Timer::default());
    poll_fn(|cx| match future.as_mut().poll(cx) {
        Poll::Ready(output) => Poll::Ready(Some(output)),
        Poll::Pending => timer.poll(clock, deadline, cx).map(|()| None),
    })
    .await
}
