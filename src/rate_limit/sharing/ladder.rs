//! What limits say while the store cannot be asked: each by its own fallback, all together.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use arc_swap::ArcSwap;
use smallvec::SmallVec;

use super::{
    fallback::{Fallback, Rung},
    ledger::{Entry, Ledger},
    link::{Link, Outage},
};
use crate::{
    rate_limit::{
        algorithm::Moment,
        memory::{self, Ask, fingerprint::Fingerprint, table::Table},
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
    /// Replaced whole, with the limits of the layer.
    steps: ArcSwap<Vec<Step>>,
    max_keys: usize,
    ledger: Mutex<Debts>,
    /// As many as the ledger has: read without its lock.
    debtors: AtomicUsize,
    pub(super) replaying: AtomicBool,
}

/// The limits of a layer and their penalty boxes, by name: what each does while the store is down.
pub(in crate::rate_limit) type Steps = Vec<(Arc<str>, Fallback)>;

/// A limit's part.
struct Step {
    limit: Arc<str>,
    fallback: Fallback,
    share: Arc<Table>,
    /// The outage in which it was told that the limit has left its first rung.
    told: Arc<AtomicU64>,
}

/// Whose admissions they are, and under which share.
pub(super) struct Debtor {
    pub(super) demand: Demand,
    pub(super) share: Quota,
}

/// Which share, and the key.
type Name = (u64, Fingerprint);
type Debts = Ledger<Name, Debtor>;
pub(super) type Debt = (Name, Entry<Debtor>);

impl Ladder {
    pub(super) fn new(steps: Steps, max_keys: usize, max_debtors: usize, link: Arc<Link>) -> Self {
        Self {
            timeline: Timeline::of(link.clock().clone()),
            steps: ArcSwap::from_pointee(renewed(steps, max_keys, &[])),
            max_keys,
            ledger: Mutex::new(Ledger::new(max_debtors)),
            debtors: AtomicUsize::new(0),
            replaying: AtomicBool::new(false),
            link,
        }
    }

    /// Other limits; those of the same name keep their shares.
    pub(super) fn replace(&self, steps: Steps) {
        self.steps.rcu(|before| renewed(steps.clone(), self.max_keys, before));
    }

    /// The ruling of the fallbacks: takes from all shares, or from none.
    pub(super) fn take(&self, demands: &[Demand], error: StoreError) -> Result<Ruling, Rejection> {
        let (steps, outage) = (self.steps.load(), self.link.outage());
        let on: SmallVec<[(&Step, Rung); 2]> = demands
            .iter()
            .filter_map(|it| step(&steps, it).map(|step| (step, self.rung(step, it, outage))))
            .collect();
        // A limit that was replaced since the request came has no share any more.
        if on.len() < demands.len() || on.iter().any(|(_, rung)| *rung == Rung::Closed) {
            return Err(closed(self.link.retry_after(), error));
        }
        let nodes = self.link.nodes.count();
        let asks: SmallVec<[Ask<'_>; 2]> = demands
            .iter()
            .zip(&on)
            .map(|(demand, (step, rung))| step.ask(demand, *rung, nodes))
            .collect();
        let at = self.timeline.moment(asks.iter().any(|ask| ask.quota.reads_the_wall()));
        let ruling = memory::take(&asks, at, true);
        if ruling.refusal().is_none() {
            self.note(demands, &asks, &ruling, at);
        }
        let said = ruling.said().iter().zip(demands).zip(on);
        Ok(said.map(|((said, demand), (_, rung))| as_asked(*said, demand, rung)).collect())
    }

    /// Where the demand's limit stands. Limits that only report refuse nobody, and so are never closed.
    fn rung(&self, step: &Step, demand: &Demand, outage: Option<Outage>) -> Rung {
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
    fn note(&self, demands: &[Demand], asks: &[Ask<'_>], ruling: &Ruling, at: Moment) {
        let mut ledger = self.ledger();
        for ((demand, ask), said) in demands.iter().zip(asks).zip(ruling.said()) {
            if !demand.is_penalty_box() && said.answer.units().is_some_and(|units| units > 0) {
                let lapses = at.now.saturating_add(nanos(said.answer.reset()));
                ledger.note((ask.table.rank(), ask.key), ask.cost, lapses, at.now, || Debtor {
                    demand: demand.clone(),
                    share: ask.quota,
                });
            }
        }
        self.debtors.store(ledger.len(), Ordering::Relaxed);
    }

    /// What a debtor still owes: of what it was admitted, that which its share has not refilled.
    pub(super) fn owed(&self, debtor: &Debtor, units: u64) -> u64 {
        let (at, steps) = (self.timeline.moment(true), self.steps.load());
        let Some(step) = step(&steps, &debtor.demand) else { return 0 };
        let ask = step.under(&debtor.demand.clone().with_units(0), debtor.share);
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
        let key = self.share.fingerprint(share.kind(), demand.key());
        Ask { key, quota: share, ..memory::ask(demand, &self.share) }
    }
}

/// The steps of these limits, with the shares of those that were there before.
fn renewed(steps: Steps, max_keys: usize, before: &[Step]) -> Vec<Step> {
    let renew = |(limit, fallback): (Arc<str>, Fallback)| {
        let known = before.iter().find(|step| step.limit == limit);
        let share = known.map(|step| (Arc::clone(&step.share), Arc::clone(&step.told)));
        let (share, told) =
            share.unwrap_or_else(|| (Arc::new(Table::new(max_keys)), Arc::default()));
        Step { limit, fallback, share, told }
    };
    steps.into_iter().map(renew).collect()
}

fn step<'a>(steps: &'a [Step], demand: &Demand) -> Option<&'a Step> {
    steps.iter().find(|step| *step.limit == *demand.limit())
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
