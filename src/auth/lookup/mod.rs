//! Asking somebody else about credentials: seldom, once at a time for each, and never without end.
//!
//! What a source says of a credential is remembered, yes and no apart, each bounded. A credential that is not
//! remembered is asked about by a task of its own:
//!
//! 1. however many present it meanwhile, it is asked about once; whoever goes away, the task goes on;
//! 2. no more than so many questions are open at a time: the next is not asked, and nothing queues;
//! 3. each has a time limit, and after several failures in a row none is asked for a while;
//! 4. a failure says nothing of the credential. It is not remembered; by choice, an answer whose time is over
//!    serves while its source fails;
//! 5. what is forgotten stays forgotten: an answer that was asked for before is not remembered after.

mod memory;
#[cfg(all(test, feature = "test-util"))]
mod tests;

use std::{
    collections::HashMap,
    error::Error,
    fmt,
    future::Future,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::Poll,
    time::Duration,
};

use tokio::sync::watch;

use self::memory::Memory;
use super::crypto::Digest;
use crate::{
    BoxError,
    breaker::{Breaker, Era},
    clock::Clock,
    event,
    refreshing::{YEAR, causes},
    rejection::Rejection,
};

/// What good credentials stand for: cheap to clone, and of some size.
pub(crate) trait Size: Clone + Send + Sync + 'static {
    /// How many bytes it takes, about.
    fn size(&self) -> usize;
}

/// What a source says of a credential.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answer<V> {
    /// It is good, and stands for this; not beyond this date (since the epoch), if there is one.
    Good { value: V, until: Option<Duration> },
    /// It is none, or none any more.
    Bad,
}

impl<V> Answer<V> {
    fn until(&self) -> Option<Duration> {
        match self {
            Self::Good { until, .. } => *until,
            Self::Bad => None,
        }
    }

    /// What it means now: a credential that has ended is none, whatever its source says.
    fn known(self, clock: &Clock) -> Known<V> {
        match self {
            Self::Good { until: Some(until), .. } if clock.unix() >= until => Known::Bad,
            Self::Good { value, .. } => Known::Good(value),
            Self::Bad => Known::Bad,
        }
    }
}

/// What is known of a credential.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Known<V> {
    Good(V),
    Bad,
}

/// No answer could be had.
#[derive(Clone, Debug)]
pub(crate) struct Undecided {
    pub(crate) retry_after: Duration,
    pub(crate) cause: Arc<str>,
}

/// An answer that came and cannot be used. It says something of one credential's record, and not that the source
/// is down: whoever has such a record must not be able to stop the questions about others.
#[derive(Debug)]
pub(crate) struct Unusable(pub(crate) BoxError);

impl fmt::Display for Unusable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Error for Unusable {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.0.source()
    }
}

/// How to ask, and how long to remember.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings {
    /// How long a good credential is remembered.
    pub(crate) ttl: Duration,
    /// How long a bad one is.
    pub(crate) negative_ttl: Duration,
    /// How many of each are remembered.
    pub(crate) capacity: usize,
    /// How many questions may be open.
    pub(crate) max_in_flight: usize,
    /// How long one may take.
    pub(crate) timeout: Duration,
    /// For how long an answer whose time is over serves while no new one can be had; zero for never.
    pub(crate) stale_if_error: Duration,
}

impl Settings {
    fn bounded(self) -> Self {
        Self {
            ttl: self.ttl.min(YEAR),
            negative_ttl: self.negative_ttl.min(YEAR),
            timeout: self.timeout.min(YEAR),
            stale_if_error: self.stale_if_error.min(YEAR),
            ..self
        }
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            ttl: Duration::from_secs(30),
            negative_ttl: Duration::from_secs(5),
            capacity: 10_000,
            max_in_flight: 64,
            timeout: Duration::from_secs(3),
            stale_if_error: Duration::ZERO,
        }
    }
}

/// See the [module docs](self). Clones share everything.
pub(crate) struct Lookup<V>(Arc<Shared<V>>);

struct Shared<V> {
    name: &'static str,
    settings: Settings,
    clock: Clock,
    memory: Memory<V>,
    // Held for a few instructions.
    desk: Mutex<Desk<V>>,
}

