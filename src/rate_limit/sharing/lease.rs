//! What one node holds of one key: units on loan, and when to ask for more.
//!
//! A loan is counted from when it was *asked* for, so it cannot outlive its life at the store, however late the
//! answer comes. All here is a pure function of an account and the time; [`leased`](super::leased) does the asking.

use std::time::Duration;

use smallvec::SmallVec;

use crate::rate_limit::{
    quota::{Algorithm, Quota},
    store::{Answer, Receipt},
    timeline::nanos,
};

/// A key is borrowed for ahead of need once so many units were asked of it within a life. Below that, what is
/// borrowed ahead is mostly given back.
const BUSY: f64 = 4.0;

/// A millisecond: a shorter life would be over before the store has answered.
const SHORTEST: u64 = 1_000_000;

/// On which terms the units of a quota are borrowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Terms {
    /// How long a loan lasts, in nanoseconds.
    pub(super) life: u64,
    /// The most that a node may hold, but for what requests wait for.
    pub(super) most: u64,
    /// How long a store that had too little is left alone, in nanoseconds.
    pub(super) pace: u64,
    /// Whether what one window granted is not for the next.
    windowed: bool,
}

impl Terms {
    /// `None` for a quota of which nothing can be lent: turns in a queue are given one by one, and a penalty box
    /// looks at each request.
    pub(super) fn of(quota: Quota, life: Duration, most: Option<u64>) -> Option<Self> {
        match quota.algorithm() {
            Algorithm::LeakyBucket { .. } | Algorithm::PenaltyBox { .. } => return None,
            _ => {}
        }
        let (size, window) = quota.policy();
        let life = nanos(life).max(SHORTEST);
        let eighth = window.map_or(life, nanos).min(life) / 8;
        Some(Self {
            life,
            most: most.unwrap_or(size.div_ceil(10)).clamp(1, size.max(1)),
            pace: eighth.max(1),
            windowed: quota.reads_the_wall(),
        })
    }
}

/// What a node holds of a key.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Account {
    lots: SmallVec<[Lot; 2]>,
    recent: Recent,
    /// What requests wait for.
    waiting: u64,
    dry: Option<Dry>,
    /// Since when a call is under way.
    asked_at: Option<u64>,
    /// Until when nothing is borrowed ahead, because the last call failed or brought less than was asked for.
    quiet_until: u64,
    told: Told,
}

/// Units of one loan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Lot {
    pub(super) units: u64,
    pub(super) receipt: Receipt,
    until: u64,
}

/// Units asked of the key within the last life, older ones fading: the size of the loan that lasts for one life.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Recent {
    units: f64,
    at: u64,
}

/// The store had too little.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Dry {
    /// Until when it is not asked again.
    until: u64,
    /// When it would have some; `None` for never.
    more_at: Option<u64>,
}

/// What the store said last was left, and when all would be there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Told {
    remaining: u64,
    full_at: u64,
}

/// What an account says to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Need {
    /// It is here.
    None,
    /// The store has to be asked.
    Ask,
    /// The store was asked and had too little; it may have more after so long.
    Dry(Option<Duration>),
}

/// A call to the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Asked {
    pub(super) units: u64,
    pub(super) at: u64,
}

impl Lot {
    /// What was lent, where nobody will spend it.
    pub(super) fn of(answer: &Answer) -> Option<Self> {
        let units = answer.units()?;
        Some(Self { units, receipt: answer.receipt(), until: 0 })
    }
}

impl Recent {
    fn at(self, now: u64, life: u64) -> f64 {
        let aged = now.saturating_sub(self.at) as f64 / life as f64;
        self.units * (1.0 - aged).max(0.0)
    }

    fn count(&mut self, now: u64, units: u64, life: u64) {
        *self = Self { units: self.at(now, life) + units as f64, at: now.max(self.at) };
    }
}

impl Account {
    /// What can be spent.
    pub(super) fn held(&self, now: u64) -> u64 {
        self.held_beyond(now)
    }

    fn held_beyond(&self, time: u64) -> u64 {
        self.lots.iter().filter(|lot| lot.until > time).map(|lot| lot.units).sum()
    }

    /// Counts what a request asks for, whether it is here or not.
    pub(super) fn count(&mut self, now: u64, units: u64, terms: Terms) {
        self.recent.count(now, units, terms.life);
    }

    /// What a request of `cost` needs. One that costs nothing needs one unit to be here.
    pub(super) fn need(&self, now: u64, cost: u64) -> Need {
        match self.dry {
            _ if self.held(now) >= cost.max(1) => Need::None,
            Some(dry) if dry.until > now => {
                let wait = |at: u64| Duration::from_nanos(at.saturating_sub(now).max(1));
                Need::Dry(dry.more_at.map(wait))
            }
            _ => Need::Ask,
        }
    }

    /// Takes what is here, from the loans that end first. The receipt is the last one's.
    pub(super) fn spend(&mut self, now: u64, cost: u64) -> Receipt {
        let (mut left, mut receipt) = (cost, Receipt::default());
        for lot in self.lots.iter_mut().filter(|lot| lot.until > now) {
            let units = left.min(lot.units);
            lot.units -= units;
            left -= units;
            receipt = lot.receipt;
            if left == 0 {
                break;
            }
        }
        self.lots.retain(|lot| lot.units > 0);
        receipt
    }

    /// A request waits for so many units.
    pub(super) fn join(&mut self, units: u64) {
        self.waiting += units;
    }

    /// It has them, or does not wait any more.
    pub(super) fn leave(&mut self, units: u64) {
        self.waiting = self.waiting.saturating_sub(units);
    }

