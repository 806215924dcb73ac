//! The one source of time.
//!
//! Every layer that measures, waits or compares with a date asks a [`Clock`]: a monotonic [`now`](Clock::now)
//! for intervals, a wall [`unix`](Clock::unix) for dates in tokens, a [`sleep`](Clock::sleep) for deadlines.
//! In production that is [`Clock::system`], the default everywhere. With feature `test-util` a manual clock
//! moves only by hand, so that a month's quota or an expiring key set is tested in microseconds:
//!
#![cfg_attr(feature = "test-util", doc = "```")]
#![cfg_attr(not(feature = "test-util"), doc = "```ignore")]
//! use std::time::Duration;
//! use tower_gateway::clock::Clock;
//!
//! let (clock, time) = Clock::manual();
//! let start = clock.now();
//! time.advance(Duration::from_secs(90));
//! assert_eq!(clock.now() - start, Duration::from_secs(90));
//! ```
//!
//! The two readings are independent, as they are on a real machine: the wall clock may step, the monotonic
//! clock never does.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll},
    time::{Duration, Instant, SystemTime},
};

use pin_project_lite::pin_project;

/// Monotonic time, wall time and sleep. Cheap to clone. See the [module docs](self).
#[derive(Clone, Default)]
pub struct Clock(Source);

#[derive(Clone, Default)]
enum Source {
    #[default]
    System,
    #[cfg(feature = "test-util")]
    Manual(manual::ManualClock),
}

impl Clock {
    /// The clocks of the operating system; `sleep` is Tokio's.
    pub const fn system() -> Self {
        Self(Source::System)
    }

    /// A clock that stands still, and the handle that moves it.
    ///
    /// It starts at 2033-05-18 03:33:20 UTC (2,000,000,000 seconds after the epoch).
    #[cfg(feature = "test-util")]
    pub fn manual() -> (Self, ManualClock) {
        let handle = ManualClock::start();
        (Self(Source::Manual(handle.clone())), handle)
    }

    /// Monotonic time, for intervals and deadlines.
    #[allow(clippy::disallowed_methods)] // the one place that may
    #[inline]
    pub fn now(&self) -> Instant {
        match &self.0 {
            Source::System => Instant::now(),
            #[cfg(feature = "test-util")]
            Source::Manual(manual) => manual.now(),
        }
    }

    /// Wall time as the duration since the Unix epoch; zero if the machine's date is before it.
    #[allow(clippy::disallowed_methods)] // the one place that may
    pub fn unix(&self) -> Duration {
        match &self.0 {
            Source::System => {
                SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()
            }
            #[cfg(feature = "test-util")]
            Source::Manual(manual) => manual.unix(),
        }
    }

    /// A future that completes once `duration` has passed.
    ///
    /// # Panics
    ///
    /// The system clock's future must be created inside a Tokio runtime with its time driver on.
    pub fn sleep(&self, duration: Duration) -> Sleep {
        self.sleep_until(self.now().checked_add(duration).unwrap_or_else(|| self.far_future()))
    }

    /// A future that completes at `deadline`, at once if that has passed.
    ///
    /// # Panics
    ///
    /// As [`sleep`](Self::sleep).
    pub fn sleep_until(&self, deadline: Instant) -> Sleep {
        Sleep {
            timer: match &self.0 {
                Source::System => {
                    Timer::System { sleep: tokio::time::sleep_until(deadline.into()) }
                }
                #[cfg(feature = "test-util")]
                Source::Manual(manual) => Timer::Manual { sleep: manual.sleep_until(deadline) },
            },
        }
    }

    /// Thirty years: what a deadline beyond the representable range becomes.
    fn far_future(&self) -> Instant {
        self.now() + Duration::from_secs(86_400 * 365 * 30)
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match &self.0 {
            Source::System => "Clock::system()",
            #[cfg(feature = "test-util")]
            Source::Manual(_) => "Clock::manual()",
        })
    }
}

pin_project! {
    /// Completes at its deadline. Created by [`Clock::sleep`].
    pub struct Sleep {
        #[pin]
        timer: Timer,
    }
}

// Without `test-util` the manual arm holds a type that has no values.
#[cfg(feature = "test-util")]
type ManualSleep = manual::ManualSleep;
#[cfg(not(feature = "test-util"))]
type ManualSleep = never::NeverSleep;

pin_project! {
    #[project = TimerProj]
    enum Timer {
        System { #[pin] sleep: tokio::time::Sleep },
        Manual { sleep: ManualSleep },
    }
}

impl Sleep {
    /// Moves the deadline, without a new timer.
    pub fn reset(self: Pin<&mut Self>, deadline: Instant) {
        match self.project().timer.project() {
            TimerProj::System { sleep } => sleep.reset(deadline.into()),
            TimerProj::Manual { sleep } => sleep.reset(deadline),
        }
    }
}

impl Future for Sleep {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        match self.project().timer.project() {
            TimerProj::System { sleep } => sleep.poll(cx),
            TimerProj::Manual { sleep } => sleep.poll(cx),
        }
    }
}

