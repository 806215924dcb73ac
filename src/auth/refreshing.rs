//! A value that lives elsewhere and is kept fresh by one task.
//!
//! Readers take a snapshot: no lock, no waiting, no I/O. Only the task fetches, so that there is never more than
//! one fetch at a time, whoever asks and whoever goes away. It
//!
//! 1. refreshes ahead of expiry: when nine tenths of the value's lifetime have passed;
//! 2. keeps the last good value when a fetch fails, and tries again after 1, 2, 4 … 60 seconds;
//! 3. withdraws a value that could not be refreshed for longer than the maximum staleness;
//! 4. fetches out of turn when asked, but not within the cooldown after the last fetch;
//! 5. ends when the last handle is dropped.

use std::{
    error::Error,
    fmt,
    future::{Future, poll_fn},
    pin::pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::Poll,
    time::{Duration, Instant},
};

use arc_swap::ArcSwapOption;
use tokio::{
    sync::{Notify, watch},
    task::AbortHandle,
};

use crate::{
    clock::{Clock, Sleep},
    config_error::ConfigError,
    event,
};

pub(crate) type BoxError = Box<dyn Error + Send + Sync>;

/// The first pause after a failed fetch; it doubles up to [`MAX_BACK_OFF`].
const BACK_OFF: Duration = Duration::from_secs(1);
const MAX_BACK_OFF: Duration = Duration::from_secs(60);

/// When to fetch.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Schedule {
    /// The longest lifetime of a value, and the lifetime of one whose source states none.
    pub(crate) every: Duration,
    /// The shortest lifetime of a value, whatever its source states.
    pub(crate) at_least: Duration,
    /// The age at which a value that could not be refreshed is withdrawn.
    pub(crate) max_staleness: Duration,
    /// The pause after a fetch before another can be asked for.
    pub(crate) cooldown: Duration,
    /// The time that one fetch may take.
    pub(crate) timeout: Duration,
}

impl Default for Schedule {
    fn default() -> Self {
        Self {
            every: Duration::from_secs(600),
            at_least: Duration::from_secs(30),
            max_staleness: Duration::from_secs(24 * 3600),
            cooldown: Duration::from_secs(10),
            timeout: Duration::from_secs(5),
        }
    }
}

impl Schedule {
    /// How long to wait after a success.
    fn until_refresh(&self, max_age: Option<Duration>) -> Duration {
        let lifetime = max_age.unwrap_or(self.every);
        lifetime.max(self.at_least).min(self.every) / 10 * 9
    }

    /// How long to wait after `failures` in a row.
    fn until_retry(&self, failures: u32) -> Duration {
        let doublings = failures.saturating_sub(1).min(6);
        (BACK_OFF * (1 << doublings)).min(MAX_BACK_OFF)
    }
}

/// What a fetch brought.
pub(crate) struct Fetched<T> {
    pub(crate) value: T,
    /// The lifetime that the source states.
    pub(crate) max_age: Option<Duration>,
}

/// How a refreshed value fares.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Health {
    /// The time since the last good fetch; `None` if there was none.
    pub age: Option<Duration>,
    /// What went wrong since the last good fetch.
    pub last_error: Option<String>,
    /// Good fetches so far.
    pub refreshes: u64,
    /// Failed fetches so far.
    pub failures: u64,
}

/// A handle to the value; clones share it. See the [module docs](self).
pub(crate) struct Refreshing<T>(Arc<Handle<T>>);

struct Handle<T> {
    shared: Arc<Shared<T>>,
    attempts: watch::Receiver<u64>,
    task: AbortHandle,
}

impl<T> Drop for Handle<T> {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl<T> Clone for Refreshing<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T: Send + Sync + 'static> Refreshing<T> {
    /// Starts the task that fetches, on the current Tokio runtime.
    ///
    /// # Errors
    ///
    /// Outside of a Tokio runtime.
    pub(crate) fn start<F, Fut>(
        name: &'static str,
        schedule: Schedule,
        clock: Clock,
        fetch: F,
    ) -> Result<Self, ConfigError>
    where
        F: FnMut() -> Fut + Send + 'static,
        Fut: Future<Output = Result<Fetched<T>, BoxError>> + Send + 'static,
    {
        let runtime = tokio::runtime::Handle::try_current()
            .map_err(|_| ConfigError::new(name, "start it inside a Tokio runtime"))?;
        let (ended, attempts) = watch::channel(0);
        let shared = Arc::new(Shared {
            name,
            schedule,
            current: ArcSwapOption::empty(),
            book: Mutex::new(Book::new(clock.now())),
            asked: Notify::new(),
            clock,
        });
        let task = runtime.spawn(run(Arc::clone(&shared), fetch, ended));
        Ok(Self(Arc::new(Handle {
            shared,
            attempts,
            task: task.abort_handle(),
        })))
    }

