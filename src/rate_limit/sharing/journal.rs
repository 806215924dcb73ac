//! What operators are told of a store: each change once, each failure seldom.

use std::{borrow::Cow, fmt::Display, time::Duration};

use super::{fallback::Rung, ticks::Seldom};
use crate::{clock::Clock, event, rate_limit::store::StoreError};

/// How often single failures are told.
const FAILURES: Duration = Duration::from_secs(10);

pub(super) struct Journal {
    store: Cow<'static, str>,
    failures: Seldom,
}

impl Journal {
    pub(super) fn new(store: Cow<'static, str>, clock: Clock) -> Self {
        Self { store, failures: Seldom::once_in(FAILURES, clock) }
    }

    /// The store is not asked any more.
    pub(super) fn down(&self, nodes: u32, error: &StoreError) {
        let message = format!("store failed: local share of 1/{nodes}, or what limits chose");
        self.trouble("down", &message, error);
    }

    /// The store answers again.
    pub(super) fn up(&self) {
        event::store_step(&self.store, "up", &"store is back");
    }

    /// A call failed, and the next is made nonetheless.
    pub(super) fn failed(&self, error: &StoreError) {
        if self.failures.now() {
            event::warning("rate_limit", "a call to the store failed", error);
        }
    }

    /// A limit's time on its first rung is over.
    pub(super) fn stepped(&self, limit: &str, rung: Rung) {
        let message = format!("store is still down: the limit falls back to {}", rung.name());
        self.trouble(rung.name(), &message, &limit);
    }

    /// What was admitted in the outage has been charged.
    pub(super) fn replayed(&self, keys: usize) {
        event::store_step(
            &self.store,
            "replayed",
            &format_args!("accounting of {keys} keys replayed"),
        );
    }

    /// What did not fit into the memory will not be charged.
    pub(super) fn dropped(&self, admissions: u64) {
        let message = format!("accounting of {admissions} admissions dropped");
        self.trouble("dropped", &message, &"more keys than are remembered in an outage");
    }

    fn trouble(&self, step: &'static str, message: &str, cause: &dyn Display) {
        event::store_trouble(&self.store, step, &message, cause);
    }
}
