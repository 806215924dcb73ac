//! What a connection is waiting for, and until when.
//!
//! The connection's parts note what happens; one timer, armed by [`State::due`], acts on it. A request that is
//! answered at once touches no timer.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use crate::clock::Clock;

/// How long the client may keep us waiting.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    /// From a head's first byte (the first head: from the start of the connection) to its last.
    pub(super) header: Duration,
    /// Between requests.
    pub(super) idle: Duration,
    /// For the client to take what we send.
    pub(super) write: Duration,
}

/// How long a closing connection reads on, so that the client gets our answer before it gets a reset.
const LINGER: Duration = Duration::from_secs(2);

/// How long a connection that has brought no request yet may bring one after shutdown began: the request may be
/// on its way.
const LAST_CALL: Duration = Duration::from_secs(1);

/// A connection's state, as far as its deadlines go.
#[derive(Clone, Copy, Debug)]
pub(super) struct State {
    owed: Owed,
    since: Instant,
    /// Requests whose response has not ended.
    in_flight: u32,
    /// Responses that gave data and have not been asked for more.
    untaken: u32,
    taken_at: Instant,
    write_blocked: Option<Instant>,
    lingering: Option<Instant>,
    closing: Option<Instant>,
    draining: Option<Instant>,
    /// The client may be sending what nobody will read.
    unread: bool,
    /// Upgraded: nobody watches the deadlines any more.
    released: bool,
}

/// What the client owes when nothing is in flight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Owed {
    /// The first head.
    FirstHead,
    /// The rest of a head.
    RestOfHead,
    /// Nothing: it may send another request.
    Nothing,
}

/// What to do when a deadline has passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Then {
    /// Say goodbye, as each protocol does, and take no more requests.
    Close,
    /// Drop the connection.
    Cut,
}

impl State {
    fn new(now: Instant) -> Self {
        Self {
            owed: Owed::FirstHead,
            since: now,
            in_flight: 0,
            untaken: 0,
            taken_at: now,
            write_blocked: None,
            lingering: None,
            closing: None,
            draining: None,
            unread: false,
            released: false,
        }
    }

    /// The next deadline, if the client is the one who keeps us waiting.
    pub(super) fn due(&self, patience: &Patience) -> Option<(Instant, Then)> {
        let idle = self.in_flight == 0;
        let waits = [
            self.lingering.map(|at| (at, LINGER, Then::Cut)),
            self.write_blocked.map(|at| (at, patience.write, Then::Cut)),
            (self.untaken > 0).then_some((self.taken_at, patience.write, Then::Cut)),
            self.closing
                .filter(|_| idle)
                .map(|at| (at, patience.write, Then::Cut)),
            self.draining
                .filter(|_| idle && self.closing.is_none())
                .map(|at| (at, LAST_CALL, Then::Close)),
            match self.owed {
                _ if !idle || self.closing.is_some() => None,
                Owed::FirstHead | Owed::RestOfHead => {
                    Some((self.since, patience.header, Then::Cut))
                }
                Owed::Nothing => Some((self.since, patience.idle, Then::Close)),
            },
        ];
        waits
            .into_iter()
            .flatten()
            .filter_map(|(since, patience, then)| Some((since.checked_add(patience)?, then)))
            .min_by_key(|(at, _)| *at)
    }

    /// Whether shutdown may say goodbye at once; if not, a first request may be on its way.
    fn may_close(&self) -> bool {
        self.in_flight > 0 || self.owed == Owed::Nothing
    }
}

/// A connection's state, shared by its parts.
#[derive(Debug)]
pub(super) struct Activity {
    clock: Clock,
    state: Mutex<State>,
}

impl Activity {
    pub(super) fn start(clock: Clock) -> Self {
        let state = Mutex::new(State::new(clock.now()));
        Self { clock, state }
    }

    pub(super) fn clock(&self) -> &Clock {
        &self.clock
    }

    pub(super) fn due(&self, patience: &Patience) -> Option<(Instant, Then)> {
        self.state().due(patience)
    }

    /// The connection speaks HTTP/2, which has frames of its own between requests.
    pub(super) fn speaks_h2(&self) {
        let now = self.clock.now();
        let mut state = self.state();
        state.owed = Owed::Nothing;
        state.since = now;
    }

    /// HTTP/1 bytes came in: between requests, a head begins.
    pub(super) fn head_bytes(&self) {
        let mut state = self.state();
        if state.in_flight == 0 && state.owed == Owed::Nothing {
            state.owed = Owed::RestOfHead;
            state.since = self.clock.now();
        }
    }

