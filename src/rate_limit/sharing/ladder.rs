//! What limits say while the store cannot be asked: each by its own fallback, all together.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use smallvec::SmallVec;

use super::{
    fallback::{Fallback, Rung},
    ledger::{Entry, Ledger},
    link::{Link, Outage},
};
use crate::{
    rate_limit::{
        algorithm::Moment,
        limit::Limit,
        memory::{
            self, Ask,
            table::{Fingerprint, Table},
        },
        quota::Quota,
        ruling::{Ruling, Said},
        store::{Answer, Demand, StoreError},
        timeline::{Timeline, nanos},
    },
    rejection::Rejection,
};

/// The shares of this node, and what it has admitted from them.
pub(super) struct Ladder {
    pub(super) link: Arc<Link>,
    pub(super) timeline: Timeline,
    steps: Vec<Step>,
    ledger: Mutex<Debts>,
    /// As many as the ledger has: read without its lock.
    debtors: AtomicUsize,
    pub(super) replaying: AtomicBool,
}

/// A limit's part.
struct Step {
    fallback: Fallback,
    share: Table,
    /// The outage in which it was told that the limit has left its first rung.
    told: AtomicU64,
}

/// Whose admissions they are, and under which share.
pub(super) struct Debtor {
    pub(super) demand: Demand,
    pub(super) share: Quota,
}

/// A limit's place, and the key.
type Name = (usize, Fingerprint);
type Debts = Ledger<Name, Debtor>;
pub(super) type Debt = (Name, Entry<Debtor>);

impl Ladder {
    pub(super) fn new<'a>(
        limits: impl Iterator<Item = &'a Limit>,
        max_keys: usize,
        max_debtors: usize,
        link: Arc<Link>,
    ) -> Self {
        let step = |limit: &Limit| Step {
            fallback: limit.fallback(),
            share: Table::new(max_keys),
            told: AtomicU64::new(0),
        };
        Self {
            timeline: Timeline::of(link.clock().clone()),
            steps: limits.map(step).collect(),
            ledger: Mutex::new(Ledger::new(max_debtors)),
            debtors: AtomicUsize::new(0),
            replaying: AtomicBool::new(false),
            link,
        }
    }

    /// The ruling of the fallbacks: takes from all shares, or from none.
    pub(super) fn take(
        &self,
        places: &[usize],
        demands: &[Demand],
        error: StoreError,
    ) -> Result<Ruling, Rejection> {
        let outage = self.link.outage();
        let rungs: SmallVec<[Rung; 2]> =
            places.iter().zip(demands).map(|(&place, it)| self.rung(place, it, outage)).collect();
        if rungs.contains(&Rung::Closed) {
            return Err(closed(self.link.retry_after(), error));
        }
        let nodes = self.link.nodes.count();
        let asks: SmallVec<[Ask<'_>; 2]> = places
            .iter()
            .zip(demands)
            .zip(&rungs)
            .map(|((&place, demand), rung)| self.steps[place].ask(demand, *rung, nodes))
            .collect();
        let at = self.timeline.moment(asks.iter().any(|ask| ask.quota.reads_the_wall()));
        let ruling = memory::take(&asks, at);
        if ruling.refusal().is_none() {
            self.note(places, demands, &asks, &ruling, at);
        }
        let said = ruling.said().iter().zip(demands).zip(rungs);
        Ok(said.map(|((said, demand), rung)| as_asked(*said, demand, rung)).collect())
    }

    /// Where the demand's limit stands. Limits that only report refuse nobody, and so are never closed.
    fn rung(&self, place: usize, demand: &Demand, outage: Option<Outage>) -> Rung {
        let step = &self.steps[place];
        let now = self.link.clock().now();
        let lasts = outage.map_or(Duration::ZERO, |it| now.saturating_duration_since(it.since));
        let rung = step.fallback.rung(lasts);
        let number = outage.map_or(0, |it| it.number);
        if rung != step.fallback.rung(Duration::ZERO)
            && step.told.load(Ordering::Relaxed) != number
            && step.told.swap(number, Ordering::Relaxed) != number
        {
            self.link.journal().stepped(demand.limit(), rung);
        }
        match rung {
            Rung::Closed if !demand.is_enforced() => Rung::Open,
            rung => rung,
        }
    }

    /// Remembers what was admitted.
    fn note(
        &self,
        places: &[usize],
        demands: &[Demand],
        asks: &[Ask<'_>],
        ruling: &Ruling,
        at: Moment,
    ) {
        let mut ledger = self.ledger();
        let all = places.iter().zip(demands).zip(asks).zip(ruling.said());
        for (((&place, demand), ask), said) in all {
            if !demand.is_penalty_box() && said.answer.units().is_some_and(|units| units > 0) {
                let lapses = at.now.saturating_add(nanos(said.answer.reset()));
                ledger.note((place, ask.key), ask.cost, lapses, at.now, || Debtor {
                    demand: demand.clone(),
                    share: ask.quota,
                });
            }
        }
        self.debtors.store(ledger.len(), Ordering::Relaxed);
    }

    /// What a debtor still owes: of what it was admitted, that which its share has not refilled.
    pub(super) fn owed(&self, place: usize, debtor: &Debtor, units: u64) -> u64 {
        let at = self.timeline.moment(true);
        let ask = self.steps[place].under(&debtor.demand.clone().with_units(0), debtor.share);
        units.min(ask.used(at))
    }

    pub(super) fn has_debtors(&self) -> bool {
        self.debtors.load(Ordering::Relaxed) > 0
    }

    /// Changes the ledger.
    pub(super) fn with_ledger<T>(&self, change: impl FnOnce(&mut Debts) -> T) -> T {
        let mut ledger = self.ledger();
        let changed = change(&mut ledger);
        self.debtors.store(ledger.len(), Ordering::Relaxed);
        changed
    }

    fn ledger(&self) -> MutexGuard<'_, Debts> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Step {
    /// What the demand asks of this node's share. An open limit counts what its share holds and refuses nobody.
    fn ask(&self, demand: &Demand, rung: Rung, nodes: u32) -> Ask<'_> {
        let ask = self.under(demand, demand.quota().share(nodes));
        Ask { enforced: demand.is_enforced() && rung == Rung::Share, ..ask }
    }

    fn under(&self, demand: &Demand, share: Quota) -> Ask<'_> {
        Ask {
            table: &self.share,
            key: self.share.fingerprint(share.kind(), demand.key()),
            quota: share,
            cost: demand.units(),
            enforced: demand.is_enforced(),
        }
    }
}

/// What a share said, as the answer to what was asked: under the quota that was promised.
fn as_asked(said: Said, demand: &Demand, rung: Rung) -> Said {
    let answer = match (rung, said.answer.verdict) {
        (Rung::Open, Err(_)) => {
            let Answer { remaining, reset, .. } = said.answer;
            Answer::granted(demand.units()).leaving(remaining, reset)
        }
        _ => said.answer,
    };
    Said { quota: demand.quota(), enforced: demand.is_enforced(), answer }
}

/// 503, and never 429: it is not the client that has taken too much.
fn closed(retry_after: Duration, error: StoreError) -> Rejection {
    Rejection::unavailable("Whether this request is within its limits cannot be told for now.")
        .retry_after(retry_after)
        .caused_by(error)
}
