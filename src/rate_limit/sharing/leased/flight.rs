//! One call for a loan, by a task of its own: whoever waits for it and leaves, the loan comes and is kept.

use std::sync::{Arc, Weak};

use tokio::sync::watch;

use super::{Entry, Name, Shared, returns};
use crate::rate_limit::{
    sharing::lease::{Asked, Lot},
    store::{Answer, Demand, StoreError},
};

/// Where those who wait look: whether the call was answered, or why not.
pub(super) type Landing = watch::Receiver<Option<Result<(), Arc<str>>>>;

/// Waits until the call has ended.
pub(super) async fn landed(mut landing: Landing) -> Result<(), StoreError> {
    match landing.wait_for(Option::is_some).await.as_deref() {
        Ok(Some(Ok(()))) => Ok(()),
        Ok(Some(Err(cause))) => Err(StoreError::new(&**cause)),
        _ => Err(StoreError::new("the call was dropped with its runtime")),
    }
}

/// A call that is under way. However its task ends, the account may then ask again.
pub(super) struct Flight {
    leases: Weak<Shared>,
    name: Name,
    /// For the units that are asked for.
    demand: Demand,
    asked: Asked,
    landing: watch::Sender<Option<Result<(), Arc<str>>>>,
    /// Whether the account has yet to hear of it.
    open: bool,
}

impl Flight {
    /// Those who want the same loan may wait for it from now on.
    pub(super) fn new(leases: &Arc<Shared>, name: Name, entry: &mut Entry, asked: Asked) -> Self {
        let (landing, seen) = watch::channel(None);
        entry.landing = Some(seen);
        let demand = entry.demand.clone().with_units(asked.units);
        Self { leases: Arc::downgrade(leases), name, demand, asked, landing, open: true }
    }

    /// Asks.
    pub(super) async fn fly(mut self) {
        let Some(leases) = self.leases.upgrade() else { return };
        let link = Arc::clone(&leases.link);
        // The last handle gives all back: no call may keep it from that.
        drop(leases);
        let demand = self.demand.clone();
        let answer = match link.call(|store| store.borrow(demand)) {
            Ok(call) => call.await,
            Err(error) => Err(error),
        };
        let late = answer.as_ref().ok().and_then(|answer| self.land(answer));
        let back = late.map(|lot| returns::of(&self.demand, lot)).into_iter().collect();
        self.end(answer.map(drop));
        returns::give_back(&link, back).await;
    }

    /// Keeps the loan. What comes too late, or when nobody is there any more, is to be given back.
    fn land(&mut self, answer: &Answer) -> Option<Lot> {
        let Some(leases) = self.leases.upgrade() else { return Lot::of(answer) };
        let (now, mut desk) = (leases.now(), leases.desk());
        let Some(entry) = desk.accounts.get_mut(&self.name) else { return Lot::of(answer) };
        self.open = false;
        entry.account.land(now, self.asked, answer, entry.terms)
    }

    /// Tells those who wait.
    fn end(self, outcome: Result<(), StoreError>) {
        let outcome = outcome.map_err(|error| error.to_string().into());
        let landing = self.landing.clone();
        // First the account, which they look at.
        drop(self);
        landing.send_replace(Some(outcome));
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        if let (true, Some(leases)) = (self.open, self.leases.upgrade()) {
            let (now, mut desk) = (leases.now(), leases.desk());
            if let Some(entry) = desk.accounts.get_mut(&self.name) {
                entry.account.lost(now, entry.terms);
            }
        }
    }
}
