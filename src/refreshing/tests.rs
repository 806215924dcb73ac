//! The task under the manual clock.
#![allow(clippy::unwrap_used)]

use super::{book::MAX_BACK_OFF, *};
use crate::{BoxError, clock::ManualClock};
use std::sync::atomic::{AtomicU32, Ordering};

const SECOND: Duration = Duration::from_secs(1);

/// A source that counts its fetches and fails while its switch is off.
#[derive(Clone, Default)]
struct Source(Arc<(AtomicU32, AtomicU32)>);

impl Source {
    fn fetches(&self) -> u32 {
        self.0.0.load(Ordering::SeqCst)
    }

    fn fail(&self, fail: bool) {
        self.0.1.store(fail.into(), Ordering::SeqCst);
    }

    fn start(&self, schedule: Schedule) -> (Refreshing<u32>, ManualClock) {
        let (clock, time) = Clock::manual();
        let source = self.clone();
        let fetch = move || {
            let source = source.clone();
            async move {
                let value = source.0.0.fetch_add(1, Ordering::SeqCst) + 1;
                match source.0.1.load(Ordering::SeqCst) {
                    0 => Ok(Fetched { value, max_age: None }),
                    _ => Err("down".into()),
                }
            }
        };
        (Refreshing::start("test", schedule, clock, fetch).unwrap(), time)
    }
}

/// Lets the task do what it can without time passing.
async fn settle() {
    for _ in 0..10 {
        tokio::task::yield_now().await;
    }
}

async fn pass(time: &ManualClock, duration: Duration) {
    time.advance(duration);
    settle().await;
}

#[tokio::test]
async fn refreshes_ahead_of_expiry() {
    let source = Source::default();
    let (value, time) = source.start(Schedule::default());
    value.tried().await;
    settle().await;
    pass(&time, SECOND * 539).await;
    assert_eq!((source.fetches(), value.current().as_deref()), (1, Some(&1)));
    pass(&time, SECOND).await;
    assert_eq!((source.fetches(), value.current().as_deref()), (2, Some(&2)));
}

#[tokio::test]
async fn the_last_good_value_stays_until_it_is_too_old() {
    let source = Source::default();
    let schedule = Schedule { max_staleness: SECOND * 3600, ..Schedule::default() };
    let (value, time) = source.start(schedule);
    value.tried().await;
    settle().await;
    source.fail(true);
    for _ in 0..3599 {
        pass(&time, SECOND).await;
        assert_eq!(value.current().as_deref(), Some(&1));
    }
    let health = value.health();
    assert_eq!(health.last_error.as_deref(), Some("down"));
    assert_eq!((health.age, health.refreshes), (Some(SECOND * 3599), 1));
    assert!((50..70).contains(&health.failures), "{}", health.failures);
    pass(&time, SECOND).await;
    assert_eq!(value.current().as_deref(), None);
    source.fail(false);
    pass(&time, MAX_BACK_OFF).await;
    assert!(value.current().is_some());
}

#[tokio::test]
async fn many_who_ask_share_a_fetch_and_few_are_made() {
    let source = Source::default();
    let (value, time) = source.start(Schedule::default());
    value.tried().await;
    settle().await;
    for fetches in [2, 3] {
        let waiting: Vec<_> = (0..300).map(|_| value.newer().unwrap()).collect();
        drop(value.newer());
        for wait in waiting {
            wait.await;
        }
        settle().await;
        assert_eq!(source.fetches(), fetches);
    }
    assert!(value.newer().is_none(), "the allowance is spent");
    pass(&time, SECOND * 10).await;
    assert!(value.newer_if(&|| false).is_none());
    assert!(value.newer().is_some());
}

#[tokio::test]
async fn those_who_start_together_do_not_refresh_together() {
    let source = Source::default();
    let (value, time) = source.start(Schedule::default());
    time.set_unix(Duration::from_millis(500)); // it is the wall clock's second that differs
    value.tried().await;
    settle().await;
    pass(&time, SECOND * 509).await;
    assert_eq!(source.fetches(), 1);
    pass(&time, SECOND).await;
    assert_eq!(source.fetches(), 2);
}

#[tokio::test]
async fn a_source_that_never_answers_is_given_up() {
    let (clock, time) = Clock::manual();
    let fetch = std::future::pending::<Result<Fetched<()>, BoxError>>;
    let value = Refreshing::start("test", Schedule::default(), clock, fetch).unwrap();
    settle().await;
    let wait = tokio::spawn(value.newer().unwrap());
    pass(&time, SECOND * 5).await;
    wait.await.unwrap();
    assert_eq!(value.health().last_error.as_deref(), Some("no answer in time"));
}

#[tokio::test]
async fn the_task_ends_with_the_last_handle() {
    let source = Source::default();
    let (value, time) = source.start(Schedule::default());
    let other = value.clone();
    value.tried().await;
    settle().await;
    drop(value);
    pass(&time, SECOND * 540).await;
    assert_eq!(source.fetches(), 2);
    drop(other);
    pass(&time, SECOND * 9_999).await;
    assert_eq!(source.fetches(), 2);
}

#[test]
fn outside_of_a_runtime_it_does_not_start() {
    let fetch = || async { Ok(Fetched { value: (), max_age: None }) };
    let started = Refreshing::start("test", Schedule::default(), Clock::system(), fetch);
    assert!(started.unwrap_err().to_string().contains("Tokio"));
}

#[tokio::test]
async fn a_client_that_panics_has_failed_and_is_asked_again() {
    let (clock, time) = Clock::manual();
    let mut fetches = 0;
    let fetch = move || {
        fetches += 1;
        let value = fetches;
        async move {
            assert!(value > 1, "the first fetch panics");
            Ok(Fetched { value, max_age: None })
        }
    };
    let value = Refreshing::start("test", Schedule::default(), clock, fetch).unwrap();
    value.tried().await;
    assert!(value.health().last_error.unwrap().contains("panicked"));
    settle().await;
    pass(&time, SECOND).await;
    assert_eq!(value.current().as_deref(), Some(&2));
}
