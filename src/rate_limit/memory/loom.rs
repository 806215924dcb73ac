//! The store's core in every interleaving of two threads: `RUSTFLAGS="--cfg loom_store"`, see `docs/development.md`.

use std::sync::Arc;

use loom::{model, thread};

use super::table::Table;
use super::{Ask, take};
use crate::rate_limit::{algorithm::Moment, quota::Quota};

const AT: Moment = Moment { now: 1_000_000_000, unix: 1_000_000_000 };

fn ask(table: &Table, quota: Quota) -> Ask<'_> {
    let key = table.fingerprint(quota.kind(), Some(b"key"));
    Ask { table, key, quota, cost: 1, enforced: true }
}

/// Whether all of them, in this order, admit one.
fn admitted(tables: &[&Table], quota: Quota) -> bool {
    let asks: Vec<_> = tables.iter().map(|table| ask(table, quota)).collect();
    take(&asks, AT, true).refusal().is_none()
}

/// Two threads do this; how many say yes.
fn race(one: impl Fn() -> bool + Send + 'static, other: impl Fn() -> bool) -> usize {
    let one = thread::spawn(one);
    let other = other();
    usize::from(one.join().expect("it does not panic")) + usize::from(other)
}

#[test]
fn the_last_one_is_taken_once() {
    for quota in
        [Quota::per_hour(1), Quota::per_hour(1).sliding_log(), Quota::per_hour(1).fixed_window()]
    {
        model(move || {
            let table = Arc::new(Table::new(1));
            let theirs = Arc::clone(&table);
            let yes = race(move || admitted(&[&theirs], quota), || admitted(&[&table], quota));
            assert_eq!(yes, 1);
        });
    }
}

#[test]
fn limits_in_opposite_orders_wait_for_each_other_in_no_interleaving() {
    let quota = Quota::per_hour(1);
    model(move || {
        let (one, other) = (Arc::new(Table::new(1)), Arc::new(Table::new(1)));
        let theirs = (Arc::clone(&one), Arc::clone(&other));
        let yes = race(
            move || admitted(&[&theirs.0, &theirs.1], quota),
            || admitted(&[&other, &one], quota),
        );
        assert_eq!(yes, 1);
    });
}

#[test]
fn who_is_refused_by_one_takes_nothing_from_the_other() {
    let quota = Quota::per_hour(1);
    model(move || {
        let (all, spent) = (Arc::new(Table::new(1)), Arc::new(Table::new(1)));
        assert!(admitted(&[&spent], quota));
        let theirs = (Arc::clone(&all), Arc::clone(&spent));
        let yes =
            race(move || admitted(&[&theirs.0, &theirs.1], quota), || admitted(&[&all], quota));
        assert_eq!(yes, 1, "the one that asks for what is there");
    });
}
