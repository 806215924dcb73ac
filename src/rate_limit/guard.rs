//! The guard of a [`RateLimitLayer`](super::RateLimitLayer): asks all limits, and says what they said.

use std::{fmt, slice, sync::Arc};

use arc_swap::ArcSwap;
use smallvec::SmallVec;

use super::{
    book::{Book, Kept},
    counted::{Aftermath, Counted},
    legacy::Legacy,
    memory::{self, Ask},
    ruling::Ruling,
    said::Asked,
    settling::{Account, Reservation, Settling},
    sharing::{Shared, Taken},
    waiting::Place,
};
use crate::{
    event::Outcome,
    guard::{Guard, Head, Verdict},
    rejection::Rejection,
};

/// The limits of a layer, and all that they have counted.
pub struct Limits(Arc<ArcSwap<Book>>);

impl Limits {
    pub(super) fn new(book: Book) -> Self {
        Self(Arc::new(ArcSwap::from_pointee(book)))
    }

    /// What a request is judged by; replaced whole.
    pub(super) fn book(&self) -> &Arc<ArcSwap<Book>> {
        &self.0
    }
}

/// What is asked for a request.
#[derive(Default)]
struct Asking {
    asked: SmallVec<[Asked; 4]>,
    reservations: Vec<Reservation>,
}

impl Asking {
    /// The limit is asked, and its penalty box behind it.
    fn push(&mut self, place: usize, kept: &Kept) {
        self.asked.push(Asked { place, penalty: false });
        if kept.penalty.is_some() {
            self.asked.push(Asked { place, penalty: true });
        }
    }

    /// What the limit that is asked next takes will be settled.
    fn reserve(&mut self, kept: &Arc<Kept>, account: Account) {
        let answer = self.asked.len();
        self.reservations.push(Reservation::new(Arc::clone(kept), account, answer));
    }
}

impl Guard for Limits {
    const NAME: &'static str = "rate_limit";
    type Pass = Counted;

    fn check(&self, head: Head<'_>) -> Verdict<Counted> {
        let book = self.0.load();
        match &book.shared {
            None => take(&book, head).unwrap_or_else(Verdict::refuse),
            Some(shared) => share(&book, shared, head).unwrap_or_else(Verdict::refuse),
        }
    }
}

/// Takes what the request costs from the limits that are kept here.
fn take(book: &Arc<Book>, head: Head<'_>) -> Result<Verdict<Counted>, Rejection> {
    match &*book.limits {
        [kept] if kept.is_plain() => take_from_one(book, kept, head),
        _ => take_from_all(book, head),
    }
}

/// The way of most: one limit, which has its say at once and is done with it. Nothing here is more than
/// [`take_from_all`], but faster.
fn take_from_one(
    book: &Arc<Book>,
    kept: &Kept,
    head: Head<'_>,
) -> Result<Verdict<Counted>, Rejection> {
    let Some(key) = kept.limit.key(head)? else { return Ok(Verdict::admit(Counted::default())) };
    let ask = kept.ask(head, &key);
    let delays = ask.quota.delays();
    let place = delays.then(|| book.room.enter()).flatten();
    let at = book.timeline.moment(ask.quota.reads_the_wall());
    let said = ask.take(at, place.is_some() || !delays);
    if said.answer.verdict.is_ok_and(|grant| grant.delay.is_zero()) {
        kept.tally.count(Outcome::Admitted);
        if kept.fields.is_none() && !book.terms.legacy {
            return Ok(Verdict::admit(Counted::default()));
        }
        let stamps = kept.stamp(&said, false).into_iter().collect();
        let legacy = book.terms.legacy.then(|| Legacy::of(slice::from_ref(&said))).flatten();
        let counted = Aftermath { stamps, legacy, ..Aftermath::default() };
        return Ok(Verdict::admit(counted.into()));
    }
    let asked = SmallVec::from_iter([Asked { place: 0, penalty: false }]);
    let asking = Asking { asked, reservations: Vec::new() };
    Ok(answer(book, asking, Ruling::from_iter([said]), place))
}