/// The open questions.
struct Desk<V> {
    flights: HashMap<Digest, Flight<V>>,
    /// With those that were forgotten, and still fly.
    open: usize,
    breaker: Breaker,
}

/// A question that others may join.
struct Flight<V> {
    outcome: watch::Receiver<Option<Outcome<V>>>,
    /// The same as its task's.
    ticket: Arc<()>,
}

type Outcome<V> = Result<Known<V>, Undecided>;

/// When to ask again because too many questions are open.
const BUSY: Duration = Duration::from_secs(1);

impl<V: Size> Lookup<V> {
    pub(crate) fn new(name: &'static str, settings: Settings, clock: Clock) -> Self {
        let settings = settings.bounded();
        Self(Arc::new(Shared {
            name,
            settings,
            memory: Memory::new(&settings),
            desk: Mutex::new(Desk {
                flights: HashMap::new(),
                open: 0,
                breaker: Breaker::default(),
            }),
            clock,
        }))
    }

    /// What is remembered.
    pub(crate) fn known(&self, credential: &Digest) -> Option<Known<V>> {
        self.0.memory.recall(credential, &self.0.clock)
    }

    /// Forgets an answer, so that the next request asks; an answer that is on its way too.
    pub(crate) fn forget(&self, credential: &Digest) {
        self.0.desk().flights.remove(credential);
        self.0.memory.forget(credential);
    }

    /// Forgets everything.
    pub(crate) fn forget_all(&self) {
        self.0.desk().flights.clear();
        self.0.memory.forget_all();
    }

    /// Asks by `question`, unless the answer has come meanwhile or somebody is asking already.
    pub(crate) fn ask<Q, F>(
        &self,
        credential: Digest,
        question: Q,
    ) -> impl Future<Output = Outcome<V>> + Send + use<V, Q, F>
    where
        Q: FnOnce() -> F + Send + 'static,
        F: Future<Output = Result<Answer<V>, BoxError>> + Send + 'static,
    {
        let flight = self.join(credential, question);
        let shared = Arc::clone(&self.0);
        async move {
            let outcome = match flight {
                Ok(flight) => landed(flight).await,
                Err(outcome) => outcome,
            };
            outcome.or_else(|undecided| shared.memory.stale(&credential, &shared).ok_or(undecided))
        }
    }

    /// The open question about this credential, or a new one; or what is to be said without one.
    fn join<Q, F>(
        &self,
        credential: Digest,
        question: Q,
    ) -> Result<watch::Receiver<Option<Outcome<V>>>, Outcome<V>>
    where
        Q: FnOnce() -> F + Send + 'static,
        F: Future<Output = Result<Answer<V>, BoxError>> + Send + 'static,
    {
        let shared = &self.0;
        let mut desk = shared.desk();
        if let Some(flight) = desk.flights.get(&credential) {
            return Ok(flight.outcome.clone());
        }
        // A flight remembers before it leaves the desk.
        if let Some(known) = shared.memory.recall(&credential, &shared.clock) {
            return Err(Ok(known));
        }
        let refuse = |wait, cause| Err(Err(undecided(wait, cause)));
        if desk.open >= shared.settings.max_in_flight {
            return refuse(BUSY, "too many questions are open");
        }
        let Ok(runtime) = tokio::runtime::Handle::try_current() else {
            return refuse(BUSY, "outside of a Tokio runtime");
        };
        let era = match desk.breaker.admit(shared.clock.now()) {
            Ok(era) => era,
            Err(wait) => {
                return refuse(wait, "the last questions failed; none is asked for a while");
            }
        };
        let (landing, outcome) = watch::channel(None);
        let ticket = Arc::new(());
        let flight = Flight { outcome: outcome.clone(), ticket: Arc::clone(&ticket) };
        desk.flights.insert(credential, flight);
        desk.open += 1;
        drop(desk);
        // Called in the task, so that a panic of the source's cannot leave the question open.
        let question = async move { question().await };
        // Owned by the task from the start: it may never run.
        let open = Open { shared: Arc::clone(shared), credential, ticket, era };
        runtime.spawn(fly(open, landing, question));
        Ok(outcome)
    }
}

