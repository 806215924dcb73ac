//! Shared limits at the edge: each node borrows a batch of a key's units, and spends it without asking anybody.
//!
//! 1. A request that finds its units here is decided at once. One that does not, waits for a loan, together with
//!    all others that want one for this key: one call is under way for a key.
//! 2. A loan is as large as what the key took here within the last life, at most so much, or what is waited for. A
//!    busy key's next one is asked for before the last is spent.
//! 3. A loan ends one life after it was asked for. What is left of it is given back.
//! 4. That the store had nothing is remembered until it would have some, so that an offender costs no calls.
//!
//! What cannot be lent is asked of the store, request by request: turns of a leaky bucket, what a penalty box looks
//! at, a request that costs more than a loan may hold, keys beyond the most that are kept. So is everything outside
//! of a Tokio runtime, because loans are fetched and given back by tasks: one for each call, one for all returns.

mod flight;
mod returns;
mod step;
mod wait;

use std::{
    collections::HashMap,
    hash::{BuildHasher, RandomState},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use smallvec::SmallVec;
use tokio::runtime::Handle;

use self::{
    flight::{Flight, Landing},
    returns::{Back, Round, Visits},
    wait::Waiter,
};
use super::{
    Taken, exact,
    lease::{Account, Terms},
    link::Link,
};
use crate::rate_limit::{
    quota::{Algorithm, Quota},
    ruling::Ruling,
    store::Demand,
    timeline::Timeline,
};

/// How units are borrowed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Settings {
    /// How long a loan lasts.
    pub(super) life: Duration,
    /// The most that a node holds of a key; a tenth of its quota if it is not set.
    pub(super) most: Option<u64>,
    /// Of how many keys.
    pub(super) keys: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self { life: Duration::from_millis(500), most: None, keys: 65_536 }
    }
}

/// The loans of one layer on this node. See the [module docs](self).
pub(super) struct Leased(Arc<Shared>);

struct Shared {
    link: Arc<Link>,
    timeline: Timeline,
    settings: Settings,
    secrets: [RandomState; 2],
    // Held for a few instructions.
    desk: Mutex<Desk>,
}

#[derive(Default)]
struct Desk {
    accounts: HashMap<Name, Entry>,
    visits: Visits,
    /// To be begun once the desk is let go: a runtime that ends drops them at once, and then they come back to it.
    tasks: Vec<Task>,
}

enum Task {
    Flight(Flight),
    Round(Round),
    Return(Arc<Link>, Back),
}

/// A key under a quota: 128 bits under two secrets, so that nobody can make two of them meet.
type Name = [u64; 2];

struct Entry {
    /// What is asked of the store, but for the units.
    demand: Demand,
    terms: Terms,
    account: Account,
    landing: Option<Arc<Landing>>,
}

/// A demand and the terms of its loans; `None` for what has no limit.
type Line = Option<(Name, Terms)>;
type Lines = SmallVec<[Line; 2]>;

/// Which accounts a request waits for, with how many units, and where it sees that it need not any more.
type Waits = SmallVec<[(Name, u64, Arc<Landing>); 2]>;

/// What became of a request for now.
enum Step {
    Said(Ruling),
    /// It waits.
    Wait(Waits),
    /// Only the store can tell.
    Exact,
}

impl Leased {
    pub(super) fn new(link: Arc<Link>, settings: Settings) -> Self {
        let timeline = Timeline::of(link.clock().clone());
        let (secrets, desk) = Default::default();
        Self(Arc::new(Shared { link, timeline, settings, secrets, desk }))
    }

    /// Takes from all demands, or from none.
    pub(super) fn take(&self, demands: &[Demand]) -> Taken {
        let Some(lines) = self.0.lines(demands) else {
            return exact::take(&self.0.link, demands);
        };
        match self.0.step(demands, &lines, None) {
            Step::Said(ruling) => Taken::Now(Ok(ruling)),
            Step::Exact => exact::take(&self.0.link, demands),
            Step::Wait(waits) => {
                let waiter = Waiter::new(Arc::clone(&self.0), waits);
                Taken::Later(Box::pin(wait::wait(waiter, demands.to_vec(), lines)))
            }
        }
    }
}

impl Shared {
    /// `None` if one of them cannot be met with loans.
    fn lines(&self, demands: &[Demand]) -> Option<Lines> {
        demands.iter().map(|demand| self.line(demand)).collect()
    }

    fn line(&self, demand: &Demand) -> Option<Line> {
        let quota = demand.quota();
        if quota.algorithm() == Algorithm::Unlimited {
            return Some(None);
        }
        let terms = Terms::of(quota, self.settings.life, self.settings.most)?;
        let lendable = demand.units() <= terms.most;
        lendable.then(|| Some((self.name(quota, demand), terms)))
    }

    fn name(&self, quota: Quota, demand: &Demand) -> Name {
        self.secrets.each_ref().map(|it| it.hash_one((demand.limit(), quota, demand.key())))
    }

    fn now(&self) -> u64 {
        self.timeline.moment(false).now
    }

    fn desk(&self) -> MutexGuard<'_, Desk> {
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Task {
    fn begin(self) {
        if let Ok(runtime) = Handle::try_current() {
            match self {
                Self::Flight(flight) => drop(runtime.spawn(flight.fly())),
                Self::Round(round) => drop(runtime.spawn(round.go())),
                Self::Return(link, back) => {
                    drop(runtime.spawn(async move { returns::give_back(&link, back).await }));
                }
            }
        }
    }
}

impl Entry {
    fn new(demand: Demand, terms: Terms) -> Self {
        Self { demand, terms, account: Account::default(), landing: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_takes_less_than_half_a_kibibyte() {
        let bytes = size_of::<(Name, Entry)>() + size_of::<Landing>() + size_of::<(u64, Name)>();
        assert!(bytes <= 512, "{bytes}");
    }
}
