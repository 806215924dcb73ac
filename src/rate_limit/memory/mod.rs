//! Limits that are kept in this process: all limits of a request are judged together, and spend together.

mod cell;
pub(super) mod fingerprint;
#[cfg(all(test, loom_store))]
mod loom;
#[cfg(all(test, not(loom_store)))]
mod oracles;
mod sets;
mod store;
mod sync;
pub(super) mod table;

use smallvec::SmallVec;

use super::{
    algorithm::{self, Admission, Judgment, Moment, State, sliding_log::Log},
    quota::{Algorithm, Quota},
    ruling::{Ruling, Said},
    store::{Answer, Receipt},
};
use cell::Cell;
use fingerprint::Fingerprint;
use table::Table;

pub use store::MemoryStore;
pub(super) use store::ask;

/// What a request asks of one limit.
pub(super) struct Ask<'a> {
    pub(super) table: &'a Table,
    pub(super) key: Fingerprint,
    pub(super) quota: Quota,
    pub(super) cost: u64,
    /// Whether its refusal counts; one that only reports refuses nobody.
    pub(super) enforced: bool,
}

/// Takes from all, or from none. A request that cannot wait is refused where it would have to.
pub(super) fn take(asks: &[Ask<'_>], at: Moment, can_wait: bool) -> Ruling {
    let mut cells = lock(asks, at);
    let judge = |(ask, cell): (&Ask<'_>, &Cell<'_>)| ask.judge_take(cell, at, can_wait);
    let judged: SmallVec<[Judgment; 2]> = asks.iter().zip(&cells).map(judge).collect();
    let refused = asks.iter().zip(&judged).any(|(ask, it)| ask.enforced && it.verdict.is_err());
    for (index, (ask, cell)) in asks.iter().zip(&mut cells).enumerate() {
        match judged[index].verdict {
            _ if ask.quota.is_penalty_box() => {
                let counts = index.checked_sub(1).is_some_and(|it| judged[it].verdict.is_err());
                ask.charge(cell, at, counts.into());
            }
            Ok(admission) if !refused => ask.commit(cell, admission, at, ask.cost),
            _ => {}
        }
    }
    let said = |((ask, cell), judgment): ((&Ask<'_>, &Cell<'_>), Judgment)| {
        let spared = refused && judgment.verdict.is_ok();
        let units = if spared { 0 } else { ask.cost };
        // What was not taken is still there; the refusal that brings a ban is told of it.
        let again = spared || ask.quota.is_penalty_box();
        let judgment = if again { ask.judge(cell, at, 0) } else { judgment };
        Said { quota: ask.quota, enforced: ask.enforced, answer: ask.answer(judgment, at, units) }
    };
    asks.iter().zip(&cells).zip(judged).map(said).collect()
}

/// The cells of all asks, in their order; locked in the order of their tables' ranks, so that no two requests wait
/// for each other.
fn lock<'a>(asks: &[Ask<'a>], at: Moment) -> SmallVec<[Cell<'a>; 2]> {
    let mut order: SmallVec<[usize; 4]> = (0..asks.len()).collect();
    order.sort_unstable_by_key(|&index| asks[index].table.rank());
    let mut locked: SmallVec<[Option<Cell<'a>>; 4]> = asks.iter().map(|_| None).collect();
    for index in order {
        locked[index] = Some(asks[index].lock(at));
    }
    locked.into_iter().flatten().collect()
}

impl<'a> Ask<'a> {
    #[inline]
    fn lock(&self, at: Moment) -> Cell<'a> {
        self.table.lock(self.key, self.quota.kind(), at.now)
    }

    /// As [`take()`], where no other limit has a say.
    #[inline]
    pub(super) fn take(&self, at: Moment, can_wait: bool) -> Said {
        let mut cell = self.lock(at);
        let judgment = self.judge_take(&cell, at, can_wait);
        if let Ok(admission) = judgment.verdict {
            self.commit(&mut cell, admission, at, self.cost);
        }
        drop(cell);
        let answer = self.answer(judgment, at, self.cost);
        Said { quota: self.quota, enforced: self.enforced, answer }
    }

    /// Takes what there is, up to the cost.
    pub(super) fn borrow(&self, at: Moment) -> Answer {
        let mut cell = self.lock(at);
        let left = self.judge(&cell, at, 0).remaining;
        let units = self.cost.min(left).max(1);
        let judgment = self.judge(&cell, at, units);
        if let Ok(admission) = judgment.verdict {
            self.commit(&mut cell, admission, at, units);
        }
        self.answer(judgment, at, units)
    }

    /// What the demand would be answered.
    pub(super) fn read(&self, at: Moment) -> Answer {
        let judgment = self.judge(&self.lock(at), at, self.cost);
        self.answer(judgment, at, self.cost)
    }

    /// How much of the quota is taken now.
    pub(super) fn used(&self, at: Moment) -> u64 {
        let left = self.judge(&self.lock(at), at, 0).remaining;
        let all = algorithm::judge(self.quota, State::default(), None, at, 0).remaining;
        all.saturating_sub(left)
    }

    /// Takes the cost whether it is there or not.
    pub(super) fn force(&self, at: Moment) {
        self.charge(&mut self.lock(at), at, self.cost);
    }

    /// Gives the cost back. Not to a key that shares the overflow cell: others would have it.
    pub(super) fn refund(&self, at: Moment, receipt: Receipt) {
        let mut cell = self.lock(at);
        let (state, receipt) = (cell.state(), receipt.word());
        match self.quota.algorithm() {
            _ if !cell.is_own() => {}
            Algorithm::SlidingLog => cell.write_log(state, |log| log.refund(receipt, self.cost)),
            _ => cell.write(algorithm::refund(self.quota, state, at, self.cost, receipt)),
        }
    }

    /// Forgets all. Not the overflow cell, which is not this key's alone.
    pub(super) fn reset(&self, at: Moment) {
        let mut cell = self.lock(at);
        match self.quota.algorithm() {
            _ if !cell.is_own() => {}
            Algorithm::SlidingLog => cell.write_log(State::default(), |log| *log = Log::default()),
            _ => cell.write(State::default()),
        }
    }

    #[inline]
    fn judge_take(&self, cell: &Cell<'_>, at: Moment, can_wait: bool) -> Judgment {
        let judgment = self.judge(cell, at, self.cost);
        if can_wait { judgment } else { judgment.at_once() }
    }

    #[inline]
    fn judge(&self, cell: &Cell<'_>, at: Moment, cost: u64) -> Judgment {
        if let Some(until) = cell.closed_until()
            && !matches!(self.quota.algorithm(), Algorithm::Unlimited)
        {
            let wait = until.saturating_sub(at.now);
            return Judgment::refuse(Some(wait), 0, wait);
        }
        let log = matches!(self.quota.algorithm(), Algorithm::SlidingLog);
        let log = log.then(|| cell.log()).flatten();
        algorithm::judge(self.quota, cell.state(), log, at, cost)
    }

    #[inline]
    fn commit(&self, cell: &mut Cell<'_>, admission: Admission, at: Moment, cost: u64) {
        match self.quota.algorithm() {
            Algorithm::Unlimited | Algorithm::PenaltyBox { .. } => {}
            _ if cost == 0 => {}
            Algorithm::SlidingLog => self.record(cell, admission.state, at, cost),
            _ => cell.write(admission.state),
        }
    }

    fn charge(&self, cell: &mut Cell<'_>, at: Moment, units: u64) {
        let state = algorithm::charge(self.quota, cell.state(), at, units);
        match self.quota.algorithm() {
            _ if units == 0 => {}
            Algorithm::SlidingLog => self.record(cell, state, at, units),
            _ => cell.write(state),
        }
    }

    fn record(&self, cell: &mut Cell<'_>, state: State, at: Moment, units: u64) {
        cell.write_log(state, |log| {
            log.forget(at.now, self.quota.period());
            log.record(at.now, units);
        });
    }

    #[inline]
    fn answer(&self, judgment: Judgment, at: Moment, units: u64) -> Answer {
        Answer::of(self.quota, judgment, at, units)
    }
}