impl<V> Clone for Lookup<V> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<V> fmt::Debug for Lookup<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Lookup({})", self.0.name)
    }
}

impl<V> Shared<V> {
    fn desk(&self) -> MutexGuard<'_, Desk<V>> {
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl From<Undecided> for Rejection {
    /// 503: not knowing says nothing about the credential.
    fn from(undecided: Undecided) -> Self {
        Self::unavailable("Credentials cannot be verified for now.")
            .retry_after(undecided.retry_after)
            .caused_by(&*undecided.cause)
    }
}

fn undecided(retry_after: Duration, cause: &str) -> Undecided {
    Undecided { retry_after, cause: cause.into() }
}

/// The outcome of a flight, once it is there.
async fn landed<V: Clone>(mut flight: watch::Receiver<Option<Outcome<V>>>) -> Outcome<V> {
    match flight.wait_for(Option::is_some).await.as_deref() {
        Ok(Some(outcome)) => outcome.clone(),
        _ => Err(undecided(BUSY, "the question was dropped")), // with its runtime
    }
}

/// The task that asks one question.
async fn fly<V, F>(open: Open<V>, landing: watch::Sender<Option<Outcome<V>>>, question: F)
where
    V: Size,
    F: Future<Output = Result<Answer<V>, BoxError>>,
{
    let shared = &open.shared;
    let answer = in_time(shared, question).await;
    let now = shared.clock.now();
    let outcome = match answer {
        Ok(answer) => Ok(open.land(answer)),
        Err(error) => {
            let cause = causes(&*error);
            event::warning(shared.name, "a credential could not be looked up", &cause);
            let breaker = &mut shared.desk().breaker;
            let wait = match error.is::<Unusable>() {
                true => breaker.succeeded(),
                false => breaker.failed(open.era, now),
            };
            Err(undecided(wait.max(BUSY), &cause))
        }
    };
    landing.send_replace(Some(outcome));
}

/// A question's place at the desk. However its task ends, the runtime's end included, it is then no longer open.
struct Open<V> {
    shared: Arc<Shared<V>>,
    credential: Digest,
    ticket: Arc<()>,
    era: Era,
}

impl<V: Size> Open<V> {
    /// Remembers the answer, unless it was forgotten before it came.
    fn land(&self, answer: Answer<V>) -> Known<V> {
        let Shared { memory, clock, .. } = &*self.shared;
        let mut desk = self.shared.desk();
        desk.breaker.succeeded();
        match desk.is_on(self) {
            // While the desk is held: whoever forgets now, does it after.
            true => memory.remember(self.credential, answer, clock),
            false => answer.known(clock),
        }
    }
}

impl<V> Drop for Open<V> {
    fn drop(&mut self) {
        let mut desk = self.shared.desk();
        desk.open -= 1;
        if desk.is_on(self) {
            desk.flights.remove(&self.credential);
        }
    }
}

impl<V> Desk<V> {
    /// Whether this question is the one that others join.
    fn is_on(&self, open: &Open<V>) -> bool {
        let flight = self.flights.get(&open.credential);
        flight.is_some_and(|flight| Arc::ptr_eq(&flight.ticket, &open.ticket))
    }
}

/// The answer, or why there is none: a panic of the source's is its failure.
async fn in_time<V, F>(shared: &Shared<V>, question: F) -> Result<Answer<V>, BoxError>
where
    F: Future<Output = Result<Answer<V>, BoxError>>,
{
    let mut limit = pin!(shared.clock.sleep(shared.settings.timeout));
    let mut question = pin!(question);
    std::future::poll_fn(|cx| {
        let polled = catch_unwind(AssertUnwindSafe(|| question.as_mut().poll(cx)));
        match polled.unwrap_or_else(|_| Poll::Ready(Err("the source panicked".into()))) {
            Poll::Ready(answer) => Poll::Ready(answer),
            Poll::Pending => limit.as_mut().poll(cx).map(|()| Err("no answer in time".into())),
        }
    })
    .await
}
