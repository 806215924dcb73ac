//! How long a poll may read on.

use std::task::{Context, Poll};

/// How many frames of a body are read in one poll.
const FRAMES: u32 = 128;

/// The frames of a body that may be read in this poll. A body that is always ready, and brings nothing that could be
/// passed on, would keep the thread from all others, and the call from its deadline.
pub(super) struct Turn(u32);

impl Turn {
    pub(super) fn new() -> Self {
        Self(FRAMES)
    }

    /// Ready if one more may be read; otherwise the task is polled again after others.
    pub(super) fn poll(&mut self, cx: &Context<'_>) -> Poll<()> {
        match self.0.checked_sub(1) {
            Some(left) => {
                self.0 = left;
                Poll::Ready(())
            }
            None => {
                cx.waker().wake_by_ref();
                Poll::Pending
            }
        }
    }
}
