//! What was not spent goes back: by one task that looks at each account when its first loan ends, and sleeps.

use std::{
    cmp::Reverse,
    collections::BinaryHeap,
    sync::{Arc, Weak},
    time::Duration,
};

use tokio::runtime::Handle;

use super::{Desk, Name, Shared};
use crate::rate_limit::{
    sharing::{lease::Lot, link::Link},
    store::{Demand, Receipt},
};

/// How many loans go back in one call, and how many accounts are looked at while the desk is held.
const BATCH: usize = 64;

/// Units, and under which receipt they were borrowed.
pub(super) type Back = Vec<(Demand, Receipt)>;

/// When to look at which account: each stands here once.
#[derive(Default)]
pub(super) struct Visits {
    due: BinaryHeap<Reverse<(u64, Name)>>,
    /// Whether somebody goes.
    going: bool,
}

impl Visits {
    pub(super) fn add(&mut self, at: u64, name: Name) {
        self.due.push(Reverse((at, name)));
    }

    /// Somebody who goes, if nobody does.
    pub(super) fn go(&mut self, leases: &Arc<Shared>) -> Option<Round> {
        let goes = std::mem::replace(&mut self.going, true);
        (!goes).then(|| Round { leases: Arc::downgrade(leases), going: true })
    }

    fn next(&mut self, now: u64) -> Option<Name> {
        let due = self.due.peek().is_some_and(|Reverse((at, _))| *at <= now);
        due.then(|| self.due.pop()).flatten().map(|Reverse((_, name))| name)
    }
}

pub(super) fn of(demand: &Demand, lot: Lot) -> (Demand, Receipt) {
    (demand.clone().with_units(lot.units), lot.receipt)
}

/// Gives back, while the store is well. What cannot be given back is lost, as it is when a node fails.
pub(super) async fn give_back(link: &Link, back: Back) {
    let mut back = back.into_iter().peekable();
    while back.peek().is_some() {
        let batch = back.by_ref().take(BATCH).collect();
        if link.chore(|store| store.refund(batch)).await.is_err() {
            return;
        }
    }
}

impl Shared {
    /// Looks at the accounts whose time has come, some at once. What goes back, and when to come again.
    fn look(&self) -> (Back, Option<Duration>) {
        let (now, mut desk) = (self.now(), self.desk());
        let mut back = Back::new();
        for _ in 0..BATCH {
            match desk.visits.next(now) {
                Some(name) => desk.look_at(name, now, &mut back),
                None => break,
            }
        }
        let next = desk.visits.due.peek().map(|Reverse((at, _))| at.saturating_sub(now));
        desk.visits.going = next.is_some();
        (back, next.map(Duration::from_nanos))
    }
}

impl Desk {
    fn look_at(&mut self, name: Name, now: u64, back: &mut Back) {
        let Some(entry) = self.accounts.get_mut(&name) else { return };
        let over = entry.account.expire(now);
        back.extend(over.into_iter().map(|lot| of(&entry.demand, lot)));
        match entry.account.next_visit(now, entry.terms) {
            Some(at) => self.visits.add(at, name),
            None => drop(self.accounts.remove(&name)),
        }
    }
}

/// Somebody who goes through the accounts. If its runtime ends, another may go.
pub(super) struct Round {
    leases: Weak<Shared>,
    /// Whether nobody else may go.
    going: bool,
}

impl Round {
    pub(super) async fn go(mut self) {
        while let Some(leases) = self.leases.upgrade() {
            let link = Arc::clone(&leases.link);
            let (back, next) = leases.look();
            self.going = next.is_some();
            // The last handle gives all back: no round may keep it from that.
            drop(leases);
            let pause = next.map(|next| link.clock().sleep(next));
            give_back(&link, back).await;
            match pause {
                Some(pause) => pause.await,
                None => return,
            }
        }
    }
}

impl Drop for Round {
    fn drop(&mut self) {
        if let (true, Some(leases)) = (self.going, self.leases.upgrade()) {
            leases.desk().visits.going = false;
        }
    }
}

/// The last one out gives everything back, as well as it can.
impl Drop for Shared {
    fn drop(&mut self) {
        let mut back = Back::new();
        for entry in self.desk().accounts.values_mut() {
            back.extend(entry.account.close().into_iter().map(|lot| of(&entry.demand, lot)));
        }
        if let Ok(runtime) = Handle::try_current()
            && !back.is_empty()
        {
            let link = Arc::clone(&self.link);
            runtime.spawn(async move { give_back(&link, back).await });
        }
    }
}