    pub(super) fn request_began(&self) {
        let mut state = self.state();
        state.in_flight += 1;
        state.owed = Owed::Nothing;
    }

    pub(super) fn response_ended(&self) {
        let now = self.clock.now();
        let mut state = self.state();
        state.in_flight -= 1;
        state.since = now;
    }

    /// A response gave data, and the client has yet to take it.
    pub(super) fn gave(&self) {
        let now = self.clock.now();
        let mut state = self.state();
        if state.untaken == 0 {
            state.taken_at = now;
        }
        state.untaken += 1;
    }

    pub(super) fn took(&self) {
        let now = self.clock.now();
        let mut state = self.state();
        state.untaken -= 1;
        state.taken_at = now;
    }

    pub(super) fn write_blocked(&self) {
        let now = self.clock.now();
        self.state().write_blocked = Some(now);
    }

    pub(super) fn write_moved(&self) {
        self.state().write_blocked = None;
    }

    /// Something that the client sent, or will, is not going to be read.
    pub(super) fn leaves_unread(&self) {
        self.state().unread = true;
    }

    /// Whether the connection is to read on before it closes.
    pub(super) fn lingers(&self) -> bool {
        let now = self.clock.now();
        let mut state = self.state();
        let lingers = !state.released && (state.unread || state.owed != Owed::Nothing);
        if lingers {
            state.lingering.get_or_insert(now);
        }
        lingers
    }

    /// The connection belongs to whoever asked for its upgrade.
    pub(super) fn released(&self) {
        self.state().released = true;
    }

    pub(super) fn closes(&self) {
        let now = self.clock.now();
        self.state().closing.get_or_insert(now);
    }

    /// Shutdown has begun; whether the connection may say goodbye now.
    pub(super) fn drains(&self) -> bool {
        let now = self.clock.now();
        let mut state = self.state();
        state.draining.get_or_insert(now);
        state.may_close()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(all(test, feature = "test-util"))]
mod tests {
    use super::*;

    const PATIENCE: Patience = Patience {
        header: Duration::from_secs(10),
        idle: Duration::from_secs(60),
        write: Duration::from_secs(30),
    };

    /// The deadline, in seconds from the start, after these events a second apart.
    fn due(events: &[fn(&Activity)]) -> Option<(u64, Then)> {
        let (clock, time) = Clock::manual();
        let start = clock.now();
        let activity = Activity::start(clock);
        for event in events {
            time.advance(Duration::from_secs(1));
            event(&activity);
        }
        let (at, then) = activity.due(&PATIENCE)?;
        Some(((at - start).as_secs(), then))
    }

    #[test]
    fn who_keeps_whom_waiting() {
        let (began, ended) = (Activity::request_began, Activity::response_ended);
        let drains: fn(&Activity) = |it| assert!(!it.drains());
        assert_eq!(due(&[]), Some((10, Then::Cut)));
        // dripping does not move the deadline
        let drip = Activity::head_bytes;
        assert_eq!(due(&[drip, drip, drip]), Some((10, Then::Cut)));
        // a service may take its time
        assert_eq!(due(&[began]), None);
        assert_eq!(due(&[began, ended]), Some((62, Then::Close)));
        // the next head has its own deadline
        assert_eq!(due(&[began, ended, drip, drip]), Some((13, Then::Cut)));
        // frames of HTTP/2 are no head
        assert_eq!(due(&[Activity::speaks_h2]), Some((61, Then::Close)));
        assert_eq!(due(&[began, began, ended]), None);
        // a client that does not read
        assert_eq!(due(&[began, Activity::gave]), Some((32, Then::Cut)));
        assert_eq!(due(&[began, Activity::gave, Activity::took]), None);
        assert_eq!(
            due(&[began, Activity::write_blocked]),
            Some((32, Then::Cut))
        );
        assert_eq!(
            due(&[began, Activity::write_blocked, Activity::write_moved]),
            None
        );
        // goodbye is not for ever
        assert_eq!(
            due(&[began, ended, Activity::closes]),
            Some((33, Then::Cut))
        );
        assert_eq!(due(&[|it| assert!(it.lingers())]), Some((3, Then::Cut)));
        // a first request may be on its way
        assert_eq!(due(&[drains]), Some((2, Then::Close)));
        assert_eq!(due(&[drains, began]), None);
    }

    #[test]
    fn an_endless_patience_does_not_overflow() {
        let endless = Patience {
            header: Duration::MAX,
            ..PATIENCE
        };
        assert_eq!(Activity::start(Clock::system()).due(&endless), None);
    }
}
