//! A value that lives elsewhere and is kept fresh by one task.
//!
//! Readers take a snapshot: no lock, no waiting, no I/O. Only the task fetches, so that there is never more than
//! one fetch at a time, whoever asks and whoever goes away. It
//!
//! 1. refreshes ahead of expiry: when eight to nine tenths of the value's lifetime have passed;
//! 2. keeps the last good value when a fetch fails, and tries again after 1, 2, 4 … 60 seconds;
//! 3. withdraws a value that could not be refreshed for longer than the maximum staleness;
//! 4. fetches out of turn when asked, but no more than twice at once, and then once in a cooldown;
//! 5. ends when the last handle is dropped.

mod book;
#[cfg(all(test, feature = "test-util"))]
mod tests;

use std::{
    error::Error,
    fmt,
    future::{Future, poll_fn},
    panic::{AssertUnwindSafe, catch_unwind},
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

use self::book::Book;
pub(crate) use self::book::Schedule;
use crate::{
    BoxError,
    clock::{Clock, Sleep},
    config_error::ConfigError,
    event,
};

/// Times of settings beyond this are cut to it, so that no sum of times overflows.
pub(crate) const YEAR: Duration = Duration::from_secs(365 * 24 * 3600);

/// What a fetch brought.
pub(crate) struct Fetched<T> {
    pub(crate) value: T,
    /// The lifetime that the source states.
    pub(crate) max_age: Option<Duration>,
}

/// How a value that is fetched and kept fresh fares.
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
        Ok(Self(Arc::new(Handle { shared, attempts, task: task.abort_handle() })))
    }

    /// The value as it is known now; `None` if there is none, or none that is fresh enough.
    pub(crate) fn current(&self) -> arc_swap::Guard<Option<Arc<T>>> {
        self.0.shared.current.load()
    }

    /// Asks for a newer value than the current one.
    ///
    /// `None` when that is not to be had: others have asked too often. Else a future that completes when a fetch has
    /// ended, well or not, or has taken too long. Dropping it does not stop the fetch.
    pub(crate) fn newer(&self) -> Option<impl Future<Output = ()> + Send + use<T>> {
        self.newer_if(&|| true)
    }

    /// The same, where a fetch of its own may not be worth it. `worth` is asked only if there will be a fetch by its
    /// word: one that is under way is waited for anyway.
    pub(crate) fn newer_if(
        &self,
        worth: &dyn Fn() -> bool,
    ) -> Option<impl Future<Output = ()> + Send + use<T>> {
        let shared = &self.0.shared;
        let mut attempts = self.0.attempts.clone();
        attempts.mark_unchanged();
        if !shared.book().claim(shared.clock.now(), &shared.schedule, worth) {
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
        // As good as chance between machines, and nothing but time.
        let spread = f64::from(self.clock.unix().subsec_nanos()) / 1e9;
        self.book().end(self.clock.now(), spread, &self.schedule, noted);
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
        event::warning(self.name, "the last good value is too old and was withdrawn", &cause);
        None
    }
}

/// The error and what is beneath it: clients of HTTP say what happened only there.
pub(crate) fn causes(error: &(dyn Error + 'static)) -> String {
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
        let outcome = before(limit, contained(async { fetch().await })).await;
        shared.settle(outcome.unwrap_or_else(|| Err("no answer in time".into())));
        ended.send_modify(|attempts| *attempts += 1);
        shared.rest().await;
    }
}

/// A panic of the fetch as its failure: a task that dies of it would let the value grow old in silence.
async fn contained<T>(fetch: impl Future<Output = Result<T, BoxError>>) -> Result<T, BoxError> {
    let mut fetch = pin!(fetch);
    poll_fn(|cx| {
        // After a panic the future is dropped and not polled again.
        let polled = catch_unwind(AssertUnwindSafe(|| fetch.as_mut().poll(cx)));
        polled.unwrap_or_else(|_| Poll::Ready(Err("the client panicked".into())))
    })
    .await
}

/// What the future gave before the deadline.
pub(crate) async fn before<F: Future>(deadline: Sleep, future: F) -> Option<F::Output> {
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
