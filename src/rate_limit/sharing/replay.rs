//! After an outage: what was admitted in it is charged to the store, in batches, one after the other.

use std::{
    collections::hash_map::RandomState,
    hash::BuildHasher,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use super::{
    ladder::{Debt, Ladder},
    ledger::Ledger,
};
use crate::rate_limit::store::Demand;

/// Keys that are charged in one call.
const BATCH: usize = 100;

/// Within which time nodes begin, each at its own: they all see the recovery at once.
const SPREAD: Duration = Duration::from_millis(500);

/// Between two batches: the store has just come back, and others have debtors too.
const PAUSE: Duration = Duration::from_millis(10);

/// After a batch that failed.
const RETRY: Duration = Duration::from_secs(1);

/// Begins to charge what has been admitted, unless nothing has, the store is down, or it has begun.
pub(super) fn begin(ladder: &Arc<Ladder>) {
    if !ladder.has_debtors() || !ladder.link.is_well() {
        return;
    }
    let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
    if !ladder.replaying.swap(true, Ordering::Relaxed) {
        runtime.spawn(replay(Replaying(Arc::clone(ladder))));
    }
}

async fn replay(replaying: Replaying) {
    let ladder = &*replaying.0;
    let clock = ladder.link.clock();
    clock.sleep(SPREAD.mul_f64(random())).await;
    let mut keys = 0;
    let mut outcome = charge(ladder).await;
    while let Charged::Keys(charged) = outcome {
        keys += charged;
        clock.sleep(PAUSE).await;
        outcome = charge(ladder).await;
    }
    if keys > 0 {
        ladder.link.journal().replayed(keys);
    }
    match ladder.with_ledger(Ledger::dropped) {
        0 => {}
        dropped => ladder.link.journal().dropped(dropped),
    }
    if let Charged::Failed = outcome {
        clock.sleep(RETRY).await;
    }
}

/// From 0 to 1.
fn random() -> f64 {
    f64::from(RandomState::new().hash_one(()) as u32) / f64::from(u32::MAX)
}

/// What became of a batch.
enum Charged {
    Keys(usize),
    /// It is put back, and goes out with the next recovery.
    Failed,
    /// There was none.
    Nothing,
}

async fn charge(ladder: &Ladder) -> Charged {
    let batch = Batch { debts: ladder.with_ledger(|ledger| ledger.take(BATCH)), ladder };
    let demands = batch.demands();
    match demands.len() {
        0 if batch.debts.is_empty() => Charged::Nothing,
        0 => batch.charged(0),
        keys => match ladder.link.chore(|store| store.charge(demands)).await {
            Ok(()) => batch.charged(keys),
            // Tried again, it would fail again, and hold up all others.
            Err(error) if error.is_of_key() => batch.charged(0),
            Err(_) => Charged::Failed,
        },
    }
}

/// Debts that are being charged; put back unless they are.
struct Batch<'a> {
    debts: Vec<Debt>,
    ladder: &'a Ladder,
}

impl Batch<'_> {
    /// What is still owed.
    fn demands(&self) -> Vec<Demand> {
        let owed = self.debts.iter().filter_map(|(_, entry)| {
            let units = self.ladder.owed(&entry.who, entry.units);
            (units > 0).then(|| entry.who.demand.clone().with_units(units))
        });
        owed.collect()
    }

    fn charged(mut self, keys: usize) -> Charged {
        self.debts.clear();
        Charged::Keys(keys)
    }
}

impl Drop for Batch<'_> {
    fn drop(&mut self) {
        let debts = std::mem::take(&mut self.debts);
        if !debts.is_empty() {
            let now = self.ladder.timeline.moment(false).now;
            self.ladder.with_ledger(|ledger| ledger.put_back(debts, now));
        }
    }
}

/// However the task ends, the next may begin.
struct Replaying(Arc<Ladder>);

impl Drop for Replaying {
    fn drop(&mut self) {
        self.0.replaying.store(false, Ordering::Relaxed);
    }
}
