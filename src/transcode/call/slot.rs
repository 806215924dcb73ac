//! What is wrong with a request whose body is read while the call runs: put where the answer is made.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    task::Waker,
};

use crate::rejection::Rejection;

/// Shared by the two halves of one call.
#[derive(Debug, Default)]
pub(super) struct Slot(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    fault: Option<Rejection>,
    waker: Option<Waker>,
}

impl Slot {
    /// Puts a fault, and wakes who asked for it. The first one stays.
    pub(super) fn put(&self, fault: Rejection) {
        let mut state = self.state();
        state.fault.get_or_insert(fault);
        let waker = state.waker.take();
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// The fault, if there is one; otherwise `waker` is woken once there is.
    pub(super) fn take(&self, waker: &Waker) -> Option<Rejection> {
        let mut state = self.state();
        let fault = state.fault.take();
        match &mut state.waker {
            Some(known) => known.clone_from(waker),
            none => *none = Some(waker.clone()),
        }
        fault
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
