//! What a connection is waiting for, and until when.
//!
//! The connection's parts note what happens, without a look at the clock. When the connection has nothing left to
//! do, [`Activity::due`] says until when it may rest: so a request that is answered at once costs one reading of
//! the clock, and its timer is not touched.

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
struct State {
    owed: Owed,
    /// For what is owed.
    waits: Wait,
    /// Requests whose response has not ended.
    in_flight: u32,
    /// Responses that gave something and have not been asked for more.
    untaken: u32,
    /// Until one of them is.
    untaken_waits: Wait,
    write_blocked: Wait,
    lingering: Wait,
    closing: Wait,
    draining: Wait,
    /// The client may be sending what nobody will read.
    unread: bool,
    /// Everything that was answered has been flushed.
    flushed: bool,
    /// Upgraded: nobody watches the deadlines any more.
    released: bool,
}

/// Something that is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wait {
    No,
    /// Since the connection last rested.
    Begun,
    Since(Instant),
}

impl Wait {
    /// Begins, unless it has.
    fn begin(&mut self) {
        if *self == Self::No {
            *self = Self::Begun;
        }
    }

    /// The deadline; what has begun, begins now.
    fn until(&mut self, patience: Duration, now: &mut impl FnMut() -> Instant) -> Option<Instant> {
        if *self == Self::Begun {
            *self = Self::Since(now());
        }
        match *self {
            Self::Since(since) => since.checked_add(patience),
            _ => None,
        }
    }
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
            waits: Wait::Since(now),
            in_flight: 0,
            untaken: 0,
            untaken_waits: Wait::No,
            write_blocked: Wait::No,
            lingering: Wait::No,
            closing: Wait::No,
            draining: Wait::No,
            unread: false,
            flushed: true,
            released: false,
        }
    }

    /// The next deadline, if the client is the one who keeps us waiting.
    fn due(
        &mut self,
        patience: &Patience,
        now: &mut impl FnMut() -> Instant,
    ) -> Option<(Instant, Then)> {
        let idle = self.in_flight == 0;
        let stays = self.closing == Wait::No;
        let (owed, then) = match self.owed {
            Owed::FirstHead | Owed::RestOfHead => (patience.header, Then::Cut),
            Owed::Nothing => (patience.idle, Then::Close),
        };
        let mut first = None;
        let mut wait = |applies: bool, wait: &mut Wait, patience, then| {
            if applies && let Some(at) = wait.until(patience, now) {
                first = Some(first.map_or((at, then), |it: (Instant, Then)| match at < it.0 {
                    true => (at, then),
                    false => it,
                }));
            }
        };
        wait(true, &mut self.lingering, LINGER, Then::Cut);
        wait(true, &mut self.write_blocked, patience.write, Then::Cut);
        wait(self.untaken > 0, &mut self.untaken_waits, patience.write, Then::Cut);
        wait(idle, &mut self.closing, patience.write, Then::Cut);
        wait(idle && stays, &mut self.draining, LAST_CALL, Then::Close);
        wait(idle && stays, &mut self.waits, owed, then);
        first
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

    /// The next deadline, if the client is the one who keeps us waiting.
    pub(super) fn due(&self, patience: &Patience) -> Option<(Instant, Then)> {
        self.state().due(patience, &mut || self.clock.now())
    }

    /// The connection speaks HTTP/2, which has frames of its own between requests.
    pub(super) fn speaks_h2(&self) {
        let mut state = self.state();
        state.owed = Owed::Nothing;
        state.waits = Wait::Begun;
    }

    /// HTTP/1 bytes came in: between requests, a head begins.
    pub(super) fn head_bytes(&self) {
        let mut state = self.state();
        if state.in_flight == 0 && state.owed == Owed::Nothing {
            state.owed = Owed::RestOfHead;
            state.waits = Wait::Begun;
        }
    }

    pub(super) fn request_began(&self) {
        let mut state = self.state();
        state.in_flight += 1;
        state.owed = Owed::Nothing;
        state.flushed = false;
    }

    pub(super) fn response_ended(&self) {
        let mut state = self.state();
        state.in_flight -= 1;
        state.waits = Wait::Begun;
    }

    /// A response gave its head or data, and the client has yet to take it.
    pub(super) fn gave(&self) {
        let mut state = self.state();
        if state.untaken == 0 {
            state.untaken_waits = Wait::Begun;
        }
        state.untaken += 1;
    }

    pub(super) fn took(&self) {
        let mut state = self.state();
        state.untaken -= 1;
        state.untaken_waits = Wait::Begun;
    }

    pub(super) fn write_blocked(&self) {
        self.state().write_blocked.begin();
    }

    pub(super) fn write_moved(&self) {
        self.state().write_blocked = Wait::No;
    }

    /// What was written has gone out.
    pub(super) fn flushed(&self) {
        let mut state = self.state();
        state.flushed = state.in_flight == 0;
    }

    /// Whether no request has begun since all answers went out.
    pub(super) fn is_quiet(&self) -> bool {
        let state = self.state();
        state.in_flight == 0 && state.flushed
    }

    /// Whether something will stay unread, so that the connection cannot be used again.
    pub(super) fn is_unread(&self) -> bool {
        self.state().unread
    }

    /// Something that the client sent, or will, is not going to be read.
    pub(super) fn leaves_unread(&self) {
        self.state().unread = true;
    }

    /// Whether the connection is to read on before it closes.
    pub(super) fn lingers(&self) -> bool {
        let mut state = self.state();
        let lingers = !state.released && (state.unread || state.owed != Owed::Nothing);
        if lingers {
            state.lingering.begin();
        }
        lingers
    }

    /// The connection belongs to whoever asked for its upgrade.
    pub(super) fn released(&self) {
        self.state().released = true;
    }

    pub(super) fn closes(&self) {
        self.state().closing.begin();
    }

    /// Shutdown has begun; whether the connection may say goodbye now.
    pub(super) fn drains(&self) -> bool {
        let mut state = self.state();
        state.draining.begin();
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
            activity.due(&PATIENCE);
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
        assert_eq!(due(&[began, Activity::write_blocked]), Some((32, Then::Cut)));
        assert_eq!(due(&[began, Activity::write_blocked, Activity::write_moved]), None);
        // goodbye is not for ever
        assert_eq!(due(&[began, ended, Activity::closes]), Some((33, Then::Cut)));
        assert_eq!(due(&[|it| assert!(it.lingers())]), Some((3, Then::Cut)));
        // a first request may be on its way
        assert_eq!(due(&[drains]), Some((2, Then::Close)));
        assert_eq!(due(&[drains, began]), None);
    }

    #[test]
    fn an_endless_patience_does_not_overflow() {
        let endless = Patience { header: Duration::MAX, ..PATIENCE };
        assert_eq!(Activity::start(Clock::system()).due(&endless), None);
    }
}
