//! A request that waits for loans.

use std::sync::Arc;

use super::{Lines, Shared, Step, Task, Waits};
use crate::rate_limit::{
    ruling::Ruling,
    sharing::{Taken, exact},
    store::{Demand, StoreError},
};

/// How often it waits for a loan that others then spend, before it asks for itself alone.
const TRIES: usize = 3;

/// Its place among those who wait. Whoever leaves it early, what was borrowed for it is not kept.
pub(super) struct Waiter {
    leases: Arc<Shared>,
    waits: Waits,
}

impl Waiter {
    pub(super) fn new(leases: Arc<Shared>, waits: Waits) -> Self {
        Self { leases, waits }
    }

    async fn landed(&self) -> Result<(), StoreError> {
        for (.., landing) in &self.waits {
            landing.ended().await?;
        }
        Ok(())
    }

    fn leave(&mut self) {
        let waits = std::mem::take(&mut self.waits);
        if waits.is_empty() {
            return;
        }
        let (now, mut desk) = (self.leases.now(), self.leases.desk());
        desk.leave(&waits);
        self.leases.trim(&mut desk, now, &waits);
        let tasks = std::mem::take(&mut desk.tasks);
        drop(desk);
        tasks.into_iter().for_each(Task::begin);
    }
}

/// As [`spend`], within the time that one decision has: several calls may be waited for in turn.
pub(super) async fn wait(
    waiter: Waiter,
    demands: Vec<Demand>,
    lines: Lines,
) -> Result<Ruling, StoreError> {
    let link = Arc::clone(&waiter.leases.link);
    link.in_time(spend(waiter, demands, lines)).await
}

/// Waits for the loans that are under way, spends from them, or waits for the next.
async fn spend(
    mut waiter: Waiter,
    demands: Vec<Demand>,
    lines: Lines,
) -> Result<Ruling, StoreError> {
    for _ in 0..TRIES {
        waiter.landed().await?;
        let waited = std::mem::take(&mut waiter.waits);
        match waiter.leases.step(&demands, &lines, Some(waited)) {
            Step::Said(ruling) => return Ok(ruling),
            Step::Wait(next) => waiter.waits = next,
            Step::Exact => break,
        }
    }
    waiter.leave();
    match exact::take(&waiter.leases.link, &demands) {
        Taken::Now(ruling) => ruling,
        Taken::Later(ruling) => ruling.await,
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        self.leave();
    }
}
