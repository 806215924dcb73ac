//! One call for a loan, by a task of its own: whoever waits for it and leaves, the loan comes and is kept.

use std::{
    pin::pin,
    sync::{Arc, OnceLock, Weak},
};

use smallvec::SmallVec;
use tokio::sync::Notify;

use super::{Entry, Name, Shared, returns};
use crate::rate_limit::{
    sharing::lease::{Asked, Lot},
    store::{Answer, Demand, StoreError},
};

/// Where those who wait look: whether the call was answered, or why not. Who came first is woken first.
#[derive(Default)]
pub(super) struct Landing {
    outcome: OnceLock<Result<(), Arc<str>>>,
    ended: Notify,
}

impl Landing {
    /// Waits until the call has ended.
    pub(super) async fn ended(&self) -> Result<(), StoreError> {
        let mut ended = pin!(self.ended.notified());
        // In the queue before it looks.
        ended.as_mut().enable();
        if self.outcome.get().is_none() {
            ended.await;
        }
        match self.outcome.get() {
            Some(Err(cause)) => Err(StoreError::new(&**cause)),
            _ => Ok(()),
        }
    }

    fn end(&self, outcome: Result<(), Arc<str>>) {
        self.outcome.get_or_init(|| outcome);
        self.ended.notify_waiters();
    }
}

/// A call that is under way. However its task ends, the account may then ask again.
pub(super) struct Flight {
    leases: Weak<Shared>,
    name: Name,
    /// For the units that are asked for.
    demand: Demand,
    asked: Asked,
    landing: Arc<Landing>,
    /// Whether the account has yet to hear of it.
    open: bool,
    outcome: Result<(), Arc<str>>,
}

impl Flight {
    /// Those who want the same loan may wait for it from now on.
    pub(super) fn new(leases: &Arc<Shared>, name: Name, entry: &mut Entry, asked: Asked) -> Self {
        let landing = Arc::<Landing>::default();
        entry.landing = Some(Arc::clone(&landing));
        let demand = entry.demand.clone().with_units(asked.units);
        let outcome = Err("the call was dropped with its runtime".into());
        let leases = Arc::downgrade(leases);
        Self { leases, name, demand, asked, landing, open: true, outcome }
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
        let back = answer.as_ref().map_or_else(|_| SmallVec::new(), |answer| self.land(answer));
        let back = back.into_iter().map(|lot| returns::of(&self.demand, lot)).collect();
        self.outcome = answer.map(drop).map_err(|error| error.cause().to_string().into());
        drop(self);
        returns::give_back(&link, back).await;
    }

    /// Keeps the loan. What comes too late, or more than is wanted by now, is to be given back.
    fn land(&mut self, answer: &Answer) -> SmallVec<[Lot; 2]> {
        let all = || Lot::of(answer).into_iter().collect();
        let Some(leases) = self.leases.upgrade() else { return all() };
        let (now, mut desk) = (leases.now(), leases.desk());
        let Some(entry) = desk.accounts.get_mut(&self.name) else { return all() };
        self.open = false;
        let late = entry.account.land(now, self.asked, answer, entry.terms);
        late.into_iter().chain(entry.account.surplus(now, entry.terms)).collect()
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        // First the account, at which those who wait look.
        if let (true, Some(leases)) = (self.open, self.leases.upgrade()) {
            let (now, mut desk) = (leases.now(), leases.desk());
            if let Some(entry) = desk.accounts.get_mut(&self.name) {
                entry.account.lost(now, entry.terms);
            }
        }
        self.landing.end(self.outcome.clone());
    }
}
