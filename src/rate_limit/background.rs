//! Word to the store that nobody waits for.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use tokio::{runtime::Handle, sync::Semaphore};

use super::store::StoreError;
use crate::{event, guard::BoxFuture};

/// How much is under way at once. What comes on top of it is not done.
const MOST: usize = 1_024;

/// What is under way. Bounded: a store that does not answer holds so many small tasks, and no more.
pub(super) struct Background {
    permits: Arc<Semaphore>,
    /// Whether the last of it failed: one event for each time that it begins to.
    failing: AtomicBool,
}

impl Default for Background {
    fn default() -> Self {
        Self { permits: Arc::new(Semaphore::new(MOST)), failing: AtomicBool::new(false) }
    }
}

impl Background {
    /// Does this without waiting for it; `lost` is called if it could not be done.
    pub(super) fn run(
        self: &Arc<Self>,
        work: BoxFuture<Result<(), StoreError>>,
        lost: impl FnOnce() + Send + 'static,
    ) {
        let runtime = Handle::try_current().map_err(StoreError::new);
        let permit = Arc::clone(&self.permits).try_acquire_owned().map_err(StoreError::new);
        let (runtime, permit) = match (runtime, permit) {
            (Ok(runtime), Ok(permit)) => (runtime, permit),
            (Err(error), _) | (_, Err(error)) => {
                self.fails(&error);
                return lost();
            }
        };
        let this = Arc::clone(self);
        runtime.spawn(async move {
            match work.await {
                Ok(()) => this.failing.store(false, Ordering::Relaxed),
                Err(error) => {
                    this.fails(&error);
                    lost();
                }
            }
            drop(permit);
        });
    }

    fn fails(&self, error: &StoreError) {
        if !self.failing.swap(true, Ordering::Relaxed) {
            event::warning("rate_limit", "costs are not settled for now", error);
        }
    }
}