impl fmt::Debug for Sleep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sleep")
    }
}

/// What the future comes to, unless the time is over first.
#[cfg(any(feature = "client", feature = "rate-limit"))]
pub(crate) async fn within<F: Future>(time: Sleep, future: F) -> Option<F::Output> {
    let (mut future, mut time) = (std::pin::pin!(future), std::pin::pin!(time));
    std::future::poll_fn(|cx| match future.as_mut().poll(cx) {
        Poll::Ready(output) => Poll::Ready(Some(output)),
        Poll::Pending => time.as_mut().poll(cx).map(|()| None),
    })
    .await
}

#[cfg(not(feature = "test-util"))]
mod never {
    use std::{
        task::{Context, Poll},
        time::Instant,
    };

    pub(super) enum NeverSleep {}

    impl NeverSleep {
        pub(super) fn reset(&mut self, _: Instant) {
            match *self {}
        }

        pub(super) fn poll(&mut self, _: &mut Context<'_>) -> Poll<()> {
            match *self {}
        }
    }
}

#[cfg(feature = "test-util")]
pub use manual::ManualClock;

#[cfg(feature = "test-util")]
mod manual {
    use std::{
        fmt,
        sync::{Arc, Mutex, MutexGuard, PoisonError},
        task::{Context, Poll, Waker},
        time::{Duration, Instant},
    };

    /// Moves a manual [`Clock`](super::Clock). Clones move the same clock.
    #[derive(Clone)]
    pub struct ManualClock(Arc<Shared>);

    struct Shared {
        base: Instant,
        state: Mutex<State>,
    }

    struct State {
        elapsed: Duration,
        unix: Duration,
        sleepers: Vec<Waker>,
    }

    impl ManualClock {
        pub(super) fn start() -> Self {
            let base = super::Clock::system().now();
            let unix = Duration::from_secs(2_000_000_000);
            let state = State { elapsed: Duration::ZERO, unix, sleepers: Vec::new() };
            Self(Arc::new(Shared { base, state: Mutex::new(state) }))
        }

        /// Moves both clocks on by `duration` and wakes whoever sleeps.
        pub fn advance(&self, duration: Duration) {
            let mut state = self.state();
            state.elapsed += duration;
            state.unix += duration;
            let sleepers = std::mem::take(&mut state.sleepers);
            drop(state);
            sleepers.into_iter().for_each(Waker::wake);
        }

        /// Steps the wall clock alone, as an administrator or NTP does; `unix` may go back.
        pub fn set_unix(&self, unix: Duration) {
            self.state().unix = unix;
        }

        /// How many tasks wait for this clock to move.
        pub fn sleepers(&self) -> usize {
            self.state().sleepers.len()
        }

        pub(super) fn now(&self) -> Instant {
            self.0.base + self.state().elapsed
        }

        pub(super) fn unix(&self) -> Duration {
            self.state().unix
        }

        pub(super) fn sleep_until(&self, deadline: Instant) -> ManualSleep {
            ManualSleep { clock: self.clone(), deadline }
        }

        fn state(&self) -> MutexGuard<'_, State> {
            self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
        }
    }

    impl fmt::Debug for ManualClock {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "ManualClock({:?})", self.unix())
        }
    }

    pub(super) struct ManualSleep {
        clock: ManualClock,
        deadline: Instant,
    }

    impl ManualSleep {
        pub(super) fn reset(&mut self, deadline: Instant) {
            self.deadline = deadline;
        }

        pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
            let mut state = self.clock.state();
            if self.clock.0.base + state.elapsed >= self.deadline {
                return Poll::Ready(());
            }
            if !state.sleepers.iter().any(|known| known.will_wake(cx.waker())) {
                state.sleepers.push(cx.waker().clone());
            }
            Poll::Pending
        }
    }
}

#[cfg(all(test, feature = "test-util"))]
mod tests {
    use super::*;

    #[test]
    fn the_wall_clock_may_go_back_and_the_monotonic_one_does_not() {
        let (clock, time) = Clock::manual();
        let before = clock.now();
        time.set_unix(Duration::from_secs(5));
        assert_eq!(clock.unix(), Duration::from_secs(5));
        assert_eq!(clock.now(), before);
    }

    #[tokio::test]
    async fn a_sleeper_wakes_when_its_time_has_come_and_not_before() {
        let (clock, time) = Clock::manual();
        let sleeper = tokio::spawn(clock.sleep(Duration::from_secs(10)));
        tokio::task::yield_now().await;
        time.advance(Duration::from_secs(9));
        tokio::task::yield_now().await;
        assert!(!sleeper.is_finished());
        time.advance(Duration::from_secs(1));
        sleeper.await.unwrap();
    }

    #[tokio::test]
    async fn an_endless_sleep_does_not_overflow() {
        drop(Clock::system().sleep(Duration::MAX));
    }
}