    /// The value as it is known now; `None` if there is none, or none that is fresh enough.
    pub(crate) fn current(&self) -> arc_swap::Guard<Option<Arc<T>>> {
        self.0.shared.current.load()
    }

    /// Asks for a newer value than the current one.
    ///
    /// `None` when that is not to be had: the last fetch is too recent. Else a future that completes when a fetch
    /// has ended, well or not, or has taken too long. Dropping it does not stop the fetch.
    pub(crate) fn newer(&self) -> Option<impl Future<Output = ()> + Send + use<T>> {
        let shared = &self.0.shared;
        let mut attempts = self.0.attempts.clone();
        attempts.mark_unchanged();
        if !shared.book().claim(shared.clock.now()) {
            return None;
        }
        shared.asked.notify_one();
        let patience = shared.clock.sleep(shared.schedule.timeout * 2);
        Some(async move {
            let _ = before(patience, attempts.changed()).await;
        })
    }

    /// Completes when the first fetch has ended, well or not.
    pub(crate) async fn tried(&self) {
        let mut attempts = self.0.attempts.clone();
        let _ = attempts.wait_for(|ended| *ended > 0).await;
    }

    /// When the next fetch is due.
    pub(crate) fn retry_in(&self) -> Duration {
        let shared = &self.0.shared;
        let due = shared.book().due;
        due.saturating_duration_since(shared.clock.now())
    }

    /// How it fares.
    pub(crate) fn health(&self) -> Health {
        let shared = &self.0.shared;
        let now = shared.clock.now();
        let book = shared.book();
        Health {
            age: book.loaded.map(|at| now.saturating_duration_since(at)),
            last_error: book.last_error.clone(),
            refreshes: book.refreshes,
            failures: book.failures,
        }
    }
}

impl<T> fmt::Debug for Refreshing<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Refreshing({})", self.0.shared.name)
    }
}

struct Shared<T> {
    name: &'static str,
    schedule: Schedule,
    current: ArcSwapOption<T>,
    // Held for a few instructions, and never on the way of a reader of `current`.
    book: Mutex<Book>,
    asked: Notify,
    clock: Clock,
}

/// What the task and those who ask it know of the fetches.
struct Book {
    in_flight: bool,
    asked: bool,
    loaded: Option<Instant>,
    due: Instant,
    cool: Instant,
    last_error: Option<String>,
    failures_in_a_row: u32,
    refreshes: u64,
    failures: u64,
}

impl Book {
    fn new(now: Instant) -> Self {
        Self {
            in_flight: true, // the task begins with a fetch
            asked: false,
            loaded: None,
            due: now,
            cool: now,
            last_error: None,
            failures_in_a_row: 0,
            refreshes: 0,
            failures: 0,
        }
    }

    /// Whether whoever asks now will see a fetch end.
    fn claim(&mut self, now: Instant) -> bool {
        if self.in_flight || self.asked {
            return true;
        }
        self.asked = now >= self.cool;
        self.asked
    }

    fn begin(&mut self) {
        self.in_flight = true;
        self.asked = false;
    }

    /// Notes how a fetch ended.
    fn end(
        &mut self,
        now: Instant,
        schedule: &Schedule,
        outcome: Result<Option<Duration>, String>,
    ) {
        self.in_flight = false;
        self.cool = now + schedule.cooldown;
        let pause = match outcome {
            Ok(max_age) => {
                self.loaded = Some(now);
                self.last_error = None;
                self.failures_in_a_row = 0;
                self.refreshes += 1;
                schedule.until_refresh(max_age)
            }
            Err(error) => {
                self.last_error = Some(error);
                self.failures_in_a_row = self.failures_in_a_row.saturating_add(1);
                self.failures += 1;
                schedule.until_retry(self.failures_in_a_row)
            }
        };
        self.due = now + pause;
    }
}

impl<T> Shared<T> {
    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn settle(&self, outcome: Result<Fetched<T>, BoxError>) {
        let noted = match outcome {
            Ok(fetched) => {
                self.current.store(Some(Arc::new(fetched.value)));
                Ok(fetched.max_age)
            }
            Err(error) => {
                let causes = causes(&*error);
                let message = "a refresh failed; the last good value stays";
                event::warning(self.name, message, &causes);
                Err(causes)
            }
        };
        self.book().end(self.clock.now(), &self.schedule, noted);
    }

