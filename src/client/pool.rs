//! The idle HTTP/1.1 connections and the shared HTTP/2 ones of one origin.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use hyper::client::conn::{http1, http2};

use super::{body::RequestBody, timer::Timer};

/// An HTTP/1.1 connection and the timer that goes with it.
#[derive(Debug)]
pub(super) struct Http1 {
    pub(super) sender: http1::SendRequest<RequestBody>,
    pub(super) timer: Timer,
}

/// An HTTP/2 connection, shared by its streams.
#[derive(Clone, Debug)]
pub(super) struct Http2 {
    pub(super) sender: http2::SendRequest<RequestBody>,
    pub(super) load: Arc<Load>,
}

/// What an HTTP/2 connection carries and could carry.
#[derive(Debug)]
pub(super) struct Load {
    streams: AtomicUsize,
    limit: AtomicUsize,
    retired: AtomicBool,
}

/// One stream of an HTTP/2 connection; gives its place free when dropped.
#[derive(Debug)]
pub(super) struct Stream(Arc<Load>);

impl Load {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self {
            streams: AtomicUsize::new(0),
            limit: AtomicUsize::new(usize::MAX),
            retired: AtomicBool::new(false),
        })
    }

    /// What the origin's SETTINGS allow.
    pub(super) fn allow(&self, streams: usize) {
        self.limit.store(streams, Relaxed);
    }

    pub(super) fn begin(self: &Arc<Self>) -> Stream {
        self.streams.fetch_add(1, Relaxed);
        Stream(Arc::clone(self))
    }

    fn has_room(&self) -> bool {
        self.streams.load(Relaxed) < self.limit.load(Relaxed)
    }
}

impl Stream {
    /// No new streams on this connection; those that it carries go on.
    pub(super) fn retire_connection(&self) {
        self.0.retired.store(true, Relaxed);
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.0.streams.fetch_sub(1, Relaxed);
    }
}

/// More HTTP/2 connections than this are not opened to one origin: the next streams wait for a place.
const MAX_SHARED: usize = 16;

#[derive(Debug, Default)]
pub(super) struct Pool(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    idle: Lifo<Http1>,
    shared: Vec<Http2>,
    swept: bool,
}

impl Pool {
    /// The connection that was used last, because it is the least likely to be closed by now.
    pub(super) fn take_idle(&self, now: Instant, timeout: Duration) -> Option<Http1> {
        let mut state = self.state();
        loop {
            let http1 = state.idle.pop(now, timeout)?;
            if http1.sender.is_ready() {
                return Some(http1);
            }
        }
    }

    /// Keeps a connection for the next request. Returns whether somebody must begin to sweep.
    pub(super) fn put_idle(&self, http1: Http1, now: Instant, most: usize) -> bool {
        let mut state = self.state();
        state.idle.push(http1, now, most);
        !state.idle.0.is_empty() && !std::mem::replace(&mut state.swept, true)
    }

    /// Closes what has been idle for `timeout` or was closed by the origin. Returns whether any is left.
    pub(super) fn sweep(&self, now: Instant, timeout: Duration) -> bool {
        let mut state = self.state();
        let idle = &mut state.idle;
        idle.0.retain(|(http1, since)| !http1.sender.is_closed() && !expired(*since, now, timeout));
        state.swept = !state.idle.0.is_empty();
        state.swept
    }

    /// Nobody sweeps any more, whatever is left.
    pub(super) fn unswept(&self) {
        self.state().swept = false;
    }

    /// An open HTTP/2 connection with room for a stream, or, when no more may be opened, the least busy one.
    pub(super) fn shared(&self) -> Option<(Http2, Stream)> {
        let mut state = self.state();
        if state.shared.is_empty() {
            return None;
        }
        state.shared.retain(|it| !it.sender.is_closed() && !it.load.retired.load(Relaxed));
        let full = state.shared.len() >= MAX_SHARED;
        let found = state.shared.iter().find(|it| it.load.has_room());
        let least = || {
            let busy = |it: &&Http2| it.load.streams.load(Relaxed);
            state.shared.iter().min_by_key(busy).filter(|_| full)
        };
        found.or_else(least).map(|it| (it.clone(), it.load.begin()))
    }

    pub(super) fn share(&self, http2: Http2) {
        self.state().shared.push(http2);
    }

    /// Whether dropping this pool would close no connection.
    pub(super) fn is_empty(&self) -> bool {
        let state = self.state();
        state.idle.0.is_empty() && state.shared.iter().all(|it| it.sender.is_closed())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Last in, first out; what has lain longest is at the front.
#[derive(Debug)]
struct Lifo<T>(Vec<(T, Instant)>);

impl<T> Default for Lifo<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> Lifo<T> {
    fn push(&mut self, item: T, now: Instant, most: usize) {
        if self.0.len() < most {
            self.0.push((item, now));
        }
    }

    /// If the last one in has expired, all have.
    fn pop(&mut self, now: Instant, timeout: Duration) -> Option<T> {
        let (item, since) = self.0.pop()?;
        if expired(since, now, timeout) {
            self.0.clear();
            return None;
        }
        Some(item)
    }
}

fn expired(since: Instant, now: Instant, timeout: Duration) -> bool {
    now.saturating_duration_since(since) >= timeout
}

#[cfg(all(test, feature = "test-util"))]
mod tests {
    use super::*;
    use crate::clock::Clock;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn the_last_one_in_is_the_first_one_out() {
        let (now, mut idle) = (Clock::system().now(), Lifo::default());
        for item in 1..=3 {
            idle.push(item, now, 2);
        }
        assert_eq!(idle.pop(now, SECOND), Some(2), "a third one is not kept");
        assert_eq!(idle.pop(now, SECOND), Some(1));
        assert_eq!(idle.pop(now, SECOND), None);
    }

    #[test]
    fn what_has_been_idle_for_too_long_is_not_given_out() {
        let ((clock, time), mut idle) = (Clock::manual(), Lifo::default());
        idle.push("old", clock.now(), 9);
        time.advance(SECOND / 2);
        idle.push("new", clock.now(), 9);
        time.advance(SECOND / 2);
        assert_eq!(idle.pop(clock.now(), SECOND), Some("new"));
        assert_eq!(idle.pop(clock.now(), SECOND), None);
    }

    #[test]
    fn a_stream_gives_its_place_free() {
        let load = Load::new();
        load.allow(1);
        let stream = load.begin();
        assert!(!load.has_room());
        drop(stream);
        assert!(load.has_room());
    }
}
