//! The store in this process, behind the role that Redis has.

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock},
    time::Duration,
};

use super::{
    super::{
        store::{Answer, Demand, Receipt, Store, StoreError, ask_each_limit_once},
        timeline::Timeline,
    },
    Ask, Table, take,
};
use crate::{clock::Clock, guard::BoxFuture};

/// A [`Store`] in this process: for tests and simulations, and for several layers that shall count together. It
/// answers at once and never fails. Clones are the same store.
///
/// What it keeps is bounded for each limit as a layer's own memory is; the names of limits are yours, and so few.
#[derive(Clone)]
pub struct MemoryStore(Arc<Inner>);

struct Inner {
    timeline: Timeline,
    max_keys: usize,
    tables: RwLock<HashMap<Arc<str>, Arc<Table>>>,
    /// Until when each node lives.
    nodes: Mutex<BTreeMap<Box<str>, u64>>,
}

impl MemoryStore {
    /// For 1,000,000 keys of each limit, by the system's clock.
    pub fn new() -> Self {
        Self::with(Clock::default(), 1_000_000)
    }

    /// By this clock, for so many keys of each limit. What has been kept so far is forgotten.
    pub fn with(clock: Clock, max_keys: usize) -> Self {
        Self(Arc::new(Inner {
            timeline: Timeline::of(clock),
            max_keys,
            tables: RwLock::default(),
            nodes: Mutex::default(),
        }))
    }

    fn tables<'a>(&self, demands: impl Iterator<Item = &'a Demand>) -> Vec<Arc<Table>> {
        demands.map(|demand| self.table(demand)).collect()
    }

    fn table(&self, demand: &Demand) -> Arc<Table> {
        let known = self.0.tables.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(table) = known.get(demand.limit()) {
            return Arc::clone(table);
        }
        drop(known);
        let mut known = self.0.tables.write().unwrap_or_else(PoisonError::into_inner);
        let new = || Arc::new(Table::new(self.0.max_keys));
        Arc::clone(known.entry(demand.limit().into()).or_insert_with(new))
    }

    /// Does this for a demand, now.
    fn with_ask<T>(&self, demand: &Demand, act: impl FnOnce(Ask<'_>, super::Moment) -> T) -> T {
        let table = self.table(demand);
        act(ask(demand, &table), self.0.timeline.moment(true))
    }

    fn lives(&self) -> MutexGuard<'_, BTreeMap<Box<str>, u64>> {
        self.0.nodes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a demand asks of its table.
pub(in crate::rate_limit) fn ask<'a>(demand: &Demand, table: &'a Table) -> Ask<'a> {
    Ask {
        key: table.fingerprint(demand.quota().kind(), demand.key()),
        table,
        quota: demand.quota(),
        cost: demand.units(),
        enforced: demand.is_enforced(),
    }
}

fn ready<T: Send + 'static>(value: T) -> BoxFuture<Result<T, StoreError>> {
    Box::pin(std::future::ready(Ok(value)))
}

impl Store for MemoryStore {
    fn take(&self, demands: Vec<Demand>) -> BoxFuture<Result<Vec<Answer>, StoreError>> {
        if let Err(error) = ask_each_limit_once(&demands) {
            return Box::pin(std::future::ready(Err(error)));
        }
        let tables = self.tables(demands.iter());
        let asks: Vec<_> = demands.iter().zip(&tables).map(|(it, table)| ask(it, table)).collect();
        let ruling = take(&asks, self.0.timeline.moment(true), true);
        ready(ruling.said().iter().map(|said| said.answer).collect())
    }

    fn borrow(&self, demand: Demand) -> BoxFuture<Result<Answer, StoreError>> {
        ready(self.with_ask(&demand, |ask, at| ask.borrow(at)))
    }

    fn charge(&self, demands: Vec<Demand>) -> BoxFuture<Result<(), StoreError>> {
        demands.iter().for_each(|demand| self.with_ask(demand, |ask, at| ask.force(at)));
        ready(())
    }

    fn refund(&self, demands: Vec<(Demand, Receipt)>) -> BoxFuture<Result<(), StoreError>> {
        for (demand, receipt) in &demands {
            self.with_ask(demand, |ask, at| ask.refund(at, *receipt));
        }
        ready(())
    }

    fn read(&self, demand: Demand) -> BoxFuture<Result<Answer, StoreError>> {
        ready(self.with_ask(&demand, |ask, at| ask.read(at)))
    }

    fn reset(&self, demand: Demand) -> BoxFuture<Result<(), StoreError>> {
        self.with_ask(&demand, |ask, at| ask.reset(at));
        ready(())
    }

    fn nodes(&self, node: &str, lives: Duration) -> BoxFuture<Result<u32, StoreError>> {
        let now = self.0.timeline.moment(false).now;
        let mut nodes = self.lives();
        nodes.insert(node.into(), now.saturating_add(super::super::timeline::nanos(lives)));
        nodes.retain(|_, until| *until > now);
        ready(u32::try_from(nodes.len()).unwrap_or(u32::MAX))
    }
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MemoryStore")
    }
}

#[cfg(all(test, feature = "test-util"))]
mod tests {
    use futures_util::FutureExt;

    use super::*;
    use crate::rate_limit::Quota;

    /// What is borrowed until there is nothing.
    fn drain(store: &MemoryStore, one: &Demand) -> Vec<Receipt> {
        let borrow = || store.borrow(one.clone()).now_or_never().unwrap().unwrap();
        let loans = std::iter::repeat_with(borrow).take_while(|it| it.units().is_some());
        loans.map(|it| it.receipt()).collect()
    }

    #[test]
    fn loans_that_come_back_unspent_add_nothing_to_what_has_refilled_meanwhile() {
        let (clock, time) = Clock::manual();
        let store = MemoryStore::with(clock, 100);
        let one = Demand::test("edge", Some(b"key"), Quota::per_second(10).burst(10));
        let unspent = drain(&store, &one);
        time.advance(Duration::from_millis(500));
        let mut held = drain(&store, &one).len();
        for receipt in unspent {
            store.refund(vec![(one.clone(), receipt)]).now_or_never().unwrap().unwrap();
        }
        held += drain(&store, &one).len();
        time.advance(Duration::from_millis(499));
        held += drain(&store, &one).len();
        assert!(
            held <= 10 + 5,
            "{held} at once: more than the bucket, and what refills in half a second"
        );
    }

    #[test]
    fn one_limit_twice_in_one_call_is_an_error_that_waits_for_nobody() {
        let store = MemoryStore::new();
        let demand =
            |limit, key: &str| Demand::test(limit, Some(key.as_bytes()), Quota::per_day(5));
        let take = |demands| store.take(demands).now_or_never().unwrap();
        assert!(take(vec![demand("one", "alice"), demand("one", "alice")]).is_err());
        assert!(take(vec![demand("one", "a"), demand("two", "a"), demand("one", "b")]).is_err());
        assert_eq!(take(vec![demand("one", "alice")]).unwrap()[0].remaining(), 4);
        assert_eq!(take(vec![]).unwrap(), []);
    }
}