    /// Waits for the next fetch to be due or asked for.
    async fn rest(&self) {
        loop {
            let (due, stale) = {
                let book = self.book();
                let stale = book.loaded.map(|at| at + self.schedule.max_staleness);
                (book.due, stale)
            };
            let next = self.withdraw(stale).map_or(due, |stale| stale.min(due));
            let asked = before(self.clock.sleep_until(next), self.asked.notified()).await;
            match asked {
                // A permit may be left of a question that a fetch has answered already.
                Some(()) if self.book().asked => return,
                _ if self.clock.now() >= due => return,
                _ => {}
            }
        }
    }

    /// Takes a value back whose time is over; else says when that is.
    fn withdraw(&self, stale: Option<Instant>) -> Option<Instant> {
        let stale = stale.filter(|_| self.current.load().is_some())?;
        if self.clock.now() < stale {
            return Some(stale);
        }
        self.current.store(None);
        let cause = self.book().last_error.clone().unwrap_or_default();
        event::warning(
            self.name,
            "the last good value is too old and was withdrawn",
            &cause,
        );
        None
    }
}

/// The error and what is beneath it: clients of HTTP say what happened only there.
fn causes(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text += &format!(": {cause}");
        source = cause.source();
    }
    text
}

/// The task.
async fn run<T, F, Fut>(shared: Arc<Shared<T>>, mut fetch: F, ended: watch::Sender<u64>)
where
    F: FnMut() -> Fut,
    Fut: Future<Output = Result<Fetched<T>, BoxError>>,
{
    loop {
        shared.book().begin();
        let limit = shared.clock.sleep(shared.schedule.timeout);
        let outcome = before(limit, fetch()).await;
        shared.settle(outcome.unwrap_or_else(|| Err("no answer in time".into())));
        ended.send_modify(|attempts| *attempts += 1);
        shared.rest().await;
    }
}

/// What the future gave before the deadline.
async fn before<F: Future>(deadline: Sleep, future: F) -> Option<F::Output> {
    let mut deadline = pin!(deadline);
    let mut future = pin!(future);
    poll_fn(|cx| {
        if let Poll::Ready(output) = future.as_mut().poll(cx) {
            return Poll::Ready(Some(output));
        }
        deadline.as_mut().poll(cx).map(|()| None)
    })
    .await
}

#[cfg(all(test, feature = "test-util"))]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::clock::ManualClock;
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
                        0 => Ok(Fetched {
                            value,
                            max_age: None,
                        }),
                        _ => Err("down".into()),
                    }
                }
            };
            (
                Refreshing::start("test", schedule, clock, fetch).unwrap(),
                time,
            )
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
        assert_eq!(
            (source.fetches(), value.current().as_deref()),
            (1, Some(&1))
        );
        pass(&time, SECOND).await;
        assert_eq!(
            (source.fetches(), value.current().as_deref()),
            (2, Some(&2))
        );
    }

    #[test]
    fn what_the_source_states_counts_within_bounds() {
        let schedule = Schedule::default();
        let after = |max_age| schedule.until_refresh(max_age).as_secs();
        assert_eq!(after(None), 540);
        assert_eq!(after(Some(SECOND * 100)), 90);
        assert_eq!(after(Some(Duration::ZERO)), 27);
        assert_eq!(after(Some(Duration::MAX)), 540);
        let retries: Vec<_> = [1, 2, 3, 6, 7, 8, u32::MAX]
            .map(|n| schedule.until_retry(n).as_secs())
            .into();
        assert_eq!(retries, [1, 2, 4, 32, 60, 60, 60]);
    }

    #[tokio::test]
    async fn the_last_good_value_stays_until_it_is_too_old() {
        let source = Source::default();
        let schedule = Schedule {
            max_staleness: SECOND * 3600,
            ..Schedule::default()
        };
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
    async fn many_who_ask_share_a_fetch_and_none_within_the_cooldown() {
        let source = Source::default();
        let (value, time) = source.start(Schedule::default());
        value.tried().await;
        settle().await;
        assert!(value.newer().is_none());
        pass(&time, SECOND * 10).await;
        let waiting: Vec<_> = (0..300).map(|_| value.newer().unwrap()).collect();
        drop(value.newer());
        for wait in waiting {
            wait.await;
        }
        settle().await;
        assert_eq!(source.fetches(), 2);
        assert!(value.newer().is_none());
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
        assert_eq!(
            value.health().last_error.as_deref(),
            Some("no answer in time")
        );
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
        let fetch = || async {
            Ok(Fetched {
                value: (),
                max_age: None,
            })
        };
        let started = Refreshing::start("test", Schedule::default(), Clock::system(), fetch);
        assert!(started.unwrap_err().to_string().contains("Tokio"));
    }
}
