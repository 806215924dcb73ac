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
mod wait;

use std::{
    collections::{HashMap, hash_map},
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
    lease::{Account, Need, Terms},
    link::Link,
};
use crate::rate_limit::{
    quota::{Algorithm, Quota},
    ruling::{Ruling, Said},
    store::{Answer, Demand, Grant},
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

    /// Decides about a request if all that it needs is here, or is known not to be; else asks for it. One that has
    /// `waited` does so no longer.
    fn step(self: &Arc<Self>, demands: &[Demand], lines: &Lines, waited: Option<Waits>) -> Step {
        let (now, mut desk) = (self.now(), self.desk());
        let first = waited.is_none();
        let waited = waited.unwrap_or_default();
        desk.leave(&waited);
        let step = self.decide(&mut desk, now, &zip(demands, lines), first);
        self.trim(&mut desk, now, &waited);
        let tasks = std::mem::take(&mut desk.tasks);
        drop(desk);
        tasks.into_iter().for_each(Task::begin);
        step.unwrap_or(Step::Exact)
    }

    /// Lets go of what nobody waits for any more.
    fn trim(&self, desk: &mut Desk, now: u64, waited: &Waits) {
        let mut back = Back::new();
        for (name, ..) in waited {
            if let Some(entry) = desk.accounts.get_mut(name) {
                let surplus = entry.account.surplus(now, entry.terms);
                back.extend(surplus.into_iter().map(|lot| returns::of(&entry.demand, lot)));
            }
        }
        if !back.is_empty() {
            desk.tasks.push(Task::Return(Arc::clone(&self.link), back));
        }
    }

    /// `None` if only the store can tell.
    fn decide(
        self: &Arc<Self>,
        desk: &mut Desk,
        now: u64,
        asks: &[Ask<'_>],
        first: bool,
    ) -> Option<Step> {
        let needs = asks.iter().map(|ask| self.open(desk, now, ask));
        let needs = needs.collect::<Option<SmallVec<[Need; 2]>>>()?;
        if first {
            desk.count(now, asks, &needs);
        }
        let both = asks.iter().zip(needs.iter().copied());
        let refused = both.clone().any(|(ask, need)| ask.refuses(need));
        if !refused && needs.contains(&Need::Ask) {
            let asking = both.filter(|(_, need)| *need == Need::Ask);
            let waits = asking.filter_map(|(ask, _)| self.fetch(desk, now, ask));
            return Some(Step::Wait(waits.collect()));
        }
        let said = both.map(|(ask, need)| self.settle(desk, now, ask, need, refused));
        Some(Step::Said(said.collect()))
    }

    /// What the demand needs, by its account, which is opened if it has none. `None` if it cannot be.
    fn open(self: &Arc<Self>, desk: &mut Desk, now: u64, ask: &Ask<'_>) -> Option<Need> {
        let Some((name, terms)) = *ask.line else { return Some(Need::None) };
        let full = desk.accounts.len() >= self.settings.keys;
        match desk.accounts.entry(name) {
            hash_map::Entry::Occupied(it) => Some(it.get().account.need(now, ask.demand.units())),
            hash_map::Entry::Vacant(_) if full || Handle::try_current().is_err() => None,
            hash_map::Entry::Vacant(place) => {
                place.insert(Entry::new(ask.demand.clone(), terms));
                desk.visits.add(now.saturating_add(terms.life), name);
                let round = desk.visits.go(self);
                desk.tasks.extend(round.map(Task::Round));
                Some(Need::Ask)
            }
        }
    }

    /// Asks for what is not here, or joins who has asked already.
    fn fetch(
        self: &Arc<Self>,
        desk: &mut Desk,
        now: u64,
        ask: &Ask<'_>,
    ) -> Option<(Name, u64, Arc<Landing>)> {
        let ((name, terms), units) = ((*ask.line)?, ask.demand.units());
        let entry = desk.accounts.get_mut(&name)?;
        entry.account.join(units);
        if let Some(asked) = entry.account.ask(now, units, terms) {
            let flight = Flight::new(self, name, entry, asked);
            desk.tasks.push(Task::Flight(flight));
        }
        let landing = entry.landing.clone().expect("a call is under way");
        Some((name, units, landing))
    }

    /// Spends what the demand takes if it can be, unless the request is refused; and what it is told.
    fn settle(
        self: &Arc<Self>,
        desk: &mut Desk,
        now: u64,
        ask: &Ask<'_>,
        need: Need,
        refused: bool,
    ) -> Said {
        let (demand, units) = (ask.demand, ask.demand.units());
        let said = |answer| Said { quota: demand.quota(), enforced: demand.is_enforced(), answer };
        let held = ask.line.and_then(|(name, _)| Some((name, desk.accounts.get_mut(&name)?)));
        let Some((name, entry)) = held else {
            return said(Answer::granted(units).leaving(u64::MAX, Duration::ZERO));
        };
        let mut grant = Grant { units, ..Grant::default() };
        if need == Need::None && !refused {
            grant.receipt = entry.account.spend(now, units);
            if let Some(asked) = entry.account.ask_ahead(now, entry.terms) {
                let flight = Flight::new(self, name, entry, asked);
                desk.tasks.push(Task::Flight(flight));
            }
        }
        let (remaining, reset) = entry.account.left(now);
        said(match need {
            Need::Dry(wait) => Answer::refused(wait).leaving(0, reset),
            Need::None | Need::Ask => Answer { verdict: Ok(grant), remaining, reset },
        })
    }
}

/// A demand and its line.
struct Ask<'a> {
    demand: &'a Demand,
    line: &'a Line,
}

fn zip<'a>(demands: &'a [Demand], lines: &'a Lines) -> SmallVec<[Ask<'a>; 2]> {
    demands.iter().zip(lines).map(|(demand, line)| Ask { demand, line }).collect()
}

impl Ask<'_> {
    /// Whether the request is refused because of it.
    fn refuses(&self, need: Need) -> bool {
        self.demand.is_enforced() && matches!(need, Need::Dry(_))
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

impl Desk {
    fn leave(&mut self, waited: &Waits) {
        for (name, units, _) in waited {
            if let Some(entry) = self.accounts.get_mut(name) {
                entry.account.leave(*units);
            }
        }
    }

    /// Counts what is asked of each account: of all, or of those alone because of which the others are not spent.
    fn count(&mut self, now: u64, asks: &[Ask<'_>], needs: &[Need]) {
        let all = needs.iter().all(|need| *need == Need::None);
        for (ask, need) in asks.iter().zip(needs) {
            if let Some((name, terms)) = *ask.line
                && (all || *need != Need::None)
                && let Some(entry) = self.accounts.get_mut(&name)
            {
                entry.account.count(now, ask.demand.units(), terms);
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