fn take_from_all(book: &Arc<Book>, head: Head<'_>) -> Result<Verdict<Counted>, Rejection> {
    let (mut asking, mut asks) = (Asking::default(), SmallVec::<[Ask<'_>; 2]>::new());
    for (place, kept) in book.limits.iter().enumerate() {
        if let Some(key) = kept.limit.key(head)? {
            let ask = kept.ask(head, &key);
            if kept.limit.settlement().is_some() {
                asking.reserve(kept, Account::Here { key: ask.key, quota: ask.quota });
            }
            asks.push(ask);
            asks.extend(kept.penalty_ask(&key));
            asking.push(place, kept);
        }
    }
    if asks.is_empty() {
        return Ok(Verdict::admit(Counted::default()));
    }
    let wall = asks.iter().any(|ask| ask.quota.reads_the_wall());
    // Before anything is spent: who has no place to wait is refused, and spends nothing.
    let delays = asks.iter().any(|ask| ask.quota.delays());
    let place = delays.then(|| book.room.enter()).flatten();
    let ruling = memory::take(&asks, book.timeline.moment(wall), place.is_some() || !delays);
    Ok(answer(book, asking, ruling, place))
}

/// Asks those who keep the limits for many nodes.
fn share(
    book: &Arc<Book>,
    shared: &Arc<Shared>,
    head: Head<'_>,
) -> Result<Verdict<Counted>, Rejection> {
    let (mut asking, mut demands) = (Asking::default(), Vec::new());
    for (place, kept) in book.limits.iter().enumerate() {
        if let Some(key) = kept.limit.key(head)? {
            let penalty = kept.penalty_demand(&key);
            let demand = kept.demand(head, key);
            if kept.limit.settlement().is_some() {
                asking.reserve(kept, Account::Shared(Box::new(demand.clone())));
            }
            demands.push(demand);
            demands.extend(penalty);
            asking.push(place, kept);
        }
    }
    if demands.is_empty() {
        return Ok(Verdict::admit(Counted::default()));
    }
    let (book, shared) = (Arc::clone(book), Arc::clone(shared));
    Ok(match shared.take(&demands) {
        Taken::Now(taken) => answer(&book, asking, shared.settle(&demands, taken)?, None),
        Taken::Later(taken) => Verdict::later(async move {
            let ruling = shared.settle(&demands, taken.await)?;
            match answer(&book, asking, ruling, None) {
                Verdict::Now(decision) => decision,
                Verdict::Later(decision) => decision.await,
            }
        }),
    })
}

/// What becomes of the request, which may have a place to wait.
fn answer(
    book: &Arc<Book>,
    asking: Asking,
    ruling: Ruling,
    place: Option<Place>,
) -> Verdict<Counted> {
    let delay = ruling.delay();
    let waits = ruling.refusal().is_none() && !delay.is_zero();
    let place = if waits { place.or_else(|| book.room.enter()) } else { None };
    let ruling = if waits && place.is_none() { ruling.without_waiting() } else { ruling };
    book.count(&asking.asked, &ruling);
    if let Some(wait) = ruling.refusal() {
        return Verdict::refuse(book.refusal(&asking.asked, &ruling, wait));
    }
    let counted = Counted::from(Aftermath {
        stamps: book.stamps(&asking.asked, &ruling),
        legacy: book.legacy(&ruling),
        reports: book.reports(&asking.asked, &ruling),
        settling: Settling::of(book, asking.reservations, &ruling),
    });
    match place {
        None => Verdict::admit(counted),
        Some(place) => {
            let turn = book.timeline.clock().sleep(delay);
            Verdict::later(async move {
                turn.await;
                drop(place);
                Ok(counted)
            })
        }
    }
}

impl fmt::Debug for Limits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.load().limits.iter().map(|kept| &kept.limit)).finish()
    }
}
