//! Watches over a connection: its deadlines, and the server's shutdown.

use std::{
    future::{Future, poll_fn},
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll, ready},
    time::Instant,
};

use tokio::sync::watch;

use super::{
    Limits,
    activity::{Activity, Then},
};
use crate::clock::Sleep;

/// How far the server's shutdown has gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Stage {
    Serving,
    /// Requests in flight end, and no new ones begin.
    Draining,
    /// Time is up.
    Cut,
}

/// Ends a connection's futures at their deadlines and at the server's shutdown.
pub(super) struct Watch {
    stage: watch::Receiver<Stage>,
    deadline: Deadline,
}

impl Watch {
    /// The receiver stands for the connection: the server counts them.
    pub(super) fn new(
        activity: Arc<Activity>,
        limits: Arc<Limits>,
        stage: watch::Receiver<Stage>,
    ) -> Self {
        let deadline = Deadline { activity, limits, timer: None };
        Self { stage, deadline }
    }

    pub(super) fn limits(&self) -> &Arc<Limits> {
        &self.deadline.limits
    }

    pub(super) fn activity(&self) -> &Arc<Activity> {
        &self.deadline.activity
    }

    pub(super) fn stage(&self) -> Stage {
        *self.stage.borrow()
    }

    /// The future's output; `None` if it was cut. `goodbye` says it, or tells that there is nothing to say.
    pub(super) async fn guard<F: Future>(
        &mut self,
        future: F,
        mut goodbye: impl FnMut(Pin<&mut F>) -> bool,
    ) -> Option<F::Output> {
        let mut future = pin!(future);
        let (mut draining, mut overdue, mut closing) = (false, false, false);
        let mut turn = pin!(after(Stage::Serving, &mut self.stage));
        let deadline = &mut self.deadline;
        let activity = Arc::clone(&deadline.activity);
        poll_fn(|cx| {
            while let Poll::Ready((now, stage)) = turn.as_mut().poll(cx) {
                if now == Stage::Cut {
                    return Poll::Ready(None);
                }
                draining = true;
                turn.set(after(now, stage));
            }
            loop {
                // before the future is polled: the answer that it may now give should say `close`
                if !closing && (overdue || draining && activity.drains()) {
                    closing = true;
                    activity.closes();
                    if !goodbye(future.as_mut()) {
                        return Poll::Ready(None);
                    }
                }
                if let Poll::Ready(output) = future.as_mut().poll(cx) {
                    return Poll::Ready(Some(output));
                }
                match ready!(deadline.poll(cx)) {
                    Then::Close if !closing => overdue = true,
                    _ => return Poll::Ready(None),
                }
            }
        })
        .await
    }
}

/// The stage that follows, or `Cut` when nobody is left to announce it.
async fn after(
    stage: Stage,
    stages: &mut watch::Receiver<Stage>,
) -> (Stage, &mut watch::Receiver<Stage>) {
    let next = stages.wait_for(|next| *next > stage).await;
    let next = next.map_or(Stage::Cut, |next| *next);
    (next, stages)
}

/// A connection's one timer, armed when the client first keeps us waiting.
struct Deadline {
    activity: Arc<Activity>,
    limits: Arc<Limits>,
    timer: Option<(Pin<Box<Sleep>>, Instant)>,
}

impl Deadline {
    /// What to do, once a deadline has passed.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Then> {
        loop {
            let Some((due, then)) = self.activity.due(&self.limits.patience) else {
                return Poll::Pending;
            };
            let clock = self.activity.clock();
            let (sleep, armed) =
                self.timer.get_or_insert_with(|| (Box::pin(clock.sleep_until(due)), due));
            if due < *armed {
                sleep.as_mut().reset(due);
                *armed = due;
            }
            ready!(sleep.as_mut().poll(cx));
            if due <= *armed {
                return Poll::Ready(then);
            }
            // The deadline has moved on since the timer was armed.
            sleep.as_mut().reset(due);
            *armed = due;
        }
    }
}