    /// What was borrowed for those who have left without it, as far as a node may not hold it.
    pub(super) fn surplus(&mut self, now: u64, terms: Terms) -> SmallVec<[Lot; 2]> {
        let mut over = self.held(now).saturating_sub(terms.most.saturating_add(self.waiting));
        let mut surplus = SmallVec::new();
        for lot in self.lots.iter_mut().rev().filter(|lot| lot.until > now) {
            let units = over.min(lot.units);
            if units > 0 {
                surplus.push(Lot { units, ..*lot });
            }
            lot.units -= units;
            over -= units;
        }
        self.lots.retain(|lot| lot.units > 0);
        surplus
    }

    /// The call to make for those who wait, and one more of `cost`. `None` while one is under way.
    pub(super) fn ask(&mut self, now: u64, cost: u64, terms: Terms) -> Option<Asked> {
        let short = cost.max(1).saturating_sub(self.held(now));
        let more = self.wanted(now, terms).saturating_sub(self.held(now));
        self.depart(now, more.max(short), terms)
    }

    /// The call to make so that nobody has to wait, if it is time: what lasts a quarter of a life longer is less
    /// than a quarter of what a life takes.
    pub(super) fn ask_ahead(&mut self, now: u64, terms: Terms) -> Option<Asked> {
        let wanted = self.wanted(now, terms);
        let lasting = self.held_beyond(now.saturating_add(terms.life / 4));
        let more = wanted.saturating_sub(self.held(now));
        let busy = self.recent.at(now, terms.life) >= BUSY;
        let quiet = self.quiet_until > now || self.dry.is_some_and(|dry| dry.until > now);
        let due = busy && !quiet && lasting < wanted.div_ceil(4) && more >= wanted.div_ceil(4);
        due.then(|| self.depart(now, more, terms)).flatten()
    }

    fn wanted(&self, now: u64, terms: Terms) -> u64 {
        (self.recent.at(now, terms.life) as u64).clamp(1, terms.most).max(self.waiting)
    }

    fn depart(&mut self, now: u64, units: u64, terms: Terms) -> Option<Asked> {
        // What is under way and what is here are never more than the most together, or than what is waited for.
        let most = terms.most.max(self.waiting);
        let units = units.min(most.saturating_sub(self.held(now)));
        if self.asked_at.is_some() || units == 0 {
            return None;
        }
        self.asked_at = Some(now);
        Some(Asked { units, at: now })
    }

    /// The call has ended without an answer.
    pub(super) fn lost(&mut self, now: u64, terms: Terms) {
        self.asked_at = None;
        self.quiet_until = now + terms.pace;
    }

    /// The call has been answered: the loan is kept, or to be given back at once if it comes too late.
    pub(super) fn land(
        &mut self,
        now: u64,
        asked: Asked,
        answer: &Answer,
        terms: Terms,
    ) -> Option<Lot> {
        self.asked_at = None;
        let reset = nanos(answer.reset());
        self.told = Told { remaining: answer.remaining(), full_at: now.saturating_add(reset) };
        let lasts = if terms.windowed && reset > 0 { reset.min(terms.life) } else { terms.life };
        let units = match answer.verdict {
            Ok(grant) => grant.units.min(asked.units),
            Err(wait) => {
                self.dry = Some(Dry::refused(now, wait, terms));
                return None;
            }
        };
        self.dry = None;
        if units < asked.units {
            // Who asks again at once hears when there is more, or gets what trickles in meanwhile: once, not always.
            let soon = Dry { until: now + terms.pace, more_at: Some(now + terms.pace) };
            self.dry = (self.quiet_until > now).then_some(soon);
            self.quiet_until = now + terms.pace;
        }
        let lot = Lot { units, receipt: answer.receipt(), until: asked.at.saturating_add(lasts) };
        if lot.until <= now {
            return Some(lot);
        }
        self.lots.push(lot);
        // The loan of a window that ends may come after one that lasts longer.
        self.lots.sort_by_key(|lot| lot.until);
        None
    }

    /// What has not been spent in time.
    pub(super) fn expire(&mut self, now: u64) -> SmallVec<[Lot; 2]> {
        let over = self.lots.iter().filter(|lot| lot.until <= now).copied().collect();
        self.lots.retain(|lot| lot.until > now);
        over
    }

    /// All that is here.
    pub(super) fn close(&mut self) -> SmallVec<[Lot; 2]> {
        std::mem::take(&mut self.lots)
    }

    /// When to look at it again: when its first loan ends. `None` if nothing is known of it any more.
    pub(super) fn next_visit(&self, now: u64, terms: Terms) -> Option<u64> {
        let active = self.waiting > 0 || self.recent.at.saturating_add(terms.life) > now;
        let dry = self.dry.is_some_and(|dry| dry.until > now);
        let next = match (self.lots.first(), self.asked_at) {
            (Some(lot), _) => lot.until,
            (None, Some(at)) => at.saturating_add(terms.life).max(now + terms.pace),
            (None, None) if active || dry => now.saturating_add(terms.life),
            (None, None) => return None,
        };
        Some(next)
    }

    /// What is left, as far as is known here, and how long until all is there again.
    pub(super) fn left(&self, now: u64) -> (u64, Duration) {
        let reset = Duration::from_nanos(self.told.full_at.saturating_sub(now));
        (self.held(now).saturating_add(self.told.remaining), reset)
    }
}

impl Dry {
    /// A refusal is remembered until its wait has passed, and not for longer than a life: by then what others hold
    /// has been spent or given back.
    fn refused(now: u64, wait: Option<Duration>, terms: Terms) -> Self {
        let pace = terms.pace.min(terms.life);
        let until = now + wait.map_or(terms.life, nanos).clamp(pace, terms.life);
        Self { until, more_at: wait.map(|wait| now.saturating_add(nanos(wait))) }
    }
}

#[cfg(test)]
mod tests;
