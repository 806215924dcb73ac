//! Deadlines that cost next to nothing while they are kept.

use std::{
    pin::Pin,
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
