//! One call: a client's request on its way to the service, and the answer on its way back.

mod answer;
mod collect;
mod download;
mod failure;
mod future;
mod gather;
mod head;
mod http_body;
mod input;
mod media;
mod origin;
mod plan;
mod request_body;
mod response_body;
mod slot;
mod start;
mod timer;
mod turn;
mod upload;
mod writing;

pub use future::TranscodeFuture;
pub(super) use origin::Origin;
pub(super) use plan::Plan;
pub use request_body::CallBody;
pub use response_body::TranscodeBody;
pub(super) use start::Start;

use std::{sync::Arc, task::Context};

use self::{slot::Slot, timer::Timer};
use crate::{deadline::Deadline, rejection::Rejection, transcode::stream::Framing};

/// What is known of a call while it runs.
#[derive(Debug)]
pub(super) struct Call {
    plan: Plan,
    origin: Origin,
    /// Of the answer, if that is a stream.
    framing: Framing,
    deadline: Option<Deadline>,
    /// Where the request's faults are put, if it is a stream.
    slot: Option<Arc<Slot>>,
}

impl Call {
    fn timer(&self) -> Timer {
        Timer::new(self.plan.settings.clock.clone(), self.deadline)
    }

    /// What is wrong with a request that is read while the call runs. Whoever asks is woken once there is something.
    fn fault(&self, cx: &Context<'_>) -> Option<Rejection> {
        self.slot.as_ref()?.take(cx.waker())
    }
}
