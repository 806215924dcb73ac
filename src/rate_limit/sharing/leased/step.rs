//! What becomes of a request for now: decided by what is here, or it waits, or only the store can tell.

use std::{sync::Arc, time::Duration};

use smallvec::SmallVec;
use tokio::runtime::Handle;

use super::{
    Desk, Entry, Line, Lines, Name, Shared, Step, Task, Waits,
    flight::{Flight, Landing},
    returns::{self, Back},
};
use crate::rate_limit::{
    ruling::Said,
    sharing::lease::Need,
    store::{Answer, Demand, Grant},
};

impl Shared {
    /// Decides about a request if all that it needs is here, or is known not to be; else asks for it. One that has
    /// `waited` does so no longer.
    pub(super) fn step(
        self: &Arc<Self>,
        demands: &[Demand],
        lines: &Lines,
        waited: Option<Waits>,
    ) -> Step {
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
    pub(super) fn trim(&self, desk: &mut Desk, now: u64, waited: &Waits) {
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
            self.attend(desk)?;
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
        if let Some(entry) = desk.accounts.get(&name) {
            return Some(entry.account.need(now, ask.demand.units()));
        }
        self.attend(desk)?;
        if desk.accounts.len() >= self.settings.keys {
            return None;
        }
        desk.accounts.insert(name, Entry::new(ask.demand.clone(), terms));
        desk.visits.add(now.saturating_add(terms.life), name);
        Some(Need::Ask)
    }

    /// Sees to it that a task looks after the accounts. `None` outside of a runtime.
    fn attend(self: &Arc<Self>, desk: &mut Desk) -> Option<()> {
        Handle::try_current().ok()?;
        let round = desk.visits.go(self);
        desk.tasks.extend(round.map(Task::Round));
        Some(())
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

impl Desk {
    pub(super) fn leave(&mut self, waited: &Waits) {
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
